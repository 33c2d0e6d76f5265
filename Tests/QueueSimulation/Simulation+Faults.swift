// What goes wrong with machines, their connections and the store, and how time passes meanwhile.

import MemoryStore
import Runtime
import Settings
import StoreContract

extension Simulation {
    // MARK: Time

    func advanceTime() {
        pass(
            Int64.random(in: 1...(random.oneIn(4) ? (isShared ? 2 * settings.deadAfterMS : 2000) : 60), using: &random))
        guard random.oneIn(30) else { return }
        let jump = Int64.random(in: -5000...5000, using: &random)
        tell("the wall clock is set by \(jump) ms")
        if jump < 0 { reach.count("clock set back") }
        clockJumps += 1
        time.setWall(by: jump)
    }

    /// Lets time pass. Heartbeats have threads of their own, which mostly come in time.
    func pass(_ milliseconds: Int64) {
        guard isShared else { return time.pass(milliseconds) }
        var left = milliseconds
        while left > 0 {
            let slice = min(left, max(1, settings.deadAfterMS / 7))
            time.pass(slice)
            left -= slice
            for machine in machines where machine.hangsUntil <= time.steady {
                mendIfDue(machine)
                guard let course = machine.daemon?.course, isBeatDue(course), !random.oneIn(10) else { continue }
                do { try beat(course, on: machine) } catch { found = found ?? error as? Violation }
            }
        }
    }

    /// While a daemon waits for the store, time passes, others go on, and what is wrong may end.
    func passTroubledTime(_ machine: Machine) {
        guard isShared else {
            time.pass(settings.storeRetryMS)
            if random.oneIn(3) { disk.isFull = false }
            return
        }
        pass(Int64.random(in: settings.storeRetryMS...10 * settings.storeRetryMS, using: &random))
        if random.oneIn(3) { disk.isFull = false }
        machine.isBusy = true
        defer { machine.isBusy = false }
        do { try turn() } catch { found = found ?? error as? Violation ?? Violation("\(error)") }
    }

    /// What is cut off comes back when its time is over.
    func mendIfDue(_ machine: Machine) {
        guard machine.connection.isCut, machine.cutUntil <= time.steady else { return }
        tell("\(machine.name) can reach the store again")
        machine.connection.mend()
    }

    // MARK: Faults

    func trouble() {
        guard troubles.store else { return }
        let fails = !disk.isFull
        tell(fails ? "the disk is full" : "the disk has room")
        if fails { reach.count("store troubles") }
        disk.isFull = fails
    }

    /// Something goes wrong that only a queue with several hosts has.
    func disturb() throws {
        let machine = machines.randomElement(using: &random)!
        let longest = 3 * settings.deadAfterMS
        switch Int.random(in: 0..<7, using: &random) {
        case 0...1 where troubles.unreachable:
            machine.connection.failOnce(after: Int.random(in: 0...6, using: &random), hasEffect: random.oneIn(2))
        case 2 where troubles.partitions:
            tell("\(machine.name) cannot reach the store")
            reach.count("partitions")
            machine.connection.cut(afterNextCall: random.oneIn(2))
            machine.cutUntil = time.steady + Int64.random(in: 1...longest, using: &random)
        case 3 where troubles.hangs && !machine.isBusy:
            tell("\(machine.name) stands still")
            reach.count("hangs")
            machine.hangsUntil = time.steady + Int64.random(in: 1...longest, using: &random)
        case 4 where troubles.serverRestarts:
            tell("the server crashes and starts again")
            reach.count("server restarts")
            queue.forgetHeartbeats()
            for machine in machines { machine.connection.failOnce(after: 0, hasEffect: random.oneIn(2)) }
        case 5 where troubles.clocks: setClock(machine)
        case 6 where troubles.hosts: try changeHosts()
        default: break
        }
    }

    private func setClock(_ machine: Machine) {
        let offset = Int64.random(in: -10_800_000...10_800_000, using: &random)
        tell("the clock of \(machine.name) is \(offset) ms off")
        reach.count("clocks hours off")
        machine.clock.set(off: offset, perThousand: Int64.random(in: -100...100, using: &random))
    }

    /// From here on nothing goes wrong any more, except that some machines do not come back.
    func mendAll() {
        isCalm = true
        disk.isFull = false
        for (index, machine) in machines.enumerated() {
            machine.connection.mend()
            machine.hangsUntil = 0
            machine.clock.set(off: 0, perThousand: 0)
            guard index > 0, troubles.kills, random.oneIn(3) else { continue }
            reach.count("machines lost for good")
            if machine.daemon != nil { kill(machine) }
            machine.isGone = true
        }
    }
}
