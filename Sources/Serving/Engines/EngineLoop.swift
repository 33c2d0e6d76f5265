// The loop of the engine thread. A poll takes commands, runs a step and reports; it has no threads and does not wait.

import CoreMetrics
package import Engine
import Platform
import Prompts
package import Runtime

/// Drives an engine for its clients.
package struct EngineLoop {
    private let engine: TTEngine
    private let clock: TimeSource
    private let metrics: EngineMetrics?
    private var clients: [ClientID: Client] = [:]
    /// Whether the loop is over and must not be polled again.
    package private(set) var isOver = false
    /// When the last step ended, which is also when an async step that was begun at once started.
    private var lastEnded: Milliseconds = 0

    /// Who is connected.
    private struct Client {
        let sink: EngineSink
        /// The engine's counters when it connected.
        let statistics: EngineStatistics
    }

    /// A loop without clients.
    ///
    /// - Parameter metrics: count the engine's work; nil: nothing does.
    package init(engine: TTEngine, clock: TimeSource, metrics: EngineMetrics? = nil) {
        self.engine = engine
        self.clock = clock
        self.metrics = metrics
    }

    /// Whether there is a step to run without another command.
    var hasWork: Bool { engine.hasWork }

    /// Executes the commands, then runs a step if there is one to run.
    package mutating func poll(_ commands: [EngineCommand]) {
        defer { metrics?.note(engine.statistics) }
        for command in commands { obey(command) }
        if isOver {
            let all = engine.takeBackAll()
            for (id, client) in clients { client.sink(.putBack(all.filter { $0.client == id })) }
            return
        }
        guard engine.hasWork else { return }
        do throws(DeviceFault) {
            try step()
        } catch {
            end(by: error)
        }
    }

    private mutating func obey(_ command: EngineCommand) {
        switch command {
        case .connect(let client, let sink):
            clients[client] = Client(sink: sink, statistics: engine.statistics)
        case .run(let id, let request, let priority):
            do throws(RequestRefusal) {
                try add(id, request, priority)
            } catch {
                clients[id.client]?.sink(.refused(id, error))
            }
        case .cancel(let id): engine.cancel(id)
        case .disconnect(let client):
            let own = engine.takeBack(of: client)
            clients.removeValue(forKey: client)?.sink(.putBack(own))
        case .end: isOver = true
        }
    }

    /// Adds all sequences of a request, or none.
    private func add(
        _ id: RequestID, _ request: PreparedRequest, _ priority: RequestPriority
    ) throws(RequestRefusal) {
        let sampling = request.samplingOfCandidates
        var added: [RequestID] = []
        for prompt in request.prompts {
            let ids = sampling.indices.map { id.sequence(added.count + $0) }
            do throws(RequestRefusal) {
                try engine.add(ids, priority: priority, prompt: prompt, sampling: sampling)
            } catch {
                for id in added { engine.cancel(id) }
                throw error
            }
            added += ids
        }
    }

    private mutating func step() throws(DeviceFault) {
        let started = engine.hasBegun ? lastEnded : clock.now
        guard let report = try engine.step() else { return }
        lastEnded = clock.now
        let statistics = engine.statistics
        for (id, client) in clients {
            client.sink(
                .step(
                    EngineStep(
                        report: clients.count == 1 ? report : report.part(of: id), started: started, ended: lastEnded,
                        statistics: statistics.since(client.statistics))))
        }
    }

    /// Ends the loop after a device fault. Only requests in the batch can have caused it.
    private mutating func end(by fault: DeviceFault) {
        isOver = true
        if fault.cause == .device { Counter.deviceFailures.increment() }
        let inBatch = Set(engine.runningRequests)
        let all = engine.takeBackAll()
        for (id, client) in clients {
            let own = all.filter { $0.client == id }
            client.sink(.fault(fault, own.filter(inBatch.contains)))
            client.sink(.putBack(own.filter { !inBatch.contains($0) }))
        }
    }
}
