// Which replica a request goes to, and who hears of a cancel.

import Platform
import Runtime
import Testing

@testable import Serving

struct ReplicaRoutingTests {
    private let mailboxes: [Mailbox<EngineCommand>]
    private let replicas: Replicas<Int>
    private var inFlight: InFlight<Int> { replicas.inFlight }

    init() {
        mailboxes = (0..<4).map { _ in Mailbox() }
        replicas = Replicas(mailboxes, slots: 4, client: .only) { _, _ in }
    }

    private func add(_ numbers: Range<Int>) { for number in numbers { inFlight.add(RequestID(number), number) } }

    private func remove(_ numbers: [Int]) { inFlight.remove(numbers.map { RequestID($0) }) }

    @Test func aRequestGoesToTheReplicaWithTheFewest() {
        add(0..<9)
        #expect((0..<9).map { inFlight.place(of: RequestID($0))?.replica } == [0, 1, 2, 3, 0, 1, 2, 3, 0])
        remove([1, 5, 2])
        #expect(inFlight.loads == [3, 0, 1, 2])
        #expect(inFlight.place(of: RequestID(1))?.replica == nil)
        inFlight.removePutBack([RequestID(1), RequestID(0)])
        #expect(inFlight.loads == [2, 0, 1, 2])
        add(9..<12)
        #expect((9..<12).map { inFlight.place(of: RequestID($0))?.replica } == [1, 1, 2])
        #expect(Set(inFlight.all) == [3, 4, 6, 7, 8, 9, 10, 11])
    }

    /// A replica whose requests are short must not wait until the others have room as well.
    @Test func oneReplicaWithRoomIsEnough() {
        #expect(replicas.room == 32)
        add(0..<32)
        #expect(replicas.room == 0)
        remove([0, 1])
        #expect(replicas.room == 0, "less than a handful for each")
        remove([4])
        #expect(replicas.room == 3)
    }

    @Test func aCancelGoesToTheReplicaThatHasTheRequest() {
        add(0..<8)
        remove([2])
        // 2 has ended: no replica need hear of it.
        for number in [5, 2, 6] { replicas.cancel(RequestID(number)) }
        let cancelled = mailboxes.map { mailbox in
            mailbox.receive().compactMap { command -> Int? in
                if case .cancel(let id) = command { id.number } else { nil }
            }
        }
        #expect(cancelled == [[], [5], [6], []])
    }
}
