// The bytes of a prompt file: read from a descriptor, and unpacked on the way where they are packed. Packed files are known
// by their first bytes, not by their names, so that standard input may be packed too. Whatever a file unpacks to, no more
// of it is in memory than somebody asked for.

private import Glibc

/// Why no more bytes come.
enum ReadFailure: Error, Equatable {
    /// The operating system refused.
    case system(errno: CInt)
    /// What is packed ends too early or is not what was packed.
    case damaged(Packing, reason: String)
}

/// A way in which files are packed that are read all the same.
public enum Packing: String, Sendable, Hashable {
    case gzip, zstd

    /// The packing of a file that begins so.
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

    /// Frames of zstd that hold no data; those who pack with several threads begin with one.
    private static func isSkippable(_ bytes: [UInt8]) -> Bool {
        bytes.count == 4 && bytes[0] & 0xF0 == 0x50 && bytes[1...].elementsEqual([0x2A, 0x4D, 0x18])
    }

    /// The command that unpacks standard input.
    var command: String {
        switch self {
        case .gzip: "zcat"
        case .zstd: "zstdcat"
        }
    }
}

/// Unpacks a stream piece by piece.
protocol Unpacker: AnyObject {
    /// Unpacks from the front of `input`, and drops what it has used of it; returns the bytes written to `output`.
    ///
    /// - Throws: `ReadFailure.damaged`.
    func unpack(
        _ input: inout UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer
    ) throws(ReadFailure) -> Int

    /// Throws if the stream may not end here.
    func finish() throws(ReadFailure)
}

/// Reads a file from its descriptor, unpacked.
final class FileBytes {
    private let descriptor: CInt
    /// Packed bytes that were read; `packed` are those of them that are not unpacked yet.
    private let buffer: UnsafeMutableRawBufferPointer
    private var packed: UnsafeRawBufferPointer
    private var hasBegun = false
    private var unpacker: (any Unpacker)?
    private var atEnd = false

    /// So many bytes tell how a file is packed.
    private static let magicLength = 4

    /// How the file is packed; known once something was read.
    private(set) var packing: Packing?

    /// - Parameters:
    ///   - descriptor: is read from, not closed.
    ///   - readSize: bytes asked of one read of what is packed.
    init(descriptor: CInt, readSize: Int) {
        self.descriptor = descriptor
        buffer = .allocate(byteCount: max(Self.magicLength, readSize), alignment: 64)
        packed = UnsafeRawBufferPointer(rebasing: buffer[..<0])
    }

    deinit { buffer.deallocate() }

    /// The next bytes, at least one and at most as many as fit; 0 at the end.
    func read(into output: UnsafeMutableRawBufferPointer) throws(ReadFailure) -> Int {
        if !hasBegun { try begin() }
        guard let unpacker else {
            // A file that is not packed is read to where it is wanted, but for its first bytes.
            if packed.isEmpty { return try readDescriptor(into: output) }
            let count = min(packed.count, output.count)
            output.copyMemory(from: UnsafeRawBufferPointer(rebasing: packed[..<count]))
            packed = UnsafeRawBufferPointer(rebasing: packed[count...])
            return count
        }
        while true {
            // Also without new input: what was unpacked before may not have had room yet.
            let count = try unpacker.unpack(&packed, into: output)
            if count > 0 { return count }
            guard packed.isEmpty, !atEnd else {
                try unpacker.finish()
                return 0
            }
            let read = try readDescriptor(into: buffer)
            atEnd = read == 0
            packed = UnsafeRawBufferPointer(rebasing: buffer[..<read])
        }
    }

    /// Reads as many bytes as tell how the file is packed. A pipe may give them one by one.
    private func begin() throws(ReadFailure) {
        hasBegun = true
        var count = 0
        while count < Self.magicLength {
            let room = UnsafeMutableRawBufferPointer(rebasing: buffer[count..<Self.magicLength])
            let read = try readDescriptor(into: room)
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

    private func readDescriptor(into output: UnsafeMutableRawBufferPointer) throws(ReadFailure) -> Int {
        while true {
            let count = Glibc.read(descriptor, output.baseAddress, output.count)
            if count >= 0 { return count }
            if errno != EINTR { throw .system(errno: errno) }
        }
    }
}
