// One schedule: people and a daemon on one queue, with everything that can go wrong, in an order that the seed chooses.
//
// Course, session, feeder, engine loop and writer of the daemon are the real ones, and so is the engine; they are moved on one
// turn at a time, as their threads might run. The queue and the device are simulated.

import BatchDaemon
import Engine
import Logging
import MemoryStore
import Platform
import Runtime
import Settings
import StoreContract
import TestSupport

/// Something that must never happen has happened.
struct Violation: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}

/// A schedule.
final class Simulation {
    var random: SplitMix64
    let tells: Bool
    let time = SimulatedTime()
    let queue = MemoryQueue()
    /// What people use.
    let client: MemoryJobStore
    var oracle: Oracle
    var reach = Reach()
    let log = Logger(label: "simulation") { _ in SwiftLogNoOpLogHandler() }
    /// What may go wrong in this schedule.
    let troubles: Troubles
    var settings = DaemonSettings()
    let disk = SimulatedDisk()
    var daemon: Daemon?

    /// What a schedule has, so that some schedules can be judged strictly.
    struct Troubles {
        var kills = false
        var deviceFaults = false
        /// The device fails at every step.
        var brokenDevice = false
        var badOutputs = false
        var poison = false
        var store = false
        var models = false
        /// The daemon dies while it loads models.
        var loading = false
    }

    /// A life of the daemon.
    struct Daemon {
        var store: MemoryJobStore
        var lease: any DaemonLease
        var incarnation: Incarnation
        var loop: DaemonLoop
        let stop: StopSignal
        let drains: Bool
        var waitsUntil: Int64 = 0
        var session: (stepped: SteppedSession, devices: [SimulatedDevice])?
        /// The batch that the session was begun for.
        var batch: ClaimableBatch?
    }

    init(seed: UInt64, tells: Bool) {
        random = SplitMix64(seed: seed)
        self.tells = tells
        client = MemoryJobStore(queue)
        oracle = Oracle(client)
        var troubles = Troubles()
        if !random.oneIn(4) {
            troubles.kills = random.oneIn(2)
            troubles.deviceFaults = random.oneIn(3)
            troubles.brokenDevice = random.oneIn(10)
            troubles.badOutputs = random.oneIn(3)
            troubles.poison = random.oneIn(3)
            troubles.store = random.oneIn(3)
            troubles.models = random.oneIn(4)
            troubles.loading = random.oneIn(8)
        }
        self.troubles = troubles
        settings.pollIntervalMS = Int64.random(in: 1...200, using: &random)
        settings.commitIntervalMS = Int64.random(in: 0...100, using: &random)
        settings.commitGroupSize = Int.random(in: 1...6, using: &random)
        settings.metricsIntervalMS = 1000
        settings.graceMS = random.oneIn(2) ? 0 : 3_600_000
        settings.storeRetryMS = 50
        settings.maxCrashes = Int.random(in: 1...3, using: &random)
        settings.maxBadOutputs = Int.random(in: 1...3, using: &random)
        settings.maxModelErrors = Int.random(in: 1...3, using: &random)
        settings.backoffMS = [0, 10, 300].randomElement(using: &random)!
        settings.modelTurnMS = [0, 500, 1_000_000].randomElement(using: &random)!
    }

    func tell(_ what: @autoclosure () -> String) {
        if tells { print("\(time.steady) ms: \(what())") }
    }

    /// Runs to the end of all work.
    ///
    /// - Throws: `Violation`.
    func run() throws {
        for _ in 0..<Int.random(in: 40...160, using: &random) {
            switch Int.random(in: 0..<100, using: &random) {
            case 0..<5: try enqueue()
            case 5..<8: try pauseOrResume()
            case 8..<9: try cancel()
            case 9..<10: try retry()
            case 10..<18: advanceTime()
            case 18..<20: trouble()
            case 20..<21: try stopOrKill()
            default: try turn()
            }
            if random.oneIn(20) { try oracle.audit(at: time.wall) }
        }
        try drain()
        try oracle.conclude(troubles, settings, &reach)
    }

    func advanceTime() {
        time.pass(Int64.random(in: 1...(random.oneIn(4) ? 2000 : 60), using: &random))
        guard random.oneIn(30) else { return }
        let jump = Int64.random(in: -5000...5000, using: &random)
        tell("the wall clock is set by \(jump) ms")
        if jump < 0 { reach.count("clock set back") }
        time.setWall(by: jump)
    }

    private func trouble() {
        guard troubles.store else { return }
        let fails = !disk.isFull
        tell(fails ? "the disk is full" : "the disk has room")
        if fails { reach.count("store troubles") }
        disk.isFull = fails
    }

    /// Everything that can go wrong has gone wrong; from here on the queue must come to its end.
    private func drain() throws {
        tell("from here on nothing goes wrong any more")
        disk.isFull = false
        try resumeAll()
        var turns = 0
        while true {
            turns += 1
            guard turns < 20_000 else {
                let open = try client.batches(before: nil, limit: 100, includingDrafts: false)
                    .filter { !$0.status.isTerminal }.map { "\($0.id) \($0.status) \($0.counts)" }
                throw Violation("the queue does not come to its end: \(open.joined(separator: "; "))")
            }
            if daemon == nil {
                if try client.systemStatus().openBatches == 0 { break }
                try start(drains: true, calm: true)
            }
            if random.oneIn(6) { time.pass(Int64.random(in: 1...500, using: &random)) }
            // One that was not started to drain is stopped when it has nothing left to do.
            if turns.isMultiple(of: 50), let daemon, !daemon.drains, try client.systemStatus().openBatches == 0 {
                daemon.stop.request(.graceful)
            }
            try turn(calm: true)
        }
    }
}
