// Several clients of one engine: their ids, their part of a report, and what is theirs to take back.

import Platform
import Testing

@testable import Engine

@Suite struct ClientTests {
    private static let left = ClientID(1)
    private static let right = ClientID(2)

    // MARK: - Ids

    @Test(arguments: [false, true])
    func anIDThatIsUsedAgainGetsNothingOfTheOldRequest(runsStepsAsync: Bool) throws {
        let fixture = EngineFixture(.small(), runsStepsAsync: runsStepsAsync) { $0.first! }
        let id = RequestID(4)
        try fixture.engine.add(id, prompt: [5, 5, 5], sampling: .ending(after: 3))
        _ = try fixture.step()
        #expect(fixture.engine.cancel(id))
        try fixture.engine.add(id, prompt: [9], sampling: .ending(after: 3))
        #expect(try fixture.drain().flatMap { $0.tokens(of: id) } == [9, 9, 9])
    }

    @Test func theOldestIsServedFirstWhateverItsNumber() throws {
        let fixture = EngineFixture(.small(slots: 2))
        let ids = (0..<5).map { RequestID(9 - $0) }
        for id in ids { try fixture.engine.add(id, prompt: [5, 5, 5], sampling: .ending(after: 2)) }
        #expect(try fixture.step()?.tokenIDs == [ids[0], ids[1]])
        #expect(fixture.engine.runningRequests == [ids[0], ids[1]])
        #expect(try fixture.step()?.tokenIDs == [ids[0], ids[1]])
        #expect(try fixture.step()?.tokenIDs == [ids[2], ids[3]])
        #expect(fixture.engine.takeBackAll() == [ids[2], ids[3], ids[4]])
    }

    @Test(arguments: [[7, 6, 5, 4, 3, 2, 1, 0], [3, 5, 1, 7, 0, 6, 2, 4]])
    func orderOfServiceFollowsArrivalAndNotTheNumbers(numbers: [Int]) throws {
        let usual = try Service((0..<8).map { RequestID($0) })
        // It is a schedule with a preemption, and with one that is passed by newer ones.
        #expect(usual.preempted.contains { !$0.isEmpty })
        #expect(usual.admitted != usual.admitted.sorted())
        #expect(usual.ran.allSatisfy { $0 == $0.sorted() })
        #expect(usual.takenBack.count > 1 && usual.takenBack == usual.takenBack.sorted())
        #expect(try Service(numbers.map { RequestID($0) }) == usual)
        // Clients are served alike.
        #expect(try Service(numbers.map { RequestID($0 / 2, of: ClientID($0 % 2)) }) == usual)
    }

    /// What happened in the steps of an engine with few slots and blocks, its requests named by their arrival.
    private struct Service: Equatable {
        var kinds: [StepReport.Kind] = []
        var ran: [[Int]] = []
        var preempted: [[Int]] = []
        var left: [[Int]] = []
        var takenBack: [Int] = []

        /// Who joined the batch, each for the first time.
        var admitted: [Int] {
            zip(kinds, ran).filter { $0.0 == .prefill }.flatMap(\.1)
                .reduce(into: []) { if !$0.contains($1) { $0.append($1) } }
        }

        init(_ ids: [RequestID]) throws {
            let fixture = EngineFixture(.small(slots: 3, blocks: 12)) { Int32($0.count) }
            for (id, length) in zip(ids, [11, 7, 30, 9, 14, 3, 26, 5]) {
                try fixture.engine.add(
                    id, prompt: Array(repeating: 5, count: length), sampling: .ending(after: 12))
            }
            let arrivals = Dictionary(uniqueKeysWithValues: zip(ids, 0...))
            func arrived(_ ids: [RequestID]) throws -> [Int] { try ids.map { try #require(arrivals[$0]) } }
            for _ in 0..<40 {
                let report = try #require(try fixture.step())
                kinds.append(report.kind)
                ran.append(try arrived(report.tokenIDs))
                preempted.append(try arrived(report.preempted))
            }
            left = try fixture.executor.steps.map { try arrived($0.leaving) }
            takenBack = try arrived(fixture.engine.takeBackAll())
        }
    }

    // MARK: - Taking back

    /// Both clients number their requests alike, the older ones higher; the last two find no slot at first.
    private static let requests = [(left, 2), (right, 2), (right, 1), (left, 1), (left, 0), (right, 0)]
        .map { client, number in RequestID(number, of: client) }

    /// An engine with those of the requests that `isMeant` is for; each generates what only its own prompt gives.
    private func fixture(
        runsStepsAsync: Bool, sharesPrefixes: Bool, where isMeant: (RequestID) -> Bool
    ) throws -> EngineFixture {
        let limits = StepLimits.small(slots: 4, sharesPrefixes: sharesPrefixes)
        let fixture = EngineFixture(limits, runsStepsAsync: runsStepsAsync) { sequence in
            1 + Int32(sequence.reduce(0) { (31 * $0 + Int($1)) % 9973 } % 98)
        }
        for (index, id) in Self.requests.enumerated() where isMeant(id) {
            let prompt = (1..<10) + [20 + Int32(index)]
            try fixture.engine.add(id, prompt: prompt, sampling: .ending(after: 9, ignoreEOS: true))
        }
        return fixture
    }

    @Test(arguments: [false, true], [false, true])
    func oneClientsRequestsAreTakenBackAndTheOthersGoOn(runsStepsAsync: Bool, sharesPrefixes: Bool) throws {
        let fixture = try fixture(runsStepsAsync: runsStepsAsync, sharesPrefixes: sharesPrefixes) { _ in true }
        let engine = fixture.engine
        var reports = try (0..<4).map { _ in try #require(try fixture.step()) }
        #expect(engine.runningRequests == Array(Self.requests[..<4]) && engine.waitingCount == 2)
        let begun = fixture.executor.steps.count

        let (mine, others) = (
            Self.requests.filter { $0.client == Self.left }, Self.requests.filter { $0.client == Self.right }
        )
        #expect(engine.takeBack(of: Self.left) == mine)
        try engine.checkIntegrity()
        #expect(engine.takeBack(of: Self.left) == [] && engine.takeBack(of: .only) == [])
        #expect(!mine.contains { engine.cancel($0) })
        #expect(engine.runningRequests == [others[0], others[1]] && engine.waitingCount == 1)

        let rest = try fixture.drain()
        #expect(rest.allSatisfy { $0.part(of: Self.right) == $0 })
        // Rows leave with the next step that begins.
        #expect(fixture.executor.steps[begun].leaving == [mine[0], mine[1]])
        #expect(engine.statistics.kvBlocksUsed == 0 && !engine.hasWork)

        reports += rest
        let alone = try self.fixture(runsStepsAsync: runsStepsAsync, sharesPrefixes: sharesPrefixes) {
            $0.client == Self.right
        }
        let expected = try alone.drain()
        for id in others {
            let tokens = reports.flatMap { $0.tokens(of: id) }
            #expect(tokens.count == 9 && tokens == expected.flatMap { $0.tokens(of: id) })
        }
        #expect(Set(others.map { id in reports.flatMap { $0.tokens(of: id) } }).count == others.count)
    }

    // MARK: - Reports

    @Test func aClientsPartOfAReportIsAboutItsRequestsAlone() {
        let (mine, other) = (RequestID(3, of: Self.left), RequestID(3, of: Self.right))
        let updates = [
            RequestUpdate(id: other, cachedTokens: 4, output: .token(7)),
            RequestUpdate(id: RequestID(5, of: Self.left), output: .token(8), finishReason: .length),
            RequestUpdate(id: mine, output: .bad(BadOutput("asked for"))),
        ]
        let preempted = [RequestID(9, of: Self.right), RequestID(8, of: Self.left), RequestID(7, of: Self.left)]
        for kind in [StepReport.Kind.prefill, .decode] {
            let report = StepReport(kind: kind, preempted: preempted, updates: updates)
            #expect(
                report.part(of: Self.left)
                    == StepReport(kind: kind, preempted: Array(preempted[1...]), updates: Array(updates[1...])))
            #expect(
                report.part(of: Self.right)
                    == StepReport(kind: kind, preempted: [preempted[0]], updates: [updates[0]]))
            #expect(report.part(of: .only) == StepReport(kind: kind))
        }
    }
}
