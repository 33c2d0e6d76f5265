// Deadlines as people write them.

import Foundation
import Runtime
import Testing

@testable import Intake

@Suite struct DeadlineTests {
    private let zone = TimeZone(identifier: "Europe/Berlin")!
    /// 2026-11-25 12:00:00 UTC, 13:00 in Berlin.
    private let now = Milliseconds(rawValue: 1_795_608_000_000)

    private func hours(_ text: String) throws -> Double {
        Double(try Deadline.parse(time: text, now: now, timeZone: zone) - now) / 3_600_000
    }

    @Test(arguments: [
        ("2026-11-26 13:00", 24), ("2026-11-26T13:00:00", 24), ("2026-11-26T12:00:00Z", 24),
        ("2026-11-26 12:00+00:00", 24), ("2026-11-26T17:00:00+05:00", 24), ("14:30", 1.5), ("12:59", 24 - 1.0 / 60),
        ("13:00", 24), ("00:00", 11),
    ])
    func instantsAreRead(text: String, expected: Double) throws {
        #expect(abs(try hours(text) - expected) < 1e-9)
    }

    /// The next 02:30 that there is, in a night in which clocks go forward.
    @Test func aTimeOfDayThatIsSkippedIsTheNextOne() throws {
        let evening = Milliseconds(rawValue: 1_774_731_600_000)
        let deadline = try Deadline.parse(time: "02:30", now: evening, timeZone: zone)
        #expect(deadline > evening && deadline - evening <= 24 * 3_600_000)
    }

    @Test(arguments: [
        "", "soon", "25:00", "2026-11-25 12:59", "2026-02-30 10:00", "2026-11-26", "1795608000", "2026-11-26 13:00 x",
    ])
    func whatIsNoFutureInstantIsRefused(text: String) {
        #expect(throws: InvalidDeadline.self) { try hours(text) }
    }

    @Test(arguments: [("1s", 1), ("90m", 5400), ("24h", 86_400), ("2d", 172_800), ("1000d", 86_400_000)])
    func windowsAreRead(text: String, seconds: Int64) throws {
        #expect(try Deadline.parse(window: text, now: now) == now + seconds * 1000)
    }

    @Test(arguments: ["", "h", "24", "0h", "-1h", "1.5h", "24 h", "1w", "1001d", "99999999999999999999s", "٣h"])
    func whatIsNoWindowIsRefused(text: String) {
        #expect(throws: InvalidDeadline.self) { try Deadline.parse(window: text, now: now) }
    }
}
