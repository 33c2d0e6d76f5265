// The daemon's lives: started, moved on turn by turn, stopped and killed.

import BatchDaemon
import Engine
import MemoryStore
import Runtime
import Serving
import Settings
import StoreContract
import Tokenizers

extension Simulation {
    /// Moves something of the daemon on, whichever the seed chooses. Where it is `calm` nothing is broken any more.
    func turn(calm: Bool = false) throws {
        guard let running = daemon else { return try start(drains: random.oneIn(2), calm: calm) }
        guard let session = running.session else { return try pollLoop(calm: calm) }
        // Each engine, the writer and the feeder are threads of their own.
        switch Int.random(in: 0..<session.devices.count + 2, using: &random) {
        case session.devices.count: session.stepped.pollWriter()
        case session.devices.count + 1: try pollSession(session.stepped, session.devices, calm: calm)
        case let replica:
            if !calm {
                let device = session.devices[replica]
                device.fails = troubles.brokenDevice || troubles.deviceFaults && random.oneIn(12)
                device.losesModel = troubles.models && random.oneIn(40)
                device.hasBadRow = troubles.badOutputs && random.oneIn(12)
            }
            session.stepped.pollEngine(replica)
        }
    }

    func start(drains: Bool, calm: Bool) throws {
        let store = MemoryJobStore(queue) { [disk] () throws(JobStoreError) in
            if disk.isFull { throw .diskFull(path: "memory") }
        }
        let lease = try client.acquireLease()
        do throws(JobStoreError) {
            let opened = try store.openIncarnation(
                NewIncarnation(pid: 1, host: "h", version: "1", model: "a", device: "simulated"), lease: lease,
                maxCrashes: settings.maxCrashes, at: time.wall)
            _ = try store.sweepOrphanedDrafts()
            _ = try store.completeCancellations(at: time.wall)
            let stop = StopSignal()
            let loop = DaemonLoop(
                store: store, life: Life(opened.incarnation), scope: .everything, settings: settings, drains: drains,
                stop: stop, clock: time.clock, log: log)
            if try store.loadingThatKilled(before: opened.incarnation) != nil { reach.count("models killed daemons") }
            try loop.blameLoading("a")
            tell("\(opened.incarnation) begins\(drains ? ", to drain the queue" : "")")
            daemon = Daemon(
                store: store, lease: lease, incarnation: opened.incarnation, loop: loop, stop: stop, drains: drains)
        } catch {
            // A daemon that cannot open its incarnation does not start, and is started again.
            tell("a daemon cannot start: \(error)")
            lease.release()
        }
    }

    private func pollLoop(calm: Bool) throws {
        if daemon!.waitsUntil > time.steady {
            // A wake-up, or patience at its end.
            if random.oneIn(3) { daemon!.waitsUntil = 0 } else { time.pass(Int64.random(in: 1...40, using: &random)) }
            return
        }
        var isDrained = false
        do throws(JobStoreError) {
            switch try daemon!.loop.poll() {
            case .end:
                isDrained = daemon!.drains && daemon!.stop.level == .none
                try end("has ended")
            case .lost: preconditionFailure("the only daemon was declared dead")
            case .wait(let milliseconds): daemon!.waitsUntil = time.steady + milliseconds
            case .run(let batch): try beginSession(batch, calm: calm)
            }
        } catch {
            try end("has ended by \(error)")
        }
        if isDrained {
            reach.count("daemons drained")
            try oracle.expectDrained()
        }
    }

    private func beginSession(_ batch: ClaimableBatch, calm: Bool) throws(JobStoreError) {
        let store = daemon!.store
        let incarnation = daemon!.incarnation
        if let error = try persistently({ () throws(JobStoreError) in try daemon!.loop.refusal(of: batch.id) }) {
            return try fail(batch, error)
        }
        try persistently { () throws(JobStoreError) in
            try store.noteLoading(for: batch.id, incarnation: incarnation)
        }
        if !calm, troubles.loading, random.oneIn(3) { return kill() }
        try persistently { () throws(JobStoreError) in try store.noteLoading(for: nil, incarnation: incarnation) }
        if !calm, troubles.models, random.oneIn(3) {
            return try refuse(batch, ModelRefusal(reason: "asked for", mayPass: !random.oneIn(4)))
        }
        let slots = Int.random(in: 1...4, using: &random)
        let runsStepsAsync = Bool.random(using: &random)
        let devices = (0..<Int.random(in: 1...3, using: &random)).map { _ in
            SimulatedDevice(slots: slots, runsStepsAsync: runsStepsAsync)
        }
        if runsStepsAsync { reach.count("sessions whose devices run by themselves") }
        if devices.count > 1 { reach.count("sessions of several replicas") }
        let stepped = SteppedSession(
            model: batch.model ?? "a", daemon!.loop, settings: settings, drains: daemon!.drains, slots: slots,
            engines: devices.map { TTEngine(executor: $0, endOfGeneration: [SimulatedPrompt.endOfGeneration]) },
            begin: { RequestInProgress($0, SimulatedText.tokenizer) }, stop: daemon!.stop, clock: time.clock,
            log: log,
            prepare: { SimulatedPrompt(body: $0.body).prepared })
        tell("a session for \(batch.id) begins, with \(devices.count) replicas")
        daemon!.session = (stepped, devices)
        daemon!.batch = batch
    }

    private func refuse(_ batch: ClaimableBatch, _ refusal: ModelRefusal) throws(JobStoreError) {
        tell("the model of \(batch.id) cannot be used\(refusal.mayPass ? "" : ", ever")")
        let error = try persistently { () throws(JobStoreError) in
            try daemon!.loop.refuse(batch.id, because: refusal)
        }
        if let error { try fail(batch, error) }
    }

    private func fail(_ batch: ClaimableBatch, _ error: JobError) throws(JobStoreError) {
        tell("\(batch.id) fails: \(error.message)")
        while try !persistently({ () throws(JobStoreError) in try daemon!.loop.failJobs(of: batch, error) }) {}
    }

    @discardableResult
    private func persistently<Value>(_ body: () throws(JobStoreError) -> Value) throws(JobStoreError) -> Value {
        while true {
            do throws(JobStoreError) {
                return try body()
            } catch {
                guard error.isTemporary else { throw error }
                passTroubledTime()
            }
        }
    }

    private func pollSession(_ session: SteppedSession, _ devices: [SimulatedDevice], calm: Bool) throws {
        let end: SessionEnd
        do throws(JobStoreError) {
            guard let over = try session.pollSession(waiting: { passTroubledTime() }) else { return }
            end = over
        } catch {
            daemon!.session = nil
            return try self.end("has ended by \(error)")
        }
        tell("the session ends: \(end)")
        for device in devices {
            reach.count("device faults", device.faults)
            reach.count("bad outputs", device.badOutputs)
        }
        // Every replica worked, and then one of them failed.
        if devices.count > 1, devices.allSatisfy({ $0.steps > 0 }), devices.contains(where: { $0.faults > 0 }) {
            reach.count("faults of one replica among several")
        }
        daemon!.session = nil
        if case .modelFailed(let failure) = end {
            reach.count("models failed at work")
            do throws(JobStoreError) {
                try refuse(daemon!.batch!, ModelRefusal(reason: "\(failure)", mayPass: true))
            } catch {
                return try self.end("has ended by \(error)")
            }
        }
        do throws(DaemonError) {
            daemon!.waitsUntil = time.steady + (try daemon!.loop.note(end))
        } catch {
            guard troubles.deviceFaults || troubles.brokenDevice || troubles.poison else { throw Violation("\(error)") }
            reach.count("daemons gave up")
            try self.end("has given the device up")
        }
    }

    /// While the daemon waits for a full disk, time passes, and space may be freed.
    private func passTroubledTime() {
        time.pass(settings.storeRetryMS)
        if random.oneIn(3) { disk.isFull = false }
    }

    func stopOrKill() throws {
        guard let running = daemon else { return }
        if troubles.kills, random.oneIn(2) { return kill() }
        reach.count("daemons stopped")
        let level: StopSignal.Level = random.oneIn(2) ? .graceful : .immediate
        tell("the daemon is asked to stop, \(level)")
        running.stop.request(level)
        if running.session == nil { daemon!.waitsUntil = 0 }
    }

    private func kill() {
        tell("kill -9")
        reach.count("daemons killed")
        queue.killDaemon()
        daemon = nil
    }

    /// A life ends in good order, as far as the store lets it.
    private func end(_ how: String) throws(JobStoreError) {
        guard let ending = daemon else { return }
        tell("\(ending.incarnation) \(how)")
        do throws(JobStoreError) {
            try ending.store.closeIncarnation(ending.incarnation, at: time.wall)
        } catch {
            guard error.isTemporary else { throw error }
        }
        ending.lease.release()
        daemon = nil
    }
}
