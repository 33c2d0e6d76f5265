// A queue from one thread to another, with waiting.

/// Messages for a thread. Senders never wait; the receiver waits until a message comes or its patience ends.
final class Mailbox<Message: Sendable>: @unchecked Sendable {
    private let lock = WaitingLock()
    private var messages: [Message] = []

    /// Adds a message and wakes the receiver.
    func send(_ message: Message) {
        lock.change { messages.append(message) }
    }

    /// Takes all messages that are there, without waiting.
    func receive() -> [Message] {
        lock.withLock { take() }
    }

    /// Takes all messages, waiting for the first one: for ever, or for `limit`, after which there may be none.
    func receiveWaiting(atMost limit: Duration? = nil) -> [Message] {
        lock.wait(atMost: limit, until: { !messages.isEmpty }, then: take)
    }

    private func take() -> [Message] {
        defer { messages.removeAll(keepingCapacity: true) }
        return messages
    }
}
