// The body of `POST /v1/batches`.

import HTTPExchange
import Intake
import JSONText
import OpenAIFormats
import Runtime
import StoreContract

/// What a client wants of a new batch.
struct NewBatchRequest: Sendable {
    let inputFile: String
    let endpoint: Endpoint
    /// `24h`
    let window: String
    /// Texts by their names.
    let metadata: JSONValue?
    let outputExpires: ExpiresAfter?
    private let key: String?

    private static let members = [
        "input_file_id", "endpoint", "completion_window", "metadata", "output_expires_after",
    ]

    /// Reads a body.
    init(_ bytes: [UInt8], idempotencyKey: String?) throws(APIError) {
        guard case .object(let members)? = try? JSONValue(parsing: bytes) else {
            throw .invalid("the body is no JSON object", code: "invalid_json")
        }
        var values: [String: JSONValue] = [:]
        for member in members {
            guard Self.members.contains(member.key) else {
                throw .invalid(
                    "\(APIError.quoted(member.key)) is no field of a batch", param: String(member.key.prefix(80)),
                    code: "unknown_field")
            }
            guard values.updateValue(member.value, forKey: member.key) == nil else {
                throw .invalid("the field is given twice", param: member.key, code: "duplicate_key")
            }
        }
        func text(_ name: String) throws(APIError) -> String {
            switch values[name] {
            case .string(let text): return text
            case nil: throw .invalid("\(name) is missing", param: name, code: "missing_field")
            default: throw .invalid("\(name) must be a string", param: name, code: "invalid_type")
            }
        }
        inputFile = try text("input_file_id")
        let path = try text("endpoint")
        guard let endpoint = Endpoint(rawValue: path) else {
            let known = Endpoint.allCases.map(\.rawValue).joined(separator: " and ")
            throw .invalid(
                "\(APIError.quoted(path)) is not supported: batches run \(known)", param: "endpoint",
                code: "invalid_value")
        }
        self.endpoint = endpoint
        window = try text("completion_window")
        do throws(InvalidDeadline) { _ = try Deadline.parse(window: window, now: TimeSource.system.now) } catch {
            throw .invalid("\(error)", param: "completion_window", code: "invalid_value")
        }
        metadata = try Self.metadata(values["metadata"])
        outputExpires = try Self.expires(values["output_expires_after"])
        if let idempotencyKey {
            let isPlain = idempotencyKey.utf8.allSatisfy { (33...126).contains($0) }
            guard (1...200).contains(idempotencyKey.utf8.count), isPlain else {
                throw .invalid("Idempotency-Key must be 1 to 200 printable ASCII characters without spaces")
            }
        }
        key = idempotencyKey
    }

    /// OpenAI's limits: 16 pairs, keys of 64 and values of 512 characters.
    private static func metadata(_ value: JSONValue?) throws(APIError) -> JSONValue? {
        switch value {
        case nil, .null: return nil
        case .object(let members):
            guard members.count <= 16 else { throw .invalid("metadata has more than 16 pairs", param: "metadata") }
            for member in members {
                guard member.key.count <= 64 else {
                    throw .invalid("a key of metadata has more than 64 characters", param: "metadata")
                }
                guard case .string(let text) = member.value, text.count <= 512 else {
                    throw .invalid(
                        "the value must be a string of at most 512 characters",
                        param: "metadata.\(member.key)")
                }
            }
            return members.isEmpty ? nil : value
        default: throw .invalid("metadata must be an object of strings", param: "metadata", code: "invalid_type")
        }
    }

    private static func expires(_ value: JSONValue?) throws(APIError) -> ExpiresAfter? {
        switch value {
        case nil, .null: return nil
        case .object(let members):
            var (anchor, seconds): (String?, Int64?) = (nil, nil)
            for member in members {
                switch (member.key, member.value) {
                case ("anchor", .string(let text)): anchor = text
                case ("seconds", .int(let number)): seconds = number
                default:
                    throw .invalid(
                        "output_expires_after has anchor (created_at) and seconds", param: "output_expires_after")
                }
            }
            return try ExpiresAfter.parse(anchor: anchor, seconds: seconds, field: "output_expires_after")
        default: throw .invalid("output_expires_after must be an object", param: "output_expires_after")
        }
    }

    /// When jobs that have not begun expire.
    func deadline(from now: Milliseconds) throws(APIError) -> Milliseconds {
        do throws(InvalidDeadline) { return try Deadline.parse(window: window, now: now) } catch {
            throw .invalid("\(error)", param: "completion_window", code: "invalid_value")
        }
    }

    /// The batch's unique name, from the client's key; nil: it gave none. Tenants do not share names, and a name that looks
    /// like an id would hide a batch from people.
    func uniqueName(of tenant: Tenant?) -> String? {
        key.map { "\(tenant.map { "\($0.rawValue)/" } ?? "")key:\($0)" }
    }
}
