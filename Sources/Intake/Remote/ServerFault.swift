// What a server answers where it cannot do what was asked, and the form of all its answers.

public import Foundation
public import StoreContract

/// OpenAI's error object, and beside it what the command line needs to tell the error as if the queue were here.
public struct ServerFault: Codable, Sendable {
    /// The object that every client of OpenAI's API reads.
    public struct Words: Codable, Sendable {
        /// What is wrong.
        public var message: String
        /// `invalid_request_error`, `server_error` …
        public var type: String
        /// The field at fault; nil if it is none.
        public var param: String?
        /// A code for programs; nil if there is none.
        public var code: String?

        /// Makes an error object.
        public init(message: String, type: String, param: String? = nil, code: String? = nil) {
            self.message = message
            self.type = type
            self.param = param
            self.code = code
        }

        /// Writes all members, also those that are null, as OpenAI does.
        public func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(message, forKey: .message)
            try container.encode(type, forKey: .type)
            try container.encode(param, forKey: .param)
            try container.encode(code, forKey: .code)
        }
    }

    /// The error for any client.
    public var error: Words
    /// The error of the queue, if it is one.
    public var storeError: JobStoreError?
    /// What an enqueue told before it failed.
    public var enqueue: EnqueueAnswer?

    /// Makes a fault.
    public init(_ error: Words, storeError: JobStoreError? = nil, enqueue: EnqueueAnswer? = nil) {
        self.error = error
        self.storeError = storeError
        self.enqueue = enqueue
    }
}

/// The queue's values as JSON.
public enum QueueJSON {
    private static let numbers = ("Infinity", "-Infinity", "NaN")

    /// The text of `value`.
    public static func text(_ value: some Encodable) throws -> Data {
        let encoder = JSONEncoder()
        encoder.nonConformingFloatEncodingStrategy = .convertToString(
            positiveInfinity: numbers.0, negativeInfinity: numbers.1, nan: numbers.2)
        return try encoder.encode(value)
    }

    /// The value of a text that `text(_:)` made.
    public static func value<Value: Decodable>(_ type: Value.Type = Value.self, of text: Data) throws -> Value {
        let decoder = JSONDecoder()
        decoder.nonConformingFloatDecodingStrategy = .convertFromString(
            positiveInfinity: numbers.0, negativeInfinity: numbers.1, nan: numbers.2)
        return try decoder.decode(type, from: text)
    }
}
