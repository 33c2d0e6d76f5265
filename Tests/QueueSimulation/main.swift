// Runs seeded schedules of the daemon on a queue in memory, and prints how to repeat a failing one.
//
//   queue-simulation [--schedules N] [--first SEED]    many schedules, on all cores
//   queue-simulation --seed SEED                       one schedule, with what happens in it

import Foundation
import Synchronization

/// The value of a flag.
func value(of flag: String) -> UInt64? {
    let arguments = CommandLine.arguments
    guard let index = arguments.firstIndex(of: flag), index + 1 < arguments.count else { return nil }
    guard let number = UInt64(arguments[index + 1]) else {
        FileHandle.standardError.write(Data("\(flag) \(arguments[index + 1]): expected a whole number\n".utf8))
        exit(2)
    }
    return number
}

if let seed = value(of: "--seed") {
    let simulation = Simulation(seed: seed, tells: true)
    do {
        try simulation.run()
    } catch {
        print("seed \(seed): \(error)")
        exit(1)
    }
    print("seed \(seed): \(simulation.reach)")
    exit(0)
}

let first = value(of: "--first") ?? 0
let count = value(of: "--schedules") ?? 1000
let next = Mutex(first)
let results = Mutex((reach: Reach(), failures: [String]()))
DispatchQueue.concurrentPerform(iterations: ProcessInfo.processInfo.activeProcessorCount) { _ in
    var reach = Reach()
    while true {
        let seed = next.withLock { seed in
            defer { seed += 1 }
            return seed
        }
        guard seed < first + count, results.withLock({ $0.failures.count < 10 }) else { break }
        let simulation = Simulation(seed: seed, tells: false)
        do {
            try simulation.run()
            reach.add(simulation.reach)
        } catch {
            results.withLock { $0.failures.append("seed \(seed): \(error)\n  again: queue-simulation --seed \(seed)") }
        }
    }
    results.withLock { $0.reach.add(reach) }
}
let (reach, failures) = results.withLock(\.self)
for failure in failures { print(failure) }
print("\(count) schedules: \(reach)")
if failures.isEmpty, count >= 1000, let missing = reach.missing {
    print("no schedule had \(missing)")
    exit(1)
}
exit(failures.isEmpty ? 0 : 1)
