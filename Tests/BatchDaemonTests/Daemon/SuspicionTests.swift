// Whom a device fault is counted against, and in which company suspects run next.

import JobStore
import Testing

@testable import BatchDaemon

@Suite struct SuspicionTests {
    private func ticket(_ job: Int64) -> ClaimTicket {
        ClaimTicket(job: JobID(rawValue: job), batch: BatchID(rawValue: 1), attempt: 1)
    }

    private func job(_ number: Int64, crashes: Int = 1) -> ClaimedJob {
        ClaimedJob(
            ticket: ticket(number), line: number, customID: "", endpoint: "", body: [], crashes: crashes,
            created: Milliseconds(rawValue: 0))
    }

    private func numbers(_ jobs: [ClaimedJob]) -> [JobID] { jobs.map(\.ticket.job) }

    @Test func aGroupIsHalvedUntilItsJobIsAlone() {
        let suspicion = Suspicion()
        let all = (1...8).map { ticket($0) }
        #expect(suspicion.note(faultUnder: all).blamed == all)
        var suspects = (1...8).map { job($0) }
        suspicion.sort(&suspects)
        let first = suspicion.takeGroup(from: &suspects)
        #expect(numbers(first) == (1...4).map { JobID(rawValue: $0) } && suspects.count == 4)
        // The second fault under them is counted against nobody.
        let second = suspicion.note(faultUnder: first.map(\.ticket))
        #expect(second.blamed.isEmpty && second.others.count == 4)
        // The larger group comes before the halves of the smaller.
        suspects = first + suspects
        suspicion.sort(&suspects)
        #expect(numbers(suspicion.takeGroup(from: &suspects)) == (5...8).map { JobID(rawValue: $0) })
        #expect(numbers(suspicion.takeGroup(from: &suspects)) == [JobID(rawValue: 1), JobID(rawValue: 2)])
        _ = suspicion.note(faultUnder: [ticket(1), ticket(2)])
        suspects = [job(2), job(1)]
        suspicion.sort(&suspects)
        #expect(numbers(suspicion.takeGroup(from: &suspects)) == [JobID(rawValue: 1)])
        // Alone, it is blamed.
        #expect(suspicion.note(faultUnder: [ticket(1)]).blamed == [ticket(1)])
    }

    @Test func whoWasBlamedInAnEarlierLifeRunsAlone() {
        let suspicion = Suspicion()
        _ = suspicion.note(faultUnder: (1...4).map { ticket($0) })
        var suspects = [job(9, crashes: 2), job(1), job(2), job(8, crashes: 1)]
        suspicion.sort(&suspects)
        #expect(numbers(suspicion.takeGroup(from: &suspects)) == [JobID(rawValue: 1), JobID(rawValue: 2)])
        #expect(numbers(suspicion.takeGroup(from: &suspects)) == [JobID(rawValue: 8)])
        #expect(numbers(suspicion.takeGroup(from: &suspects)) == [JobID(rawValue: 9)])
        #expect(suspicion.takeGroup(from: &suspects).isEmpty)
    }
}
