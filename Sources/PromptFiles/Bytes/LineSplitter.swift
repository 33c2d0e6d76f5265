// Splits a file into lines: large reads into one buffer, memchr for the line ends, no copy of a line. The buffer is the
// only memory; it grows to the longest line, but not beyond the limit.

private import Glibc
import JSONText
import OpenAIFormats

/// Splits the bytes of a file into lines.
final class LineSplitter {
    enum Line {
        /// A line without its end (LF or CRLF). At least `JSONParser.padding` readable bytes follow it. Valid until the
        /// next call of `next`.
        case text(UnsafeRawBufferPointer)
        /// A line above the limit; its bytes are dropped.
        case tooLong
    }

    private let bytes: FileBytes
    private let readSize: Int
    private let limit: Int
    private var buffer: UnsafeMutableRawBufferPointer
    /// Unread bytes are `start ..< end`; `start ..< scanned` contains no line end.
    private var start = 0
    private var scanned = 0
    private var end = 0
    private var atEndOfFile = false
    private var atStartOfFile = true
    /// Where in the file the buffer begins.
    private var bufferOffset: Int64
    /// Where in the file the next line begins.
    var offset: Int64 { bufferOffset + Int64(start) }

    /// - Parameters:
    ///   - bytes: the file.
    ///   - readSize: the number of bytes to read at once.
    ///   - limit: the maximum length of a line, in bytes.
    ///   - offset: where in the file `bytes` begins.
    init(_ bytes: FileBytes, readSize: Int, limit: Int, from offset: Int64 = 0) {
        bufferOffset = offset
        self.bytes = bytes
        self.readSize = readSize
        self.limit = limit
        buffer = .allocate(byteCount: 2 * readSize + JSONParser.padding, alignment: 64)
        buffer.initializeMemory(as: UInt8.self, repeating: 0)
    }

    deinit {
        buffer.deallocate()
    }

    /// The next line; nil at the end of the file.
    ///
    /// - Throws: `ReadFailure` if the file cannot be read.
    func next() throws(ReadFailure) -> Line? {
        while true {
            if let lineEnd = findLineEnd() {
                let line = start..<lineEnd
                start = lineEnd + 1
                scanned = start
                return checked(line)
            }
            if end - start > limit + 1 { return try skipLine() }
            if atEndOfFile { return lastLine() }
            try fill()
        }
    }

    /// The next `count` unread bytes, or fewer at the end of the file. Valid until the next call.
    func beginning(_ count: Int) throws(ReadFailure) -> UnsafeRawBufferPointer {
        while end - start < count, !atEndOfFile { try fill() }
        return UnsafeRawBufferPointer(rebasing: buffer[start..<min(end, start + count)])
    }

    private func findLineEnd() -> Int? {
        guard scanned < end else { return nil }
        let base = buffer.baseAddress!
        guard let found = memchr(base + scanned, CInt(UInt8(ascii: "\n")), end - scanned) else {
            scanned = end
            return nil
        }
        return UnsafeRawPointer(found) - UnsafeRawPointer(base)
    }

    private func lastLine() -> Line? {
        guard start < end else { return nil }
        let line = start..<end
        start = end
        return checked(line)
    }

    private func checked(_ line: Range<Int>) -> Line {
        var line = line
        if let last = line.last, buffer[last] == UInt8(ascii: "\r") { line.removeLast() }
        return line.count > limit ? .tooLong : .text(UnsafeRawBufferPointer(rebasing: buffer[line]))
    }

    /// Skips the rest of a line that is above the limit.
    private func skipLine() throws(ReadFailure) -> Line {
        while true {
            start = end
            scanned = end
            if atEndOfFile { return .tooLong }
            try fill()
            if let lineEnd = findLineEnd() {
                start = lineEnd + 1
                scanned = start
                return .tooLong
            }
        }
    }

    /// Makes room, then reads once.
    private func fill() throws(ReadFailure) {
        makeRoom()
        let count = try bytes.read(into: UnsafeMutableRawBufferPointer(rebasing: buffer[end..<end + readSize]))
        atEndOfFile = count == 0
        end += count
        skipByteOrderMark()
    }

    private func makeRoom() {
        let room = buffer.count - JSONParser.padding
        guard end + readSize > room else { return }
        let held = end - start
        if held + readSize > room {
            let grown = UnsafeMutableRawBufferPointer.allocate(
                byteCount: max(2 * held, held + readSize) + JSONParser.padding, alignment: 64)
            grown.copyMemory(from: UnsafeRawBufferPointer(rebasing: buffer[start..<end]))
            grown[held...].initializeMemory(as: UInt8.self, repeating: 0)
            buffer.deallocate()
            buffer = grown
        } else {
            memmove(buffer.baseAddress!, buffer.baseAddress! + start, held)
        }
        bufferOffset += Int64(start)
        scanned -= start
        start = 0
        end = held
    }

    private func skipByteOrderMark() {
        guard atStartOfFile else { return }
        let mark: [UInt8] = [0xEF, 0xBB, 0xBF]
        let given = buffer[start..<end].prefix(3)
        if given.elementsEqual(mark) {
            start += 3
            scanned = start
        } else if given.count < 3, !atEndOfFile, mark.starts(with: given) {
            return
        }
        atStartOfFile = false
    }
}
