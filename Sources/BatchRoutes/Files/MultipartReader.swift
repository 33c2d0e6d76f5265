// Reads the parts of a multipart/form-data body as its bytes come, so that a file of any size needs little memory.

import Glibc

/// What has come of a multipart body.
enum MultipartEvent: Equatable {
    /// A part begins: the name of its field, and the client's name for the file if it is one.
    case part(name: String, filename: String?)
    /// Bytes of the part.
    case bytes(ArraySlice<UInt8>)
    /// The body is complete.
    case end
}

/// Why a body is no multipart/form-data that is accepted here.
enum MultipartError: Error, Equatable, CustomStringConvertible {
    case noBoundary
    case noPart
    case badHeader
    case headersTooLong
    case tooManyParts
    case unfinished

    var description: String {
        switch self {
        case .noBoundary: "the Content-Type must be multipart/form-data with a boundary of 1 to 70 characters"
        case .noPart: "the body does not begin with the boundary of its Content-Type"
        case .badHeader: "a part of the body has no Content-Disposition with a name"
        case .headersTooLong: "the headers of a part have more than \(MultipartReader.mostHeaderBytes) bytes"
        case .tooManyParts: "the body has more than \(MultipartReader.mostParts) parts"
        case .unfinished: "the body ends before its closing boundary"
        }
    }
}

/// A parser of multipart/form-data.
///
/// Source: RFC 7578 and RFC 2046, section 5.1.1.
struct MultipartReader {
    static let mostHeaderBytes = 8 << 10
    static let mostParts = 32

    private enum State { case preamble, headers, content, epilogue }

    /// `\r\n--boundary`
    private let delimiter: [UInt8]
    /// Bytes that may be the beginning of something.
    private var buffer: [UInt8] = Array("\r\n".utf8)
    private var state = State.preamble
    private var parts = 0

    /// A reader of a body with this Content-Type.
    init(contentType: String) throws(MultipartError) {
        let pieces = contentType.split(separator: ";").map { $0.trimmed }
        let boundary = pieces.dropFirst().first { $0.lowercased().hasPrefix("boundary=") }?.dropFirst(9)
        guard pieces.first?.lowercased() == "multipart/form-data", var boundary else { throw .noBoundary }
        if boundary.count >= 2, boundary.first == "\"", boundary.last == "\"" {
            boundary = boundary.dropFirst().dropLast()
        }
        guard (1...70).contains(boundary.utf8.count), boundary.utf8.allSatisfy({ $0 > 31 && $0 < 127 }) else {
            throw .noBoundary
        }
        delimiter = Array("\r\n--\(boundary)".utf8)
    }

    /// Takes the next bytes of the body.
    mutating func take(
        _ bytes: some Sequence<UInt8>, _ handle: (MultipartEvent) throws -> Void
    ) throws {
        buffer.append(contentsOf: bytes)
        var rest = buffer[...]
        while try step(&rest, handle) {}
        buffer = Array(rest)
    }

    /// The body has ended.
    func finish() throws(MultipartError) {
        guard case .epilogue = state else { throw state == .preamble ? .noPart : .unfinished }
    }

    /// Takes what is whole from the beginning of `rest`; returns whether there may be more of it.
    private mutating func step(
        _ rest: inout ArraySlice<UInt8>, _ handle: (MultipartEvent) throws -> Void
    ) throws -> Bool {
        switch state {
        case .preamble:
            guard let next = afterDelimiter(at: rest.startIndex, of: rest) else {
                guard rest.count < delimiter.count + 2 else { throw MultipartError.noPart }
                return false
            }
            return try begin(next, &rest, handle)
        case .headers:
            guard let end = rest.range(of: Array("\r\n\r\n".utf8)) else {
                guard rest.count <= Self.mostHeaderBytes else { throw MultipartError.headersTooLong }
                return false
            }
            guard end.lowerBound - rest.startIndex <= Self.mostHeaderBytes else { throw MultipartError.headersTooLong }
            try handle(part(rest[..<end.lowerBound]))
            // The line end before a delimiter is part of it, so an empty part has one only.
            rest = rest[end.upperBound...]
            state = .content
            return true
        case .content:
            guard let found = rest.range(of: delimiter) else {
                let sure = max(0, rest.count - delimiter.count + 1)
                if sure > 0 { try handle(.bytes(rest.prefix(sure))) }
                rest = rest.dropFirst(sure)
                return false
            }
            guard let next = afterDelimiter(at: found.lowerBound, of: rest) else {
                // What follows the delimiter is not there yet.
                if rest.distance(from: found.upperBound, to: rest.endIndex) < 2 {
                    let sure = rest[..<found.lowerBound]
                    if !sure.isEmpty { try handle(.bytes(sure)) }
                    rest = rest[found.lowerBound...]
                    return false
                }
                // Something that only begins as it does.
                try handle(.bytes(rest[..<found.upperBound]))
                rest = rest[found.upperBound...]
                return true
            }
            let content = rest[..<found.lowerBound]
            if !content.isEmpty { try handle(.bytes(content)) }
            return try begin(next, &rest, handle)
        case .epilogue:
            rest = rest[rest.endIndex...]
            return false
        }
    }

    private enum Next { case part(Int), end }

    /// What follows a delimiter at `index`; nil if there is none, or its end has not come.
    private func afterDelimiter(at index: Int, of rest: ArraySlice<UInt8>) -> Next? {
        let end = index + delimiter.count
        guard end + 2 <= rest.endIndex, rest[index..<end].elementsEqual(delimiter) else { return nil }
        switch (rest[end], rest[end + 1]) {
        case (UInt8(ascii: "\r"), UInt8(ascii: "\n")): return .part(end)
        case (UInt8(ascii: "-"), UInt8(ascii: "-")): return .end
        default: return nil
        }
    }

    private mutating func begin(
        _ next: Next, _ rest: inout ArraySlice<UInt8>, _ handle: (MultipartEvent) throws -> Void
    ) throws -> Bool {
        switch next {
        case .part(let end):
            parts += 1
            guard parts <= Self.mostParts else { throw MultipartError.tooManyParts }
            // The line end stays: headers may be none, and then two line ends follow each other.
            rest = rest[end...]
            state = .headers
        case .end:
            rest = rest[rest.endIndex...]
            state = .epilogue
            try handle(.end)
        }
        return true
    }

    private func part(_ headers: ArraySlice<UInt8>) throws(MultipartError) -> MultipartEvent {
        let lines = String(decoding: headers, as: UTF8.self).split(whereSeparator: \.isNewline)
        let disposition = lines.first { $0.lowercased().hasPrefix("content-disposition:") }
        guard let disposition else { throw .badHeader }
        var (name, filename): (String?, String?)
        for (key, value) in Self.parameters(of: disposition) {
            if key == "name" { name = value }
            // Clients write %22 for a quote, which would end the name.
            if key == "filename" { filename = value.replacing("%22", with: "\"") }
        }
        guard let name else { throw .badHeader }
        return .part(name: name, filename: filename)
    }

    /// The parameters of a header's value. Quotes end at the next `"`: browsers and clients write `%22` for one.
    private static func parameters(of header: Substring) -> [(key: String, value: String)] {
        var found: [(String, String)] = []
        var rest = header
        while let semicolon = rest.firstIndex(of: ";") {
            rest = rest[rest.index(after: semicolon)...]
            guard let equals = rest.firstIndex(of: "=") else { return found }
            let key = rest[..<equals].trimmed.lowercased()
            rest = rest[rest.index(after: equals)...]
            if rest.first == "\"" {
                rest = rest.dropFirst()
                let end = rest.firstIndex(of: "\"") ?? rest.endIndex
                found.append((key, String(rest[..<end])))
                rest = rest[end...]
            } else {
                let end = rest.firstIndex(of: ";") ?? rest.endIndex
                found.append((key, String(rest[..<end].trimmed)))
                rest = rest[end...]
            }
        }
        return found
    }
}

extension ArraySlice<UInt8> {
    /// The first place of `needle`. The C library looks for its first byte, much faster than a search over any collection.
    fileprivate func range(of needle: [UInt8]) -> Range<Int>? {
        let offset = withUnsafeBytes { bytes -> Int? in
            guard let base = bytes.baseAddress else { return nil }
            var offset = 0
            while offset + needle.count <= bytes.count {
                let last = bytes.count - needle.count + 1
                guard let found = memchr(base + offset, Int32(needle[0]), last - offset) else { return nil }
                offset = UnsafeRawPointer(found) - base
                if memcmp(base + offset, needle, needle.count) == 0 { return offset }
                offset += 1
            }
            return nil
        }
        return offset.map { startIndex + $0..<startIndex + $0 + needle.count }
    }
}

extension Substring {
    fileprivate var trimmed: Substring {
        var text = self
        while let first = text.first, first == " " || first == "\t" { text = text.dropFirst() }
        while let last = text.last, last == " " || last == "\t" { text = text.dropLast() }
        return text
    }
}
