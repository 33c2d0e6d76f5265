// A machine of the simulation: its clock, its way to the store, and the daemon that runs on it.

import BatchDaemon
import MemoryStore
import Runtime
import Settings
import StoreContract
import Synchronization

/// A machine and state directory, on which one daemon runs at a time.
final class Machine {
    let name: String
    let clock: SimulatedClock
    let connection: SimulatedConnection
    /// Models that it does not have.
    let lacks: Set<String>
    /// Its process; nil: none.
    var daemon: Daemon?
    /// Whether its daemon waits for the store in the midst of a turn.
    var isBusy = false
    /// Whether it never comes back.
    var isGone = false
    /// Until when all threads of the process stand still, by the steady clock.
    var hangsUntil: Int64 = 0
    /// Until when no call reaches the store.
    var cutUntil: Int64 = 0

    init(_ name: String, _ time: SimulatedTime, _ disk: SimulatedDisk, lacks: Set<String> = []) {
        self.name = name
        self.lacks = lacks
        clock = SimulatedClock(time)
        connection = SimulatedConnection(disk)
    }
}

extension Machine {
    /// Whether the store hears nothing of it.
    func isSilent(at steady: Int64) -> Bool { daemon == nil || hangsUntil > steady || connection.isCut }
}

/// A process.
final class Daemon {
    let store: MemoryJobStore
    let lease: any DaemonLease
    let stop = StopSignal()
    let drains: Bool
    /// The model that it has loaded; it stays loaded from one life to the next.
    var loaded: String?
    /// Its life; nil: one is about to begin.
    var course: Course?
    /// Its life, if that has heard that people want it to take no jobs.
    var draining: Incarnation? { course.flatMap { $0.isDraining ? $0.incarnation : nil } }

    init(_ store: MemoryJobStore, _ lease: any DaemonLease, drains: Bool) {
        self.store = store
        self.lease = lease
        self.drains = drains
    }
}

/// A life of a daemon.
final class Course {
    let life: Life
    var loop: DaemonLoop
    /// Nil where the store has one owner.
    let heartbeat: Heartbeat?
    let began: Milliseconds
    var nextBeat: Int64 = 0
    /// Whether it has heard that people want it to take no jobs.
    var isDraining = false
    /// Whether it has done what comes before its work.
    var isPrepared = false
    var waitsUntil: Int64 = 0
    var session: (stepped: SteppedSession, devices: [SimulatedDevice])?
    /// The batch that the session was begun for.
    var batch: ClaimableBatch?

    init(_ life: Life, _ loop: DaemonLoop, _ heartbeat: Heartbeat?, began: Milliseconds) {
        self.began = began
        self.life = life
        self.loop = loop
        self.heartbeat = heartbeat
    }

    var incarnation: Incarnation { life.incarnation }
}

/// A machine's clock, which may be wrong and get more so.
final class SimulatedClock: Sendable {
    private let time: SimulatedTime
    private let error = Mutex((offset: Int64(0), perThousand: Int64(0)))

    init(_ time: SimulatedTime) { self.time = time }

    /// Makes it wrong by `offset` milliseconds now, and by `perThousand` more for each second.
    func set(off offset: Int64, perThousand: Int64) {
        error.withLock { $0 = (offset - time.steady * perThousand / 1000, perThousand) }
    }

    private var now: Milliseconds {
        error.withLock { max(1, time.wall + $0.offset + time.steady * $0.perThousand / 1000) }
    }

    var source: TimeSource { TimeSource({ self.now }, steady: { self.time.steady }) }
}

/// A machine's way to the store, with what goes wrong on it.
final class SimulatedConnection: Sendable {
    private struct State {
        var isCut = false
        /// Whether the next call is the last one, and is not heard of.
        var isAboutToBeCut = false
        /// The calls until one goes wrong, and whether that one has its effect.
        var fault: (calls: Int, hasEffect: Bool)?
        var unheard = 0
        var failed = 0
    }

    private let state = Mutex(State())
    private let disk: SimulatedDisk

    init(_ disk: SimulatedDisk) { self.disk = disk }

    private static let unreachable = JobStoreError.unreachable(server: "memory", reason: "asked for")

    func before() throws(JobStoreError) {
        let fails = state.withLock { state in
            if state.isCut { return true }
            guard let fault = state.fault, fault.calls == 0, !fault.hasEffect else { return false }
            state.fault = nil
            state.failed += 1
            return true
        }
        if fails { throw Self.unreachable }
        if disk.isFull { throw .diskFull(path: "memory") }
    }

    func after() throws(JobStoreError) {
        let fails = state.withLock { state in
            state.isCut = state.isAboutToBeCut
            state.isAboutToBeCut = false
            let isLast = state.fault.map { $0.calls == 0 && $0.hasEffect } ?? false
            if isLast { state.fault = nil } else { state.fault?.calls -= 1 }
            guard isLast || state.isCut else { return false }
            state.unheard += 1
            return true
        }
        if fails { throw Self.unreachable }
    }

    /// Makes a call go wrong: it is not made, or its answer is lost.
    func failOnce(after calls: Int, hasEffect: Bool) { state.withLock { $0.fault = (calls, hasEffect) } }

    /// From now on, or after one more call whose answer is lost, no call is made.
    func cut(afterNextCall: Bool) {
        state.withLock { state in
            state.isCut = !afterNextCall
            state.isAboutToBeCut = afterNextCall
        }
    }

    var isCut: Bool { state.withLock { $0.isCut || $0.isAboutToBeCut } }

    /// Nothing is wrong from now on.
    func mend() {
        state.withLock { state in
            state.isCut = false
            state.isAboutToBeCut = false
            state.fault = nil
        }
    }

    /// How many answers were lost, and how many calls were not made, except while it was cut.
    var unheard: Int { state.withLock(\.unheard) }
    var failed: Int { state.withLock(\.failed) }
}
