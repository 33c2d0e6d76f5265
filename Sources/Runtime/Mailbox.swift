// A queue from one thread to another, with waiting.

/// Messages for a thread. Senders never wait; the receiver waits until a message comes or its patience ends.
package final class Mailbox<Message: Sendable>: @unchecked Sendable {
    private let lock = WaitingLock()
    private var messages: [Message] = []

    /// No messages yet.
    package init() {}

    /// Adds a message and wakes the receiver.
    package func send(_ message: Message) {
        lock.change { messages.append(message) }
    }

    /// Takes all messages that are there, without waiting.
    package func receive() -> [Message] {
        lock.withLock { take() }
    }

    /// Takes all messages, waiting for the first one: for ever, or for `limit`, after which there may be none.
    package func receiveWaiting(atMost limit: Duration? = nil) -> [Message] {
        lock.wait(atMost: limit, until: { !messages.isEmpty }, then: take)
    }

    private func take() -> [Message] {
        defer { messages.removeAll(keepingCapacity: true) }
        return messages
    }
}
