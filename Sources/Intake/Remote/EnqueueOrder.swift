// What a caller wants of an enqueue, in the form in which it also goes over HTTP.

import PromptFiles
import Runtime
public import StoreContract

/// The wishes of a caller for the files that are enqueued.
public struct EnqueueOrder: Sendable, Equatable {
    /// The files' names in messages, in their order; at least one.
    public var files: [String]
    /// Whether invalid lines are stored as failed jobs.
    public var skipsInvalid = false
    /// Reading stops after this many errors.
    public var maxErrors = 100
    /// The batch's unique name; only for one file.
    public var name: String?
    /// Whether an existing batch of that name is success.
    public var ifNotExists = false
    /// `FROM=TO`: models that run instead of those that lines name.
    public var modelMap: [String] = []
    /// The model that was asked for, over what lines name; nil: none.
    public var model: String?
    /// The batches' priority.
    public var priority = BatchPriority.normal
    /// When jobs that have not been claimed expire, in milliseconds since 1970.
    public var deadlineMS: Int64?

    /// An order with the usual wishes.
    public init(files: [String]) { self.files = files }

    /// Whether a batch may have the name: 1 to 256 bytes without control characters, and no id of a batch.
    public static func isFit(name: String) -> Bool {
        !name.isEmpty && name.utf8.count <= 256 && !name.unicodeScalars.contains { $0.value < 32 }
            && BatchID(name) == nil
    }
}

/// An order that cannot be read.
public struct InvalidOrder: Error, Equatable, CustomStringConvertible {
    /// The field at fault.
    public let field: String
    /// The field, and what it may be.
    public let description: String

    init(_ field: String, _ expected: String) {
        self.field = field
        description = "\(field): expected \(expected)"
    }
}

// As the query of a request: a field for each wish that is not the usual one.
extension EnqueueOrder {
    /// The most errors that one answer tells.
    private static let mostErrors = 10_000

    /// The fields and their values.
    public var fields: [(name: String, value: String)] {
        var fields = files.map { ("file", $0) }
        if skipsInvalid { fields.append(("skip_invalid", "true")) }
        if maxErrors != 100 { fields.append(("max_errors", "\(maxErrors)")) }
        if let name { fields.append(("name", name)) }
        if ifNotExists { fields.append(("if_not_exists", "true")) }
        fields += modelMap.map { ("map_model", $0) }
        if let model { fields.append(("model", model)) }
        if priority != .normal { fields.append(("priority", "\(priority.rawValue)")) }
        if let deadlineMS { fields.append(("deadline_ms", "\(deadlineMS)")) }
        return fields
    }

    /// Reads `fields`, from whoever sent them.
    public init(fields: [(name: String, value: String)]) throws(InvalidOrder) {
        self.init(files: [])
        for (field, value) in fields {
            switch field {
            case "file":
                // Other people's terminals show it.
                guard !value.isEmpty, value.utf8.count <= 4096,
                    !value.unicodeScalars.contains(where: { $0.properties.generalCategory == .control })
                else { throw InvalidOrder(field, "a name without control characters") }
                files.append(value)
            case "skip_invalid": skipsInvalid = try Self.flag(field, value)
            case "max_errors":
                guard let count = Int(value), (1...Self.mostErrors).contains(count) else {
                    throw InvalidOrder(field, "1 to \(Self.mostErrors)")
                }
                maxErrors = count
            case "name": name = value
            case "if_not_exists": ifNotExists = try Self.flag(field, value)
            case "map_model": modelMap.append(value)
            case "model": model = value
            case "priority":
                guard let number = Int64(value), let priority = BatchPriority(rawValue: number) else {
                    throw InvalidOrder(field, "-1000 to 1000")
                }
                self.priority = priority
            case "deadline_ms":
                guard let number = Int64(value), number > 0 else {
                    throw InvalidOrder(field, "milliseconds since 1970")
                }
                deadlineMS = number
            default:
                throw InvalidOrder(
                    field,
                    "one of file, skip_invalid, max_errors, name, if_not_exists, map_model, model, priority, deadline_ms"
                )
            }
        }
        guard !files.isEmpty else { throw InvalidOrder("file", "the file's name, once for each file") }
        if let name {
            guard Self.isFit(name: name) else {
                throw InvalidOrder("name", "1 to 256 bytes without control characters, and not an id of a batch")
            }
            guard files.count == 1 else { throw InvalidOrder("name", "no name where there are several files") }
        } else if ifNotExists {
            throw InvalidOrder("if_not_exists", "a name with it")
        }
        do throws(InvalidModelMap) { _ = try ModelMap(parsing: modelMap) } catch {
            throw InvalidOrder("map_model", "\(error)")
        }
    }

    private static func flag(_ field: String, _ value: String) throws(InvalidOrder) -> Bool {
        guard let flag = Bool(value) else { throw InvalidOrder(field, "true or false") }
        return flag
    }
}

extension Enqueuer.Options {
    /// Options for an order; `defaultModel` is the configured one.
    ///
    /// - Throws: `InvalidModelMap`.
    public init(_ order: EnqueueOrder, defaultModel: String) throws(InvalidModelMap) {
        self.init(defaultModel: defaultModel)
        skipsInvalid = order.skipsInvalid
        maxErrors = order.maxErrors
        requestedModel = order.model
        modelMap = try ModelMap(parsing: order.modelMap)
        name = order.name
        ifNotExists = order.ifNotExists
        priority = order.priority
        deadline = order.deadlineMS.map { .init(rawValue: $0) }
    }
}
