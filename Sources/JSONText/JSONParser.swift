// Parses a JSON text into a document that is read in place: the Swift interface of the CSimdJSON shim. Values are not
// allocated one by one; strings stay in the parser's buffer until a `String` is asked for.

private import CSimdJSON
private import Glibc

/// A reusable parser. A document belongs to its parser and is valid until the next parse.
package final class JSONParser {
    /// The limit for the nesting of objects and arrays. It bounds every recursion over a document, so that no text can
    /// exhaust the thread's stack.
    package static let maximumDepth = 128
    /// The number of readable bytes that must follow every text passed to `parse`.
    package static let padding = Int(CSIMDJSON_PADDING)

    package enum Failure: Error {
        /// The text is not JSON, not UTF-8, or has a number out of range; `JSONSyntaxScanner` finds the place.
        case invalid
        case tooDeep
        case outOfMemory
    }

    private let parser: OpaquePointer

    package init() {
        guard let parser = csimdjson_parser_create(Self.maximumDepth) else {
            fatalError("out of memory: no JSON parser")
        }
        self.parser = parser
    }

    deinit {
        csimdjson_parser_destroy(parser)
    }

    /// Parses `text`, which must be followed by `padding` readable bytes of any value.
    package func parse(padded text: UnsafeRawBufferPointer) throws(Failure) -> JSONNode {
        guard let base = text.baseAddress, !text.isEmpty else { throw .invalid }
        var document = csimdjson_document()
        let bytes = base.assumingMemoryBound(to: UInt8.self)
        switch csimdjson_parse(parser, bytes, text.count, &document) {
        case CSIMDJSON_OK: return JSONNode(tape: document.tape, strings: document.strings, index: 1)
        case CSIMDJSON_TOO_DEEP: throw .tooDeep
        case CSIMDJSON_NO_MEMORY: throw .outOfMemory
        default: throw .invalid
        }
    }

    /// Parses a copy of `text` with padding and passes the root to `body`, which must not keep it.
    package func withDocument<Result>(of text: some Collection<UInt8>, _ body: (JSONNode) throws -> Result) throws
        -> Result
    {
        let padded = UnsafeMutableRawBufferPointer.allocate(byteCount: text.count + Self.padding, alignment: 64)
        defer { padded.deallocate() }
        padded.copyBytes(from: text)
        padded[text.count...].copyBytes(from: repeatElement(0, count: Self.padding))
        return try body(parse(padded: UnsafeRawBufferPointer(rebasing: padded[..<text.count])))
    }
}

/// One value of a parsed document: a position on simdjson's tape.
package struct JSONNode {
    package enum Kind {
        case null, bool, int, unsigned, double, string, array, object
    }

    fileprivate let tape: UnsafePointer<UInt64>
    fileprivate let strings: UnsafePointer<UInt8>
    fileprivate let index: Int

    fileprivate init(tape: UnsafePointer<UInt64>, strings: UnsafePointer<UInt8>, index: Int) {
        self.tape = tape
        self.strings = strings
        self.index = index
    }

    private var letter: UInt8 { UInt8(truncatingIfNeeded: tape[index] >> 56) }
    private var payload: Int { Int(tape[index] & 0x00FF_FFFF_FFFF_FFFF) }

    package var kind: Kind {
        switch letter {
        case UInt8(ascii: "n"): .null
        case UInt8(ascii: "t"), UInt8(ascii: "f"): .bool
        case UInt8(ascii: "l"): .int
        case UInt8(ascii: "u"): .unsigned
        case UInt8(ascii: "d"): .double
        case UInt8(ascii: "\""): .string
        case UInt8(ascii: "["): .array
        case UInt8(ascii: "{"): .object
        default: preconditionFailure("not the start of a value on the tape")
        }
    }

    /// The tape index after this value.
    fileprivate var end: Int {
        switch letter {
        case UInt8(ascii: "["), UInt8(ascii: "{"): payload & 0xFFFF_FFFF
        case UInt8(ascii: "l"), UInt8(ascii: "u"), UInt8(ascii: "d"): index + 2
        default: index + 1
        }
    }

    // Each of these is valid only for its own kind.
    package var bool: Bool { letter == UInt8(ascii: "t") }
    package var int: Int64 { Int64(bitPattern: tape[index + 1]) }
    package var unsigned: UInt64 { tape[index + 1] }
    package var double: Double { Double(bitPattern: tape[index + 1]) }

    /// A string's UTF-8 bytes, valid as long as the document.
    package var utf8: UnsafeBufferPointer<UInt8> {
        let start = strings + payload
        let count = UnsafeRawPointer(start).loadUnaligned(as: UInt32.self)
        return UnsafeBufferPointer(start: start + 4, count: Int(count))
    }

    package var string: String { String(decoding: utf8, as: UTF8.self) }

    package var isNull: Bool { letter == UInt8(ascii: "n") }

    /// Whether a string equals a literal; makes no `String`.
    package func isString(_ literal: StaticString) -> Bool {
        guard kind == .string else { return false }
        let utf8 = utf8
        return utf8.count == literal.utf8CodeUnitCount && memcmp(utf8.baseAddress!, literal.utf8Start, utf8.count) == 0
    }

    /// The elements of an array.
    package var elements: Elements { Elements(tape: tape, strings: strings, index: index + 1, end: end - 1) }
    /// The members of an object, in the order of the text.
    package var members: Members { Members(elements: elements) }

    package struct Elements: Sequence, IteratorProtocol {
        fileprivate let tape: UnsafePointer<UInt64>
        fileprivate let strings: UnsafePointer<UInt8>
        fileprivate var index: Int
        fileprivate let end: Int

        package var isEmpty: Bool { index == end }

        package mutating func next() -> JSONNode? {
            guard index < end else { return nil }
            let node = JSONNode(tape: tape, strings: strings, index: index)
            index = node.end
            return node
        }
    }

    package struct Members: Sequence, IteratorProtocol {
        fileprivate var elements: Elements

        package var isEmpty: Bool { elements.isEmpty }

        package mutating func next() -> (key: JSONNode, value: JSONNode)? {
            guard let key = elements.next(), let value = elements.next() else { return nil }
            return (key, value)
        }
    }
}
