// Whom a device fault is counted against, and in which groups suspects run next.

import Runtime
import StoreContract
import Testing

@testable import BatchDaemon

@Suite struct BisectionTests {
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
        let bisection = Bisection()
        let all = (1...8).map { JobID(rawValue: $0) }
        #expect(bisection.note(faultUnder: all) == Set(all))
        var suspects = (1...8).map { job($0) }
        bisection.sort(&suspects)
        let first = bisection.takeGroup(from: &suspects)
        #expect(numbers(first) == (1...4).map { JobID(rawValue: $0) } && suspects.count == 4)
        // The second fault with them is not counted against any job.
        #expect(bisection.note(faultUnder: numbers(first)).isEmpty)
        // The larger group comes before the halves of the smaller.
        suspects = first + suspects
        bisection.sort(&suspects)
        #expect(numbers(bisection.takeGroup(from: &suspects)) == (5...8).map { JobID(rawValue: $0) })
        #expect(numbers(bisection.takeGroup(from: &suspects)) == [JobID(rawValue: 1), JobID(rawValue: 2)])
        _ = bisection.note(faultUnder: [JobID(rawValue: 1), JobID(rawValue: 2)])
        suspects = [job(2), job(1)]
        bisection.sort(&suspects)
        #expect(numbers(bisection.takeGroup(from: &suspects)) == [JobID(rawValue: 1)])
        // Alone, it is blamed.
        #expect(bisection.note(faultUnder: [JobID(rawValue: 1)]) == [JobID(rawValue: 1)])
    }

    @Test func whoWasBlamedInAnEarlierLifeRunsAlone() {
        let bisection = Bisection()
        _ = bisection.note(faultUnder: (1...4).map { JobID(rawValue: $0) })
        var suspects = [job(9, crashes: 2), job(1), job(2), job(8, crashes: 1)]
        bisection.sort(&suspects)
        #expect(numbers(bisection.takeGroup(from: &suspects)) == [JobID(rawValue: 1), JobID(rawValue: 2)])
        #expect(numbers(bisection.takeGroup(from: &suspects)) == [JobID(rawValue: 8)])
        #expect(numbers(bisection.takeGroup(from: &suspects)) == [JobID(rawValue: 9)])
        #expect(bisection.takeGroup(from: &suspects).isEmpty)
    }
}
