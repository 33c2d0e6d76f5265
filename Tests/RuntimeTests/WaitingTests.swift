// What threads use to talk to each other and to wait.

import Runtime
import TestSupport
import Testing

@Suite
struct WaitingTests {
    @Test func aMailboxKeepsTheOrderAndGivesEverythingOnce() {
        let mailbox = Mailbox<Int>()
        #expect(mailbox.receive().isEmpty)
        #expect(mailbox.receiveWaiting(atMost: .zero).isEmpty)
        mailbox.send(1)
        mailbox.send(2)
        #expect(mailbox.receiveWaiting() == [1, 2])
        #expect(mailbox.receive().isEmpty)
    }

    @Test func graceIsMeasuredFromTheFirstRequest() {
        let stop = StopSignal()
        #expect(!stop.isGraceOver(.zero), "nothing was asked for")
        stop.request(.graceful)
        #expect(stop.isGraceOver(.zero))
        #expect(!stop.isGraceOver(.seconds(3600)))
        stop.request(.immediate)
        #expect(stop.isGraceOver(.seconds(3600)))
    }

    @Test func aMailboxLosesNothingBetweenThreads() {
        let mailbox = Mailbox<Int>()
        let senders = (0..<4).map { sender in
            onThread { for number in 0..<500 { mailbox.send(sender * 1000 + number) } }
        }
        var received: [Int] = []
        while received.count < 2000 { received += mailbox.receiveWaiting() }
        senders.forEach { $0.wait() }
        for sender in 0..<4 {
            #expect(received.filter { $0 / 1000 == sender } == (0..<500).map { sender * 1000 + $0 })
        }
    }

    @Test func aStopSignalOnlyBecomesMoreUrgent() {
        let stop = StopSignal()
        let heard = Event()
        #expect(stop.level == .none)
        stop.wait(seconds: 0)
        stop.onRequest { heard.signal() }
        let waiter = onThread { stop.wait(seconds: 3600) }
        stop.request(.graceful)
        waiter.wait()
        heard.wait()
        stop.request(.immediate)
        stop.request(.graceful)
        #expect(stop.level == .immediate && heard.current == 3)
        stop.onRequest(nil)
        stop.request(.immediate)
        #expect(heard.current == 3)
    }

    @Test(arguments: [Duration.seconds(-5), .zero, .nanoseconds(1), .milliseconds(3), .microseconds(999_999)])
    func limitsOfEveryKindEnd(limit: Duration) {
        let lock = WaitingLock()
        #expect(lock.wait(atMost: limit, until: { false }, then: { 7 }) == 7)
    }
}
