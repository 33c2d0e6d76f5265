// Runs seeded schedules of the daemon on a queue in memory, and prints how to repeat a failing one.
//
//   queue-simulation [--schedules N] [--first SEED]    many schedules, on all cores
//   queue-simulation --seed SEED                       one schedule, with what happens in it
//   … --defect NAME                                    with a store that does not keep a rule; see StoreDefect

import Foundation
import MemoryStore
import Synchronization

/// The value of a flag.
func value<Value>(of flag: String, _ what: String, _ read: (String) -> Value?) -> Value? {
    let arguments = CommandLine.arguments
    guard let index = arguments.firstIndex(of: flag), index + 1 < arguments.count else { return nil }
    guard let value = read(arguments[index + 1]) else {
        FileHandle.standardError.write(Data("\(flag) \(arguments[index + 1]): expected \(what)\n".utf8))
        exit(2)
    }
    return value
}

func number(of flag: String) -> UInt64? { value(of: flag, "a whole number") { UInt64($0) } }

let defects = StoreDefect.allCases.map(\.rawValue).joined(separator: ", ")
let defect = value(of: "--defect", "one of \(defects)") { StoreDefect(rawValue: $0) }

if let seed = number(of: "--seed") {
    let simulation = Simulation(seed: seed, tells: true, defect: defect)
    do {
        try simulation.run()
    } catch {
        print("seed \(seed): \(error)")
        exit(1)
    }
    print("seed \(seed): \(simulation.reach)")
    exit(0)
}

let first = number(of: "--first") ?? 0
let count = number(of: "--schedules") ?? 1000
let next = Mutex(first)
let results = Mutex((reach: Reach(), failures: [String]()))
DispatchQueue.concurrentPerform(iterations: ProcessInfo.processInfo.activeProcessorCount) { _ in
    var reach = Reach()
    while true {
        let seed = next.withLock { seed in
            defer { seed += 1 }
            return seed
        }
        guard seed < first + count, results.withLock({ $0.failures.count < (defect == nil ? 10 : 1) }) else { break }
        let simulation = Simulation(seed: seed, tells: false, defect: defect)
        do {
            try simulation.run()
            reach.add(simulation.reach)
        } catch {
            results.withLock {
                $0.failures.append(
                    "seed \(seed): \(error)\n  again: queue-simulation --seed \(seed)\(defect.map { " --defect \($0)" } ?? "")"
                )
            }
        }
    }
    results.withLock { $0.reach.add(reach) }
}
let (reach, failures) = results.withLock(\.self)
for failure in failures { print(failure) }
print("\(count) schedules: \(reach)")
if failures.isEmpty, count >= 1000, let missing = reach.missing(inThousands: Int(count / 1000)) {
    print("too few of \(missing)")
    exit(1)
}
exit(failures.isEmpty ? 0 : 1)
