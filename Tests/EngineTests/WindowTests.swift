// Groups of layers with a window: what is freed as a sequence grows, what that lets in, and what can still be shared.

import Platform
import Sampling
import Testing

@testable import Engine

@Suite struct WindowTests {
    /// Limits with blocks of 4 tokens: `all` where all tokens are kept, and `windowed` of a group with `window`.
    private func limits(
        all: Int? = 64, window: Int = 8, windowed: Int, slots: Int = 4, sharesPrefixes: Bool = false
    ) -> StepLimits {
        let groups = all.map { [KVCacheGroup(blockCount: $0)] } ?? []
        return .small(
            slots: slots, sharesPrefixes: sharesPrefixes,
            groups: groups + [KVCacheGroup(window: window, blockCount: windowed)])
    }

    /// `count` tokens that depend on `seed`.
    private func prompt(_ count: Int, _ seed: Int32 = 0) -> [Int32] {
        (0..<Int32(count)).map { 1 + ($0 * 7 + seed) % 90 }
    }

    @Test func aSequenceKeepsNoMoreThanItsWindow() throws {
        for all in [64, nil] {
            let fixture = EngineFixture(limits(all: all, windowed: 16))
            let id = try fixture.add(20, maxTokens: 40)
            // The prefill needs the blocks of all its tokens; when it has ended, the next token attends to 13…20.
            #expect(try fixture.step()?.tokenIDs == [id])
            #expect(
                fixture.executor.prefills[0]?[0].blocks.map(\.count) == Array(repeating: 5, count: all == nil ? 1 : 2))
            var used: [Int] = []
            repeat {
                used.append(fixture.engine.statistics.kvBlocksUsed)
            } while try fixture.step()?.endings.isEmpty == true
            // Of position p, the window's first block is (p − 7) / 4, and its own p / 4 the last.
            let expected = (20..<60).map { position in
                let own = position / 4 + (position == 20 ? 0 : 1)
                return own - (position - 7) / 4 + (all == nil ? 0 : own)
            }
            // A block is allocated by the step that writes it.
            #expect(zip(used, expected).allSatisfy { $0 == $1 || $0 == $1 - (all == nil ? 1 : 2) })
            #expect(used.count == 39 && fixture.engine.statistics.kvBlocksUsed == 0)
        }
    }

    @Test func aRequestWaitsUntilEveryGroupHasItsBlocks() throws {
        // Two prompts of 40 tokens do not fit the windowed group together, but the second fits when the first is done.
        let fixture = EngineFixture(limits(windowed: 16))
        let (first, second) = (try fixture.add(40, maxTokens: 3), try fixture.add(40, maxTokens: 3))
        #expect(try fixture.step()?.tokenIDs == [first])
        #expect(try fixture.step()?.tokenIDs == [second])
        #expect(fixture.engine.statistics.kvBlocksUsed == 2 * (10 + 2))
        _ = try fixture.drain()
    }

    @Test func aSmallGroupOfWindowsHoldsManyLongSequences() throws {
        // Four sequences of 60 tokens: 15 blocks each if all were kept.
        let fixture = EngineFixture(limits(windowed: 15))
        for _ in 0..<4 { _ = try fixture.add(8, maxTokens: 52) }
        _ = try fixture.drain()
        #expect(fixture.engine.statistics.preemptions == 0)
        #expect(fixture.engine.statistics.generatedTokens == 4 * 52)
    }

    @Test func growthInOneGroupPreempts() throws {
        // Windows of 33 tokens: 9 or 10 blocks for each of two sequences.
        let fixture = EngineFixture(limits(window: 33, windowed: 15))
        let ids = try (0..<2).map { _ in try fixture.add(12, maxTokens: 48) }
        let reports = try fixture.drain()
        #expect(reports.flatMap(\.preempted).contains(ids[1]) && !reports.flatMap(\.preempted).contains(ids[0]))
        for id in ids { #expect(reports.flatMap { $0.tokens(of: id) }.count == 48) }
    }

    @Test func theLongestSequenceIsThatOfTheSmallestGroup() throws {
        let fixture = EngineFixture(limits(windowed: 8))
        #expect(throws: RequestRefusal.promptExceedsKVCache(tokens: 32, cacheTokens: 32)) {
            try fixture.add(32, maxTokens: 1)
        }
        let id = try fixture.add(20, maxTokens: 40)
        #expect(try fixture.drain().flatMap(\.endings) == [Ending(id, .length)])
    }

    @Test func aPrefixIsSharedWithoutTheBlocksBehindTheWindow() throws {
        let fixture = EngineFixture(limits(windowed: 16, sharesPrefixes: true))
        let beginning = prompt(32)
        _ = try fixture.add(prompt: beginning, sampling: .ending(after: 1, ignoreEOS: true))
        _ = try fixture.drain()
        _ = try fixture.add(prompt: beginning + [91, 92], sampling: .ending(after: 1, ignoreEOS: true))
        _ = try fixture.step()
        let row = try #require(fixture.executor.prefills.last??.first)
        // Token 32 attends to 25…32.
        #expect(row.computedTokens == 32)
        #expect(row.blocks[0].allSatisfy { $0 >= 0 })
        #expect(row.blocks[1].map { $0 >= 0 } == [false, false, false, false, false, false, true, true, true])
    }

    /// Where a device can begin in the middle of a block, the block of each group is copied.
    @Test func aPartialHitCopiesTheBlockOfEachGroup() throws {
        let fixture = EngineFixture(limits(windowed: 16, sharesPrefixes: true))
        let beginning = prompt(32)
        _ = try fixture.add(prompt: beginning, sampling: .ending(after: 1, ignoreEOS: true))
        _ = try fixture.drain()
        _ = try fixture.add(prompt: beginning.prefix(30) + [91, 92], sampling: .ending(after: 2, ignoreEOS: true))
        _ = try fixture.drain()
        let row = try #require(fixture.executor.prefills.compactMap(\.self).last?.first)
        #expect(row.computedTokens == 30 && row.copiedBlocks.count == 2)
        #expect(row.blocks[1].map { $0 >= 0 } == [false, false, false, false, false, true, true, true])
    }

    /// Other requests evict windowed blocks of a prompt that has ended: those that were freed first, the end before the
    /// beginning. A prompt of 9 tokens leaves the last block; one of 31 none. The second block is evicted last where
    /// another prompt has shared it meanwhile.
    @Test(arguments: [(others: 9, touches: false, cached: 28), (28, true, 8), (31, false, 0)])
    func aPrefixIsSharedAsFarAsItsWindowIsCached(others: Int, touches: Bool, cached: Int) throws {
        for all in [64, nil] {
            let fixture = EngineFixture(limits(all: all, window: 5, windowed: 8, sharesPrefixes: true))
            let once = SamplingParams.ending(after: 1, ignoreEOS: true)
            var prompts = [prompt(28), prompt(others, 50)]
            if touches { prompts.insert(prompt(8) + [91], at: 1) }
            for prompt in prompts {
                _ = try fixture.add(prompt: prompt, sampling: once)
                _ = try fixture.drain()
            }
            _ = try fixture.add(prompt: prompt(28) + [91], sampling: once)
            #expect(try fixture.step()?.updates.map(\.cachedTokens) == [cached], "\(String(describing: all))")
        }
    }

    /// As a sequence grows, its leading windowed blocks are freed, and are the first to be evicted. What remains of its
    /// window can be shared without them.
    @Test func theBeginningNeedNotBeCached() throws {
        for all in [64, nil] {
            let fixture = EngineFixture(limits(all: all, window: 5, windowed: 8, sharesPrefixes: true))
            let beginning = prompt(28)
            let running = try fixture.add(prompt: beginning, sampling: .ending(after: 20, ignoreEOS: true))
            _ = try fixture.step()
            // Takes all blocks that the running request does not refer to.
            _ = try fixture.add(prompt: prompt(20, 50), sampling: .ending(after: 1, ignoreEOS: true))
            #expect(try fixture.step()?.tokenIDs.contains(running) == false)
            _ = try fixture.add(prompt: beginning + [91], sampling: .ending(after: 1, ignoreEOS: true))
            let report = try #require(try fixture.step())
            #expect(report.updates.map(\.cachedTokens) == [28], "\(String(describing: all))")
            _ = try fixture.drain()
        }
    }

    /// A device that gives a request no token may have written nonsense all along: what the request has freed is not
    /// shared either.
    @Test func whatABadRequestHasFreedIsNotShared() throws {
        for all in [64, nil] {
            let fixture = EngineFixture(limits(all: all, window: 5, windowed: 16, sharesPrefixes: true))
            let bad = try fixture.add(prompt: prompt(28), sampling: .ending(after: 20, ignoreEOS: true))
            _ = try fixture.step()
            fixture.executor.badOutputs = [bad]
            _ = try fixture.step()
            #expect(!fixture.engine.hasWork)
            fixture.executor.badOutputs = []
            _ = try fixture.add(prompt: prompt(28), sampling: .ending(after: 1, ignoreEOS: true))
            #expect(try fixture.step()?.updates.map(\.cachedTokens) == [0])
            _ = try fixture.drain()
        }
    }
}
