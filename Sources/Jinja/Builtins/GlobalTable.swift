// Functions that every template can call, and the objects that some of them return.

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

enum GlobalTable {
    /// The limit of the sandbox for `range`.
    private static let maximumRange = 100_000

    static let functions: [String: GlobalFunction.Body] = [
        "range": range, "dict": dict, "namespace": namespace, "cycler": cycler, "joiner": joiner,
        "raise_exception": raiseException, "strftime_now": strftimeNow,
    ]

    @Sendable private static func range(_ interpreter: Interpreter, _ arguments: Arguments) throws(JinjaError) -> Value
    {
        let values = arguments.positional
        guard (1...3).contains(values.count), arguments.named.isEmpty else {
            throw JinjaError(.type, "range() takes 1 to 3 arguments")
        }
        let first = try interpreter.integer(values[0])
        let start = values.count > 1 ? first : 0
        let stop = values.count > 1 ? try interpreter.integer(values[1]) : first
        let step = values.count > 2 ? try interpreter.integer(values[2]) : 1
        if step == 0 { throw JinjaError(.value, "range() step must not be zero") }
        let limit = Int.max / 4
        guard [start, stop, step].allSatisfy({ abs($0.clampedMagnitude) < limit }) else {
            throw JinjaError(.limit, "the bounds of range() are too large")
        }
        let range = IntegerRange(start: start, stop: stop, step: step)
        if range.count > maximumRange {
            throw JinjaError(.limit, "a range of \(range.count) is larger than the sandbox allows (\(maximumRange))")
        }
        return .range(range)
    }

    @Sendable private static func dict(_ interpreter: Interpreter, _ arguments: Arguments) throws(JinjaError) -> Value {
        .dict(try Dict(try pairs("dict", interpreter, arguments)))
    }

    @Sendable private static func namespace(
        _ interpreter: Interpreter, _ arguments: Arguments
    ) throws(JinjaError) -> Value {
        let namespace = Namespace()
        for (key, value) in try pairs("namespace", interpreter, arguments) {
            namespace.attributes[try interpreter.string(key).string] = value
        }
        interpreter.track(namespace)
        return .object(namespace)
    }

    /// The arguments of Python's `dict(...)`: a mapping or pairs, and keywords.
    private static func pairs(
        _ name: String, _ interpreter: Interpreter, _ arguments: Arguments
    ) throws(JinjaError) -> [(Value, Value)] {
        guard arguments.positional.count <= 1 else { throw JinjaError(.type, "\(name)() takes at most 1 value") }
        var pairs: [(Value, Value)] = []
        if case .dict(let dict)? = arguments.positional.first {
            pairs = Array(zip(dict.keys, dict.values))
        } else if let given = arguments.positional.first {
            for element in try interpreter.elements(of: given) {
                let pair = try interpreter.elements(of: element)
                guard pair.count == 2 else { throw JinjaError(.value, "\(name)() needs pairs") }
                pairs.append((pair[0], pair[1]))
            }
        }
        for (name, value) in arguments.named { pairs.append((.string(name), value)) }
        try interpreter.spend(elements: pairs.count + 1)
        return pairs
    }

    @Sendable private static func cycler(_ interpreter: Interpreter, _ arguments: Arguments) throws(JinjaError) -> Value
    {
        guard !arguments.positional.isEmpty else { throw JinjaError(.type, "cycler() needs at least one item") }
        return .object(Cycler(try Items(arguments.positional)))
    }

    @Sendable private static func joiner(_ interpreter: Interpreter, _ arguments: Arguments) throws(JinjaError) -> Value
    {
        let separator = try arguments.bind("joiner", ["sep"])[0] ?? .string(", ")
        return .object(Joiner(try Items([separator])))
    }

    @Sendable private static func raiseException(
        _ interpreter: Interpreter, _ arguments: Arguments
    ) throws(JinjaError) -> Value {
        let message = try arguments.bind("raise_exception", ["message"], required: 1)[0]!
        // User text must not get into error messages, because they end up in logs.
        var told = ""
        try interpreter.text(of: message).forEachPiece { piece, author in told += author.mark == 0 ? piece : "…" }
        throw JinjaError(.raised, told)
    }

    @Sendable private static func strftimeNow(
        _ interpreter: Interpreter, _ arguments: Arguments
    ) throws(JinjaError) -> Value {
        let format = try interpreter.string(try arguments.bind("strftime_now", ["format"], required: 1)[0]!)
        guard let now = interpreter.environment.now else { throw Undefined.variable("strftime_now").error }
        try interpreter.spend(format.utf8Count * 16)
        return .string(Text(formatted(format.string, now()), author: format.author))
    }

    private static func formatted(_ format: String, _ time: WallClockTime) -> String {
        if format.isEmpty { return "" }
        var seconds = time_t(time.secondsSinceEpoch + time.secondsFromUTC)
        var fields = tm()
        gmtime_r(&seconds, &fields)
        // The final mark distinguishes an empty result from one that did not fit into the buffer.
        let marked = format + "."
        var buffer = [UInt8](repeating: 0, count: marked.utf8.count * 32 + 256)
        let written = buffer.withUnsafeMutableBytes {
            strftime($0.bindMemory(to: CChar.self).baseAddress!, $0.count, marked, &fields)
        }
        return String(decoding: buffer.prefix(max(written - 1, 0)), as: UTF8.self)
    }
}

extension Int {
    fileprivate var clampedMagnitude: Int { self == .min ? .max : abs(self) }
}

/// The object that `cycler(...)` returns.
final class Cycler: RuntimeObject {
    private let items: Items
    private var position = 0

    init(_ items: Items) { self.items = items }

    override var typeName: String { "Cycler" }
    override var nesting: Int { items.nesting }

    override func attribute(_ name: String, _ interpreter: Interpreter) throws(JinjaError) -> Value? {
        name == "current" ? items.values[position] : nil
    }

    /// `next` or `reset`.
    func callMethod(_ name: String) -> Value {
        if name == "reset" {
            position = 0
            return .null
        }
        defer { position = (position + 1) % items.values.count }
        return items.values[position]
    }
}

/// The object that `joiner(...)` returns: empty the first time, then its separator.
final class Joiner: RuntimeObject {
    private let separator: Items
    private var used = false

    init(_ separator: Items) { self.separator = separator }

    override var typeName: String { "Joiner" }
    override var nesting: Int { separator.nesting }
    override var isCallable: Bool { true }

    override func call(_ arguments: Arguments, _ interpreter: Interpreter) throws(JinjaError) -> Value {
        defer { used = true }
        return used ? separator.values[0] : .string("")
    }
}
