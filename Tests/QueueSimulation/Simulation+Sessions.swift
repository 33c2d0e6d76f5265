// Sessions with a model: how they begin and end, and what happens if the model cannot be used.

import BatchDaemon
import Engine
import MemoryStore
import Runtime
import Serving
import Settings
import StoreContract
import Tokenizers

extension Simulation {
    func beginSession(
        for batch: ClaimableBatch, _ course: Course, on machine: Machine
    ) throws(JobStoreError) {
        let daemon = machine.daemon!
        let refused = try persistently(machine) { () throws(JobStoreError) in try course.loop.refusal(of: batch.id) }
        if let refused { return try fail(batch, refused, course, on: machine) }
        let model = batch.model ?? "a"
        if daemon.loaded != model {
            guard try load(model, for: batch, course, on: machine) else { return }
        }
        let slots = Int.random(in: 1...4, using: &random)
        let runsStepsAsync = Bool.random(using: &random)
        let devices = (0..<Int.random(in: 1...3, using: &random)).map { _ in
            SimulatedDevice(slots: slots, runsStepsAsync: runsStepsAsync)
        }
        if runsStepsAsync { reach.count("sessions whose devices run by themselves") }
        if devices.count > 1 { reach.count("sessions of several replicas") }
        let stepped = SteppedSession(
            model: model, course.loop, settings: settings, drains: daemon.drains, slots: slots,
            engines: devices.map { TTEngine(executor: $0, endOfGeneration: [SimulatedPrompt.endOfGeneration]) },
            begin: { RequestInProgress($0, SimulatedText.tokenizer) }, stop: daemon.stop, clock: machine.clock.source,
            log: log,
            prepare: { SimulatedPrompt(body: $0.body).prepared })
        tell("\(machine.name): a session for \(batch.id) begins, with \(devices.count) replicas")
        course.session = (stepped, devices)
        course.batch = batch
    }

    /// Returns whether the model is loaded; if it is not, the daemon has died of it, or the batch was refused.
    private func load(
        _ model: String, for batch: ClaimableBatch, _ course: Course, on machine: Machine
    ) throws(JobStoreError) -> Bool {
        let daemon = machine.daemon!
        func note(_ loading: BatchID?) throws(JobStoreError) {
            try persistently(machine) { () throws(JobStoreError) in
                try daemon.store.noteLoading(for: loading, incarnation: course.incarnation)
                if loading == nil {
                    try daemon.store.noteLoaded(daemon.loaded, on: "simulated", incarnation: course.incarnation)
                }
            }
        }
        try note(batch.id)
        if batch.model != nil, machine.lacks.contains(model) {
            reach.count("models missing on hosts")
            try note(nil)
            let refusal = ModelRefusal(reason: "there is no \(model)", mayPass: true, isMissing: true)
            try refuse(batch, refusal, course, on: machine)
            return false
        }
        daemon.loaded = nil
        if !isCalm, troubles.loading, random.oneIn(3) {
            kill(machine)
            return false
        }
        if !isCalm, troubles.models, random.oneIn(3) {
            try note(nil)
            let refusal = ModelRefusal(reason: "asked for", mayPass: !random.oneIn(4))
            try refuse(batch, refusal, course, on: machine)
            return false
        }
        daemon.loaded = model
        try note(nil)
        return true
    }

    private func refuse(
        _ batch: ClaimableBatch, _ refusal: ModelRefusal, _ course: Course, on machine: Machine
    ) throws(JobStoreError) {
        tell("\(machine.name): the model of \(batch.id) cannot be used\(refusal.mayPass ? "" : ", ever")")
        let failed = machine.clock.source.now
        let error = try persistently(machine) { () throws(JobStoreError) in
            try course.loop.refuse(batch.id, because: refusal, at: failed)
        }
        if let error { try fail(batch, error, course, on: machine) }
    }

    private func fail(
        _ batch: ClaimableBatch, _ error: JobError, _ course: Course, on machine: Machine
    ) throws(JobStoreError) {
        tell("\(machine.name): \(batch.id) fails: \(error.message)")
        while try !persistently(machine, { () throws(JobStoreError) in try course.loop.failJobs(of: batch, error) }) {}
    }

    @discardableResult
    private func persistently<Value>(
        _ machine: Machine, _ body: () throws(JobStoreError) -> Value
    ) throws(JobStoreError) -> Value {
        while true {
            do throws(JobStoreError) {
                return try body()
            } catch {
                guard error.isTemporary else { throw error }
                passTroubledTime(machine)
            }
        }
    }

    func pollSession(_ course: Course, on machine: Machine) throws {
        let daemon = machine.daemon!
        let (session, devices) = course.session!
        let end: SessionEnd
        do throws(JobStoreError) {
            guard let over = try session.pollSession(waiting: { passTroubledTime(machine) }) else { return }
            end = over
        } catch {
            course.session = nil
            return try self.end(machine, "has ended by \(error)")
        }
        tell("\(machine.name): the session ends: \(end)")
        for device in devices {
            reach.count("device faults", device.faults)
            reach.count("bad outputs", device.badOutputs)
        }
        // Every replica worked, and then one of them failed.
        if devices.count > 1, devices.allSatisfy({ $0.steps > 0 }), devices.contains(where: { $0.faults > 0 }) {
            reach.count("faults of one replica among several")
        }
        course.session = nil
        do throws(JobStoreError) {
            switch end {
            case .modelFailed(let failure):
                reach.count("models failed at work")
                daemon.loaded = nil
                try refuse(course.batch!, ModelRefusal(reason: "\(failure)", mayPass: true), course, on: machine)
            case .deviceFailed: daemon.loaded = nil
            case .outOfWork, .stopped, .lost: break
            }
            if daemon.loaded == nil {
                try persistently(machine) { () throws(JobStoreError) in
                    try daemon.store.noteLoaded(nil, on: nil, incarnation: course.incarnation)
                }
            }
        } catch {
            return try self.end(machine, "has ended by \(error)")
        }
        do throws(DaemonError) {
            course.waitsUntil = time.steady + (try course.loop.note(end))
        } catch {
            guard troubles.deviceFaults || troubles.brokenDevice || troubles.poison else { throw Violation("\(error)") }
            reach.count("daemons gave up")
            try self.end(machine, "has given the device up")
        }
    }
}
