// What waits for requests in flight hears of their ends.

import Platform
import TestSupport
import Testing

@testable import Serving

@Suite
struct InFlightTests {
    @Test func inFlightWakesForEveryNewsSinceItsCount() {
        let inFlight = InFlight<Int>(replicas: 1)
        inFlight.add(RequestID(1), 7)
        #expect(inFlight.count == 1 && inFlight.all == [7])
        let seen = inFlight.newsCount
        inFlight.remove([RequestID(1)])
        // The news came before the wait, and is not slept over.
        inFlight.waitForNews(since: seen, atMost: .seconds(3600))
        #expect(inFlight.count == 0)
        let waiting = inFlight.newsCount
        let waiter = onThread { inFlight.waitForNews(since: waiting, atMost: .seconds(3600)) }
        inFlight.nudge()
        waiter.wait()
        inFlight.waitForNews(since: inFlight.newsCount, atMost: .zero)
    }
}
