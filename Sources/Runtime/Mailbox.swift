// A queue of messages from threads to one thread.

/// Messages for a thread. Senders never block; the receiver blocks until a message comes or a time limit passes.
package final class Mailbox<Message: Sendable>: @unchecked Sendable {
    private let lock = WaitingLock()
    private var messages: [Message] = []

    /// Makes an empty mailbox.
    package init() {}

    /// Adds a message and wakes the receiver.
    package func send(_ message: Message) {
        lock.change { messages.append(message) }
    }

    /// Takes all messages without blocking.
    package func receive() -> [Message] {
        lock.withLock { take() }
    }

    /// Takes all messages; blocks until there is one. With a `limit` it may return none.
    package func receiveWaiting(atMost limit: Duration? = nil) -> [Message] {
        lock.wait(atMost: limit, until: { !messages.isEmpty }, then: take)
    }

    private func take() -> [Message] {
        defer { messages.removeAll(keepingCapacity: true) }
        return messages
    }
}
