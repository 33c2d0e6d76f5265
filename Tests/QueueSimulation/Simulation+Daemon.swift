// The daemons' lives: begun, moved on turn by turn, and ended.

import BatchDaemon
import MemoryStore
import Runtime
import Settings
import StoreContract

extension Simulation {
    /// Moves something of some daemon on, whichever the seed chooses.
    func turn() throws {
        let idle = machines.filter { !$0.isBusy && !$0.isGone }
        if let machine = idle.randomElement(using: &random) { try turn(machine) }
        if let found { throw found }
    }

    private func turn(_ machine: Machine) throws {
        guard machine.hangsUntil <= time.steady else { return }
        mendIfDue(machine)
        let (unheard, failed) = (machine.connection.unheard, machine.connection.failed)
        let draining = machine.daemon?.draining
        try takeEvents()
        try move(machine)
        let events = try takeEvents()
        if let draining, draining == machine.daemon?.draining, events.contains(where: { $0.isClaim(by: draining) }) {
            throw Violation("\(draining) was told to take no jobs, and claims some")
        }
        reach.count("calls not made", machine.connection.failed - failed)
        guard machine.connection.unheard > unheard else { return }
        reach.count("answers lost", machine.connection.unheard - unheard)
        if events.contains(where: { $0.isClaim(by: nil) }) { reach.count("claims unheard of") }
    }

    /// Shows the oracle what has happened.
    @discardableResult
    func takeEvents() throws -> [QueueEvent] {
        let events = queue.takeEvents()
        for event in events { try oracle.ledger.take(event, &reach) }
        return events
    }

    private func move(_ machine: Machine) throws {
        guard let daemon = machine.daemon else { return try start(machine) }
        guard let course = daemon.course else { return try beginLife(of: daemon, on: machine) }
        if isBeatDue(course), random.oneIn(2) { return try beat(course, on: machine) }
        guard course.isPrepared else { return try prepare(course, of: daemon) }
        guard let session = course.session else { return try pollLoop(course, on: machine) }
        // Each engine, the writer and the feeder are threads of their own.
        switch Int.random(in: 0..<session.devices.count + 2, using: &random) {
        case session.devices.count: session.stepped.pollWriter()
        case session.devices.count + 1: try pollSession(course, on: machine)
        case let replica:
            if !isCalm {
                let device = session.devices[replica]
                device.fails = troubles.brokenDevice || troubles.deviceFaults && random.oneIn(12)
                device.losesModel = troubles.models && random.oneIn(40)
                device.hasBadRow = troubles.badOutputs && random.oneIn(12)
            }
            session.stepped.pollEngine(replica)
        }
    }

    // MARK: Beginnings

    private func start(_ machine: Machine) throws {
        guard wantsDaemons else { return }
        // What is started by hand may be away for a while.
        if isShared, !isCalm, !random.oneIn(3) { return }
        let connection = machine.connection
        let store = MemoryJobStore(
            queue, identity: machine.name,
            before: { () throws(JobStoreError) in try connection.before() },
            after: { () throws(JobStoreError) in try connection.after() })
        machine.daemon = Daemon(
            store, try store.acquireLease(), drains: isCalm && !isShared || random.oneIn(isShared ? 4 : 2))
        try beginLife(of: machine.daemon!, on: machine)
    }

    private func beginLife(of daemon: Daemon, on machine: Machine) throws {
        let opened: OpenedIncarnation
        do throws(JobStoreError) {
            opened = try daemon.store.openIncarnation(
                NewIncarnation(pid: 1, host: machine.name, version: "1", model: "a", device: "simulated"),
                lease: daemon.lease, maxCrashes: settings.maxCrashes, at: machine.clock.source.now)
        } catch {
            guard error.isTemporary else { throw Violation("a life cannot begin: \(error)") }
            tell("\(machine.name): a daemon cannot start: \(error)")
            // A server is waited for; otherwise it does not start, and is started again.
            if !isShared { leave(machine) }
            return
        }
        let life = Life(opened.incarnation)
        let loop = DaemonLoop(
            store: daemon.store, life: life, scope: .everything, settings: settings, drains: daemon.drains,
            stop: daemon.stop, clock: machine.clock.source, log: log)
        let heartbeat = daemon.store.membership.map {
            Heartbeat(
                of: life, $0, limitMS: settings.deadAfterMS, maxCrashes: settings.maxCrashes, stop: daemon.stop,
                log: log)
        }
        tell("\(machine.name): \(opened.incarnation) begins\(daemon.drains ? ", to drain the queue" : "")")
        daemon.course = Course(life, loop, heartbeat, began: machine.clock.source.now)
    }

    /// What a life does before it works, again and again until all of it is done.
    private func prepare(_ course: Course, of daemon: Daemon) throws {
        do throws(JobStoreError) {
            try course.heartbeat?.renew()
            if isShared, troubles.hosts { course.isDraining = try isDrained(course.incarnation) }
            _ = try daemon.store.sweepOrphanedDrafts()
            try daemon.store.noteLoaded(daemon.loaded, on: "simulated", incarnation: course.incarnation)
            if try daemon.store.loadingThatKilled(before: course.incarnation) != nil {
                reach.count("models killed daemons")
            }
            try course.loop.blameLoading("a", at: course.began)
            course.isPrepared = true
        } catch {
            guard error.isTemporary else { throw Violation("\(course.incarnation) cannot work: \(error)") }
            if random.oneIn(3) { disk.isFull = false }
        }
    }

    // MARK: Heartbeats

    func isBeatDue(_ course: Course) -> Bool {
        course.heartbeat != nil && course.nextBeat <= time.steady && !course.life.isLost
    }

    func beat(_ course: Course, on machine: Machine) throws {
        guard let heartbeat = course.heartbeat else { return }
        // A judge may be cut short between his judgement and what follows from it.
        if troubles.unreachable, !isCalm, machines.contains(where: { $0.isSilent(at: time.steady) }), random.oneIn(2) {
            let isHeard = random.oneIn(2)
            machine.connection.failOnce(after: isHeard ? 2 : 1, hasEffect: !isHeard)
        }
        course.nextBeat = time.steady + settings.deadAfterMS / 7
        // It may hear that from a heartbeat that fails later.
        if course.isDraining { course.isDraining = try isDrained(course.incarnation) }
        do throws(JobStoreError) {
            try heartbeat.beat()
            if troubles.hosts { course.isDraining = try isDrained(course.incarnation) }
        } catch {
            guard error.isTemporary else { throw Violation("\(course.incarnation) has no heartbeat: \(error)") }
            for case .declaredDead(let life) in try takeEvents() where oracle.ledger.holds(life) {
                reach.count("judges cut short")
            }
        }
        if course.life.isLost { tell("\(course.incarnation) hears that it was declared dead") }
    }

    /// Whether people want a life to take no jobs.
    private func isDrained(_ life: Incarnation) throws(JobStoreError) -> Bool {
        try client.hosts().contains { $0.life.id == life && $0.state == .draining }
    }

    // MARK: Between sessions

    private func pollLoop(_ course: Course, on machine: Machine) throws {
        let daemon = machine.daemon!
        if course.waitsUntil > time.steady {
            // A wake-up, or patience at its end.
            if random.oneIn(3) {
                course.waitsUntil = 0
            } else if machines.count == 1 {
                pass(Int64.random(in: 1...40, using: &random))
            }
            return
        }
        var isDrained = false
        do throws(JobStoreError) {
            switch try course.loop.poll() {
            case .end:
                // Who is to take no more jobs ends, whatever is left.
                isDrained = daemon.drains && daemon.stop.level == .none && !course.life.isDraining
                try end(machine, "has ended")
            case .lost: lose(daemon)
            case .wait(let milliseconds): course.waitsUntil = time.steady + milliseconds
            case .run(let batch): try beginSession(for: batch, course, on: machine)
            }
        } catch {
            try end(machine, "has ended by \(error)")
        }
        if isDrained {
            reach.count("daemons drained")
            try oracle.expectDrained()
        }
    }

    // MARK: Ends

    func kill(_ machine: Machine) {
        tell("\(machine.name): kill -9")
        reach.count("daemons killed")
        queue.killDaemon(machine.name)
        machine.daemon = nil
    }

    /// A life was declared dead: another one begins with what is loaded.
    private func lose(_ daemon: Daemon) {
        tell("\(daemon.course!.incarnation) is lost")
        reach.count("lives begun anew")
        daemon.course = nil
    }

    /// A life ends in good order, as far as the store lets it.
    func end(_ machine: Machine, _ how: String) throws(JobStoreError) {
        guard let daemon = machine.daemon, let course = daemon.course else { return }
        tell("\(machine.name): \(course.incarnation) \(how)")
        if course.life.isLost { return lose(daemon) }
        do throws(JobStoreError) {
            try daemon.store.closeIncarnation(course.incarnation, at: machine.clock.source.now)
        } catch {
            guard error.isTemporary else { throw error }
        }
        leave(machine)
    }

    private func leave(_ machine: Machine) {
        machine.daemon?.lease.release()
        machine.daemon = nil
    }
}

extension QueueEvent {
    /// Whether a life, or some, has claimed a job.
    fileprivate func isClaim(by life: Incarnation?) -> Bool {
        if case .claimed(_, let owner) = self { life == nil || owner == life } else { false }
    }
}
