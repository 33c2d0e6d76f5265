// A queue from one thread to another, with waiting.

import Foundation

/// Messages for a thread. Senders never wait; the receiver waits until a message or a deadline comes.
final class Mailbox<Message: Sendable>: @unchecked Sendable {
    private let condition = NSCondition()
    private var messages: [Message] = []

    /// Adds a message and wakes the receiver.
    func send(_ message: Message) {
        condition.withLock {
            messages.append(message)
            condition.signal()
        }
    }

    /// Takes all messages that are there, without waiting.
    func receive() -> [Message] {
        condition.withLock { take() }
    }

    /// Takes all messages, waiting for the first one.
    func receiveWaiting() -> [Message] {
        condition.withLock {
            while messages.isEmpty { condition.wait() }
            return take()
        }
    }

    /// Takes all messages, waiting for the first one until `deadline`; empty when none came.
    func receive(until deadline: Date) -> [Message] {
        condition.withLock {
            while messages.isEmpty, condition.wait(until: deadline) {}
            return take()
        }
    }

    private func take() -> [Message] {
        defer { messages.removeAll(keepingCapacity: true) }
        return messages
    }
}
