// The stream of changes: one reader for all who look, and none for nobody.

import Foundation
import StoreContract
import Synchronization
import Testing

@testable import PageRoutes

@Suite
struct PageFeedTests {
    private func view(_ batch: Int64) -> PageView {
        PageView(
            tenant: nil, mayAct: true, mayPauseQueue: true, batch: BatchID(rawValue: batch), before: nil, sample: 0)
    }

    @Test func whatManyLookAtIsReadOnce() async throws {
        let reads = Mutex<[BatchID?: Int]>([:])
        let feed = PageFeed(every: .milliseconds(5)) { view in
            let number = reads.withLock { reads in
                reads[view.batch, default: 0] += 1
                return reads[view.batch]!
            }
            if number == 2 { throw CancellationError() }
            return ["now": "\(number)"]
        }
        do {
            var streams: [AsyncStream<PageFeed.Parts>.Iterator] = []
            for _ in 0..<3 { streams.append(try #require(await feed.watch(view(1))).makeAsyncIterator()) }
            var other = try #require(await feed.watch(view(2))).makeAsyncIterator()
            for index in streams.indices {
                var last = 0
                // A turn that cannot be read tells nothing.
                while last < 4 {
                    let parts = try #require(await streams[index].next())
                    if let number = parts["now"].flatMap({ Int($0) }) {
                        #expect(number > last)
                        last = number
                    }
                }
            }
            #expect(await other.next() != nil)
            #expect(await feed.watcherCount == 4)
        }
        // All have left.
        while await feed.watcherCount > 0 { try await Task.sleep(for: .milliseconds(2)) }
        try await Task.sleep(for: .milliseconds(30))
        let then = reads.withLock { $0 }
        try await Task.sleep(for: .milliseconds(50))
        #expect(reads.withLock { $0 } == then)
        // Who comes later is told again.
        var late = try #require(await feed.watch(view(1))).makeAsyncIterator()
        #expect(await late.next()?["now"] != nil)
    }

    @Test func tooManyAreTurnedAway() async throws {
        let feed = PageFeed { _ in [:] }
        var streams: [AsyncStream<PageFeed.Parts>] = []
        for _ in 0..<PageFeed.limit { streams.append(try #require(await feed.watch(view(1)))) }
        #expect(await feed.watch(view(1)) == nil)
        _ = streams
    }
}
