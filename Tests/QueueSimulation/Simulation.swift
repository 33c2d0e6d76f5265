// One schedule: people and daemons on one queue, with everything that can go wrong, in an order that the seed chooses.
//
// Loop, heartbeat, session, feeder, engine loop and writer of the daemons are the real ones, and so is the engine; they are moved
// on one turn at a time, as their threads might run. The queue, which is one daemon's own or several hosts share, and the devices
// are simulated.

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
    let queue: MemoryQueue
    /// What people use.
    let client: MemoryJobStore
    let peoplesConnection: SimulatedConnection
    var oracle: Oracle
    var reach = Reach()
    let log = Logger(label: "simulation") { _ in SwiftLogNoOpLogHandler() }
    /// What may go wrong in this schedule.
    let troubles: Troubles
    var settings = DaemonSettings()
    let disk = SimulatedDisk()
    /// Whether the queue is shared by hosts, as a server's is.
    let isShared: Bool
    /// How often the store's clock was set. A jump forth right behind one back may make silent who is well.
    var clockJumps = 0
    let machines: [Machine]
    /// Whether nothing goes wrong any more.
    var isCalm = false
    /// Whether daemons are started.
    var wantsDaemons = true
    /// What was found where it could not be thrown.
    var found: Violation?

    init(seed: UInt64, tells: Bool, defect: StoreDefect? = nil) {
        random = SplitMix64(seed: seed)
        self.tells = tells
        isShared = random.oneIn(3)
        let peoplesConnection = SimulatedConnection(SimulatedDisk())
        self.peoplesConnection = peoplesConnection
        queue = MemoryQueue(
            hasSeveralOwners: isShared, clock: isShared ? time.clock : nil,
            jobsWorthLoading: [1, 3, 256].randomElement(using: &random)!, defect: defect)
        client = MemoryJobStore(
            queue, identity: "people",
            before: { () throws(JobStoreError) in try peoplesConnection.before() },
            after: { () throws(JobStoreError) in try peoplesConnection.after() })
        oracle = Oracle(client)
        let troubles = Troubles(isShared: isShared, using: &random)
        self.troubles = troubles
        var machines: [Machine] = []
        for index in 0..<(isShared ? Int.random(in: 1...5, using: &random) : 1) {
            // The first one has all models.
            let missing = ["a", "b", nil, nil].randomElement(using: &random)!
            let lacks = troubles.missingModels && index > 0 ? Set([missing].compactMap(\.self)) : []
            machines.append(Machine("host \(index)", time, disk, lacks: lacks))
        }
        self.machines = machines
        settings.draw(using: &random)
    }

    func tell(_ what: @autoclosure () -> String) {
        if tells { print("\(time.steady) ms: \(what())") }
    }

    /// Runs to the end of all work.
    ///
    /// - Throws: `Violation`.
    func run() throws {
        if machines.count > 1 { reach.count("schedules of several hosts") }
        let steps = Int.random(in: 40...160, using: &random)
        for _ in 0..<(machines.count > 1 ? steps * 3 / 2 : steps) {
            switch Int.random(in: 0..<100, using: &random) {
            case 0..<5: try enqueue()
            case 5..<8: try pauseOrResume()
            case 8..<9: try cancel()
            case 9..<10: try retry()
            case 10..<18: advanceTime()
            case 18..<20: trouble()
            case 20..<21: try stopOrKill()
            case 21..<28 where isShared: try disturb()
            default: try turn()
            }
            if random.oneIn(20) { try audit() }
        }
        try drain()
        try audit()
        try oracle.conclude(troubles, settings, isClockSteady: clockJumps <= 1, &reach)
    }

    private func audit() throws {
        try takeEvents()
        try oracle.audit()
    }

    /// Everything that can go wrong has gone wrong; from here on the queue must come to its end.
    private func drain() throws {
        tell("from here on nothing goes wrong any more")
        mendAll()
        try resumeAll()
        var turns = 0
        while true {
            turns += 1
            guard turns < 20_000 * machines.count else {
                let open = try client.batches(before: nil, limit: 100, includingDrafts: false)
                    .filter { !$0.status.isTerminal }.map { "\($0.id) \($0.status) \($0.counts)" }
                throw Violation("the queue does not come to its end: \(open.joined(separator: "; "))")
            }
            if machines.contains(where: { $0.daemon == nil }) {
                let isDone = try client.systemStatus().openBatches == 0
                if isDone, machines.allSatisfy({ $0.daemon == nil }) { break }
                wantsDaemons = !isDone
            }
            if random.oneIn(6) { pass(Int64.random(in: 1...500, using: &random)) }
            // What was postponed by a clock that was hours off is due then.
            if troubles.clocks, turns.isMultiple(of: 2000) { pass(3_600_000) }
            if turns.isMultiple(of: 50) { try look() }
            try turn()
        }
    }

    /// People look at the queue now and then: hosts are to take jobs, and to end when there are none.
    private func look() throws {
        if isShared { try resumeHosts() }
        guard try client.systemStatus().openBatches == 0 else { return }
        // One that was started to drain ends by itself, unless others may give it something to do.
        for daemon in machines.compactMap(\.daemon) where !daemon.drains || isShared { daemon.stop.request(.graceful) }
    }
}
