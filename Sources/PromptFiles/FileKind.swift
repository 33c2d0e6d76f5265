// Files that are not JSONL but can be converted to it, and the command for that. They are reported once, not once per
// line.

import JSONText
import OpenAIFormats

/// The kind of a file that is not JSONL.
public enum FileKind: Sendable, Hashable {
    /// A compressed file that is not decompressed here.
    case packed(PackedKind)
    /// UTF-16 or UTF-32; the value is iconv's name for it.
    case wide(String)
    /// One JSON array.
    case array
    /// JSON objects that each take several lines.
    case objects
    /// One JSON string per line.
    case strings
    /// A table with a line of column names, and its separator.
    case table(separator: Character)
    /// Lines of text.
    case text
    /// Not text.
    case binary

    /// Compressed files, by the command that decompresses standard input.
    public enum PackedKind: String, Sendable, CaseIterable {
        case gzip = "zcat"
        case zstd = "zstdcat"
        case bzip2 = "bzcat"
        case xz = "xzcat"
        case lz4 = "lz4cat"
        case zip = "funzip"
        case tar = "tar -xOf -"
    }

    /// The kind as a predicate for the file.
    public var complaint: String {
        switch self {
        case .packed(let kind): "is packed (\(kind))"
        case .wide(let encoding): "is \(encoding.prefix(6)), not UTF-8"
        case .array: "is a JSON array, not JSONL, which has one object on each line"
        case .objects: "has JSON objects over several lines, not JSONL, which has one on each line"
        case .strings: "has JSON strings, not objects"
        case .table(let separator): "is a table (\(separator == "\t" ? "TSV" : "CSV")), not JSONL"
        case .text: "is text, not JSONL, which has an object such as {\"prompt\": …} on each line"
        case .binary: "is no text file"
        }
    }

    /// The command that converts standard input to JSONL, or to something closer to it.
    var filter: String? {
        switch self {
        case .packed(let kind): kind.rawValue
        case .wide(let encoding): "iconv -f \(encoding) -t UTF-8"
        case .array: "jq -c '.[]'"
        case .objects: "jq -c ."
        case .strings: "jq -c '{prompt: .}'"
        case .table(let separator):
            "python3 -c 'import csv, json, sys; sys.stdin.reconfigure(encoding=\"utf-8-sig\", newline=\"\"); "
                + "[print(json.dumps(row)) for row in csv.DictReader(sys.stdin"
                + (separator == "," ? "" : ", delimiter=\"\(separator == "\t" ? "\\t" : String(separator))\"") + ")]'"
        case .text: "jq -cR 'select(. != \"\") | {prompt: .}'"
        case .binary: nil
        }
    }

    /// The complete command for a file.
    func command(path: String, packing: Packing?) -> String? {
        guard let filter else { return nil }
        let input = path == PromptFileReader.standardInputName ? nil : path.quotedForShell
        let steps =
            if let packing { [packing.command + (input.map { " < \($0)" } ?? ""), filter] } else {
                [filter + (input.map { " < \($0)" } ?? "")]
            }
        return ((input == nil ? ["…"] : []) + steps + ["ttbatch enqueue -"]).joined(separator: " | ")
    }
}

// By the first bytes.
extension FileKind {
    /// The number of bytes that is enough to find every kind that bytes can show.
    static let beginningLength = 512

    /// The kind of a file with these first bytes (decompressed, if it is gzip or zstd); nil if they do not show it.
    init?(beginning: UnsafeRawBufferPointer) {
        if let packed = PackedKind(beginning) {
            self = .packed(packed)
        } else if let encoding = Self.wideEncoding(beginning) {
            self = .wide(encoding)
        } else if beginning.contains(0), !Self.beginsWithObject(beginning) {
            self = .binary
        } else {
            return nil
        }
    }

    /// A zero byte among objects is an error of its line, not of the file.
    private static func beginsWithObject(_ bytes: UnsafeRawBufferPointer) -> Bool {
        let blank: [UInt8] = [0x20, 0x09, 0x0A, 0x0D]
        return bytes.first { !blank.contains($0) } == UInt8(ascii: "{")
    }

    /// UTF-16 and UTF-32 have a byte order mark, or zeros beside a first ASCII character.
    private static func wideEncoding(_ bytes: UnsafeRawBufferPointer) -> String? {
        let first = Array(bytes.prefix(4))
        if first.starts(with: [0xFF, 0xFE, 0, 0]) || first.starts(with: [0, 0, 0xFE, 0xFF]) { return "UTF-32" }
        if first.starts(with: [0xFF, 0xFE]) || first.starts(with: [0xFE, 0xFF]) { return "UTF-16" }
        guard first.count == 4 else { return nil }
        return switch first.map({ $0 == 0 }) {
        case [false, true, false, true]: "UTF-16LE"
        case [true, false, true, false]: "UTF-16BE"
        case [false, true, true, true]: "UTF-32LE"
        case [true, true, true, false]: "UTF-32BE"
        default: nil
        }
    }
}

extension FileKind.PackedKind {
    fileprivate init?(_ bytes: UnsafeRawBufferPointer) {
        let magic: [(Self, [UInt8])] = [
            (.bzip2, Array("BZh".utf8)), (.xz, [0xFD, 0x37, 0x7A, 0x58, 0x5A, 0]), (.lz4, [0x04, 0x22, 0x4D, 0x18]),
            (.zip, [0x50, 0x4B, 3, 4]),
        ]
        if let found = magic.first(where: { bytes.starts(with: $0.1) }) {
            self = found.0
        } else if bytes.dropFirst(257).starts(with: "ustar".utf8) {
            self = .tar
        } else {
            // The file was compressed twice.
            switch Packing(bytes) {
            case .gzip: self = .gzip
            case .zstd: self = .zstd
            case nil: return nil
            }
        }
    }
}

// By the first line, and by the start of the next one.
extension FileKind {
    /// The kinds of a first line that is not a JSON object.
    enum FirstLine: Equatable {
        /// The start of an array.
        case array
        case wholeArray
        /// The start of an object.
        case unfinishedObject
        case string
        case table(separator: Character)
        case text
        /// Invalid JSON of another kind.
        case other
    }

    /// The kind of a file by its first line and the first non-blank byte of the next one; nil if only the line is
    /// wrong, in a file of JSON objects.
    init?(_ line: FirstLine, nextBegin: UInt8?) {
        let nextIsObject = nextBegin == UInt8(ascii: "{")
        switch line {
        case .array: self = .array
        case .wholeArray where nextBegin == nil: self = .array
        case .unfinishedObject where nextBegin != nil && !nextIsObject: self = .objects
        case .string where !nextIsObject: self = .strings
        case .table(let separator) where nextBegin != nil && !nextIsObject: self = .table(separator: separator)
        case .table where !nextIsObject, .text where !nextIsObject: self = .text
        default: return nil
        }
    }
}

extension FileKind.FirstLine {
    /// The kind of a line that is not a JSON object.
    ///
    /// - Parameter fault: where the JSON syntax ends.
    init(_ line: UnsafeRawBufferPointer, fault: JSONSyntaxScanner.Fault) {
        let isUnfinished = fault.offset == line.count
        let start = line.firstIndex { $0 != UInt8(ascii: " ") && $0 != UInt8(ascii: "\t") } ?? 0
        switch line[start] {
        // A bracket may start a text: "[INST] …".
        case UInt8(ascii: "[") where fault.offset > start + 1 || !Self.isLetter(line, at: start + 1):
            self = isUnfinished ? .array : .other
        case UInt8(ascii: "{"): self = isUnfinished ? .unfinishedObject : .other
        default:
            // A byte order mark before an object, or a text that is not UTF-8, is reported as that error of the line.
            guard !line.starts(with: [0xEF, 0xBB, 0xBF]), fault.kind != .notUTF8 else {
                self = .other
                return
            }
            self = Self.separator(of: String(decoding: line, as: UTF8.self)).map { .table(separator: $0) } ?? .text
        }
    }

    private static func isLetter(_ line: UnsafeRawBufferPointer, at index: Int) -> Bool {
        guard line.indices.contains(index) else { return false }
        return (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(line[index] | 0x20)
    }

    /// Whether the line is no JSON at all, rather than JSON with an error.
    var isText: Bool {
        switch self {
        case .table, .text: true
        case .array, .wholeArray, .unfinishedObject, .string, .other: false
        }
    }

    /// The separator of a line of column names: at least two words that could be names in a program.
    private static func separator(of line: String) -> Character? {
        for separator: Character in ["\t", ",", ";"] {
            let names = line.split(separator: separator, omittingEmptySubsequences: false).map { name in
                let isQuoted = name.count > 2 && name.hasPrefix("\"") && name.hasSuffix("\"")
                return isQuoted ? name.dropFirst().dropLast() : name
            }
            let areNames = names.allSatisfy { name in
                !name.isEmpty && name.count <= 64 && name.first?.isNumber == false
                    && name.allSatisfy { $0.isLetter || $0.isNumber || $0 == "_" || $0 == "-" || $0 == "." }
            }
            if names.count >= 2, areNames { return separator }
        }
        return nil
    }
}
