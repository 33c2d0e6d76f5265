// The thread that owns the engine, and with it the device: the only one that ever touches either.

import Foundation
import JobStore
import TTEngine
import TTPlatform
import TTWorker

/// Runs the engine of one replica on a thread of its own. Everything else reaches it through `commands` and hears from it
/// through the report handler, which is called on that thread and must not block.
final class EngineThread: Sendable {
    /// What the thread is told.
    let commands = Mailbox<EngineCommand>()
    /// The sizes that the engine runs with.
    let limits: StepLimits
    private let ended = DispatchSemaphore(value: 0)

    /// Builds the engine on its thread, and returns when it can take jobs.
    ///
    /// - Parameter build: loads the model; the device must not be touched from another thread.
    /// - Throws: what `build` throws.
    init(
        clock: DaemonClock, build: @escaping @Sendable () throws -> OpenedEngine,
        report: @escaping @Sendable (EngineReport) -> Void
    ) throws {
        let started = Mailbox<Result<StepLimits, any Error>>()
        let thread = Thread { [commands, ended] in
            do {
                let opened = try build()
                started.send(.success(opened.limits))
                var loop = EngineLoop(engine: opened.engine, commands: commands, clock: clock, report: report)
                loop.run()
                opened.close()
            } catch {
                started.send(.failure(error))
            }
            ended.signal()
        }
        thread.name = "engine"
        thread.stackSize = 8 << 20
        thread.start()
        limits = try started.receiveWaiting()[0].get()
    }

    /// Gives back what is in flight, closes the devices, and returns when the threads have ended.
    ///
    /// - Returns: jobs that were sent to threads which had ended by a fault: they have not reported them.
    static func end(_ threads: [EngineThread]) -> [ClaimTicket] {
        // All are told before one is waited for: each may be in the middle of a step.
        for thread in threads { thread.commands.send(.putBackAll) }
        for thread in threads { thread.ended.wait() }
        return threads.flatMap { $0.commands.receive().compactMap(\.jobToRun) }
    }
}

/// An engine and the device under it.
struct OpenedEngine {
    /// Ready for requests.
    let engine: TTEngine
    /// The sizes that it runs with.
    let limits: StepLimits
    /// Releases model and device, in this order.
    let close: () -> Void
}

/// The engine thread's loop: take commands, run a step, report.
struct EngineLoop {
    private let engine: TTEngine
    private let commands: Mailbox<EngineCommand>
    private let clock: DaemonClock
    private let report: @Sendable (EngineReport) -> Void
    private var tickets: [RequestID: ClaimTicket] = [:]
    private var requests: [ClaimTicket: RequestID] = [:]
    private(set) var isEnding = false
    /// When the last step ended, and with it the time of one that was begun at once.
    private var lastEnded: Milliseconds = 0

    init(
        engine: TTEngine, commands: Mailbox<EngineCommand>, clock: DaemonClock,
        report: @escaping @Sendable (EngineReport) -> Void
    ) {
        self.engine = engine
        self.commands = commands
        self.clock = clock
        self.report = report
    }

    mutating func run() {
        while !isEnding { turn(engine.hasWork ? commands.receive() : commands.receiveWaiting()) }
    }

    /// Obeys, and runs a step if there is something to run. After the last turn `isEnding` is true.
    mutating func turn(_ received: [EngineCommand]) {
        for command in received { obey(command) }
        if isEnding { return report(.putBack(takeBack())) }
        guard engine.hasWork else { return }
        do throws(DeviceFault) {
            try step()
        } catch {
            isEnding = true
            // Only what was in the batch can have caused it.
            let inBatch = Set(engine.runningRequests.compactMap { tickets[$0] })
            let all = takeBack()
            report(.fault(error, all.filter(inBatch.contains)))
            report(.putBack(all.filter { !inBatch.contains($0) }))
        }
    }

    private mutating func obey(_ command: EngineCommand) {
        switch command {
        case .run(let job):
            do throws(RequestRefusal) {
                let id = try engine.add(prompt: job.promptTokens, sampling: job.sampling)
                tickets[id] = job.ticket
                requests[job.ticket] = id
            } catch {
                report(.refused(job.ticket, error))
            }
        case .stop(let ticket):
            guard let id = requests.removeValue(forKey: ticket) else { return }
            tickets[id] = nil
            engine.cancel(id)
        case .putBackAll:
            isEnding = true
        }
    }

    private mutating func step() throws(DeviceFault) {
        let started = engine.hasBegun ? lastEnded : clock.now
        guard let step = try engine.step() else { return }
        var events: [(ticket: ClaimTicket, event: TimedStep.JobEvent)] = []
        for event in step.events {
            switch event {
            case .cached(let id, let tokens): events.append((tickets[id]!, .cached(tokens)))
            case .token(let id, let token): events.append((tickets[id]!, .token(token)))
            case .stopToken(let id, let token): events.append((tickets[id]!, .stopToken(token)))
            case .finished(let id, let reason):
                let ticket = tickets.removeValue(forKey: id)!
                requests[ticket] = nil
                events.append((ticket, .finished(reason)))
            case .badOutput(let id, let bad):
                let ticket = tickets.removeValue(forKey: id)!
                requests[ticket] = nil
                events.append((ticket, .badOutput(bad)))
            case .preempted(let id): events.append((tickets[id]!, .preempted))
            }
        }
        lastEnded = clock.now
        report(
            .step(
                TimedStep(
                    kind: step.kind, started: started, ended: lastEnded, events: events,
                    statistics: engine.statistics)))
    }

    private mutating func takeBack() -> [ClaimTicket] {
        engine.takeBackAll().compactMap { tickets[$0] }
    }
}
