// The bytes of a prompt file, decompressed if necessary. Compressed files are recognised by
// their first bytes, not by their names, so standard input may be compressed too. Never more data is in memory than the
// caller asked for, whatever a file decompresses to.

/// Why reading stopped.
enum ReadFailure: Error, Equatable {
    /// A system call failed.
    case system(errno: CInt)
    /// The compressed data ends too early, or is damaged.
    case damaged(Packing, reason: String)
}

/// A compression format that is decompressed here.
public enum Packing: String, Sendable, Hashable {
    case gzip, zstd

    /// The format of a file with these first bytes.
    init?(_ beginning: some Collection<UInt8>) {
        let bytes = Array(beginning.prefix(4))
        if bytes.starts(with: [0x1F, 0x8B]) {
            self = .gzip
        } else if bytes == [0x28, 0xB5, 0x2F, 0xFD] || Self.isSkippable(bytes) {
            self = .zstd
        } else {
            return nil
        }
    }

    /// Whether the bytes start a skippable frame of zstd, which contains no data. Multi-threaded compressors write one
    /// first.
    private static func isSkippable(_ bytes: [UInt8]) -> Bool {
        bytes.count == 4 && bytes[0] & 0xF0 == 0x50 && bytes[1...].elementsEqual([0x2A, 0x4D, 0x18])
    }

    /// The command that decompresses standard input.
    var command: String {
        switch self {
        case .gzip: "zcat"
        case .zstd: "zstdcat"
        }
    }
}

/// Decompresses a stream piece by piece.
protocol Unpacker: AnyObject {
    /// Decompresses data from the front of `input`, and removes the used bytes from it. Returns the number of bytes
    /// written to `output`.
    ///
    /// - Throws: `ReadFailure.damaged`.
    func unpack(
        _ input: inout UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer
    ) throws(ReadFailure) -> Int

    /// Throws if the stream must not end here.
    func finish() throws(ReadFailure)
}

/// Reads an input and decompresses it.
final class FileBytes {
    private let input: ByteInput
    /// Compressed bytes that were read; `packed` are those that are not decompressed yet.
    private let buffer: UnsafeMutableRawBufferPointer
    private var packed: UnsafeRawBufferPointer
    private var hasBegun = false
    private var unpacker: (any Unpacker)?
    private var atEnd = false

    /// The number of bytes that is enough to recognise the format.
    private static let magicLength = 4

    /// The compression format; set after the first read.
    private(set) var packing: Packing?

    /// - Parameters:
    ///   - input: the file as it is.
    ///   - readSize: the number of compressed bytes to read at once.
    init(_ input: @escaping ByteInput, readSize: Int) {
        self.input = input
        buffer = .allocate(byteCount: max(Self.magicLength, readSize), alignment: 64)
        packed = UnsafeRawBufferPointer(rebasing: buffer[..<0])
    }

    deinit { buffer.deallocate() }

    /// Reads the next bytes, at least one; returns 0 at the end.
    func read(into output: UnsafeMutableRawBufferPointer) throws(ReadFailure) -> Int {
        if !hasBegun { try begin() }
        guard let unpacker else {
            // An uncompressed file is read directly into the output, except its first bytes.
            if packed.isEmpty { return try readInput(into: output) }
            let count = min(packed.count, output.count)
            output.copyMemory(from: UnsafeRawBufferPointer(rebasing: packed[..<count]))
            packed = UnsafeRawBufferPointer(rebasing: packed[count...])
            return count
        }
        while true {
            // Also without new input: earlier output may not have had enough space.
            let count = try unpacker.unpack(&packed, into: output)
            if count > 0 { return count }
            guard packed.isEmpty, !atEnd else {
                try unpacker.finish()
                return 0
            }
            let read = try readInput(into: buffer)
            atEnd = read == 0
            packed = UnsafeRawBufferPointer(rebasing: buffer[..<read])
        }
    }

    /// Reads enough bytes to recognise the format. A pipe may return them one by one.
    private func begin() throws(ReadFailure) {
        hasBegun = true
        var count = 0
        while count < Self.magicLength {
            let room = UnsafeMutableRawBufferPointer(rebasing: buffer[count..<Self.magicLength])
            let read = try readInput(into: room)
            if read == 0 { break }
            count += read
        }
        packed = UnsafeRawBufferPointer(rebasing: buffer[..<count])
        packing = Packing(packed)
        switch packing {
        case .gzip: unpacker = GzipUnpacker()
        case .zstd: unpacker = ZstdUnpacker()
        case nil: break
        }
    }

    private func readInput(into output: UnsafeMutableRawBufferPointer) throws(ReadFailure) -> Int {
        do throws(InputFailure) { return try input(output) } catch { throw .system(errno: error.errno) }
    }
}
