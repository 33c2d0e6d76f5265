// What an enqueue did, in the form in which a server tells it to a caller far away.

import PromptFiles

/// An error of an enqueue elsewhere, as it was told there.
public struct ToldError: Error, Codable, Hashable, Sendable, CustomStringConvertible {
    /// One line for people.
    public let description: String
    /// Whether it is an error of one line of a file.
    public let isOfLine: Bool
    /// What kind of error it is; nil if it is no fault of the input.
    public let fault: EnqueueError.Fault?

    /// Tells `error` as it is here.
    ///
    /// - Parameter text: its words, if others are to be told.
    public init(_ error: any Error, text: String? = nil) {
        description = text ?? "\(error)"
        isOfLine = EnqueueError.isOfLine(error)
        fault = EnqueueError.fault(of: error)
    }
}

/// How an enqueue ended.
public struct EnqueueAnswer: Codable, Sendable {
    /// The errors that were reported on the way, in their order.
    public var told: [ToldError]
    /// What was stored, for each file; empty if nothing was.
    public var stored: [EnqueueReport]
    /// The last error; nil if everything was stored.
    public var failure: ToldError?

    /// Makes an answer.
    public init(told: [ToldError] = [], stored: [EnqueueReport] = [], failure: ToldError? = nil) {
        self.told = told
        self.stored = stored
        self.failure = failure
    }
}
