// Lets claimants work on a queue in PostgreSQL, and prints what happens, a line each: etc/bench/hosts reads them.
//
//   hosts-benchmark fill    store|in-place ADDRESS FOLDER COUNT
//   hosts-benchmark enqueue store ADDRESS FOLDER COUNT
//   hosts-benchmark work    store|in-place ADDRESS FOLDER CLAIMANTS SECONDS RATE
//
// `fill`: COUNT jobs that have ended and COUNT that wait. RATE: jobs per second, 0: as many as they can. FOLDER: where the
// claimants keep what tells them apart.

import Benchmarks
import Foundation
import PostgresClient
import PostgresStore
import Runtime
import StoreContract

@main
enum HostsBenchmarkProgram {
    static func main() throws {
        let words = Array(CommandLine.arguments.dropFirst())
        guard words.count >= 5, let address = PostgresAddress(words[2]), let count = Int(words[4]) else {
            fatalError("see the first lines of \(#filePath)")
        }
        let (isStore, folder) = (words[1] == "store", words[3])
        let open: @Sendable (Int) throws -> any JobStore = { number in
            try PostgresJobStore(
                address, stateDirectory: "\(folder)/claimant-\(number)", at: TimeSource.system.now)
        }
        switch words[0] {
        case "fill" where !isStore: try InPlaceClaimant.fill(address, jobs: count)
        case "fill": try fill(try open(0), count)
        case "enqueue": try enqueue(count, try open(0))
        default:
            var benchmark = HostsBenchmark { number in
                if isStore { return try StoreClaimant.open(try open(number)) }
                return (try InPlaceClaimant(address, life: number), 0)
            }
            benchmark.claimants = count
            benchmark.seconds = Double(words[5])!
            benchmark.rate = Double(words[6]).flatMap { $0 > 0 ? $0 : nil }
            try benchmark.run { event in
                let facts: String
                switch event.kind {
                case .claim(let jobs): facts = "claim \(jobs)"
                case .finish(let jobs): facts = "finish \(jobs)"
                case .opened(let orphans): facts = "opened \(orphans)"
                case .reaped(let jobs): facts = "reaped \(jobs)"
                case .dead: facts = "dead"
                case .failed(let words): facts = "failed \(words)"
                }
                Self.print("\(event.at.rawValue) \(event.took) \(facts)")
            }
        }
    }

    /// Four batches that have ended, and four that wait.
    private static func fill(_ store: any JobStore, _ count: Int) throws {
        for _ in 0..<4 { try QueueBenchmark.enqueue(count / 4, store) }
        let claimant = try StoreClaimant.open(store).claimant
        while try claimant.claim(4096) > 0 { _ = try claimant.finish() }
        for _ in 0..<4 { try QueueBenchmark.enqueue(count / 4, store) }
    }

    private static func enqueue(_ count: Int, _ store: any JobStore) throws {
        let began = ContinuousClock.now
        try QueueBenchmark.enqueue(count, store)
        print("\(TimeSource.system.now.rawValue) \((ContinuousClock.now - began) / .milliseconds(1)) stored \(count)")
    }

    /// Each line at once, for whoever waits for it.
    private static func print(_ line: String) { FileHandle.standardOutput.write(Data((line + "\n").utf8)) }
}
