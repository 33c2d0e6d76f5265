// gzip (RFC 1952) with zlib. A file may have several members, one after the other, as `cat a.gz b.gz` makes it; and zeros
// behind the last, with which tapes and some tools fill up. Both are what gzip itself accepts.

private import CZlib

/// Unpacks gzip.
final class GzipUnpacker: Unpacker {
    private let stream: UnsafeMutablePointer<z_stream>
    private var place = Place.member

    private enum Place {
        /// In a member; the first one begins the file.
        case member
        /// A member has ended: another may begin, or zeros.
        case between
        /// In zeros behind the last member.
        case padding
    }

    init() {
        // zlib keeps the address, so the stream must not move.
        stream = .allocate(capacity: 1)
        stream.initialize(to: z_stream())
        precondition(czlib_gunzip_init(stream) == Z_OK, "out of memory: no room to unpack gzip")
    }

    deinit {
        inflateEnd(stream)
        stream.deallocate()
    }

    func unpack(
        _ input: inout UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer
    ) throws(ReadFailure) -> Int {
        var written = 0
        while written == 0 {
            guard try enterMember(&input) else { break }
            let room = min(output.count, 1 << 30)
            stream.pointee.next_in = UnsafeMutablePointer(
                mutating: input.baseAddress?.assumingMemoryBound(to: UInt8.self))
            stream.pointee.avail_in = UInt32(input.count)
            stream.pointee.next_out = output.baseAddress?.assumingMemoryBound(to: UInt8.self)
            stream.pointee.avail_out = UInt32(room)
            let status = inflate(stream, Z_NO_FLUSH)
            written = room - Int(stream.pointee.avail_out)
            input = UnsafeRawBufferPointer(rebasing: input[(input.count - Int(stream.pointee.avail_in))...])
            switch status {
            case Z_OK: break
            case Z_STREAM_END: place = .between
            // It can do nothing without more input.
            case Z_BUF_ERROR: return written
            default:
                throw .damaged(.gzip, reason: stream.pointee.msg.map { String(cString: $0) } ?? "error \(status)")
            }
        }
        return written
    }

    /// Whether there is a member to go on with; drops what lies between two.
    private func enterMember(_ input: inout UnsafeRawBufferPointer) throws(ReadFailure) -> Bool {
        if place == .between, let first = input.first {
            if first == 0 {
                place = .padding
            } else {
                // What is no member is refused by its header.
                inflateReset(stream)
                place = .member
            }
        }
        if place == .padding {
            guard input.allSatisfy({ $0 == 0 }) else {
                throw .damaged(.gzip, reason: "something that is not gzip follows its end")
            }
            input = UnsafeRawBufferPointer(rebasing: input[input.count...])
        }
        return place == .member
    }

    func finish() throws(ReadFailure) {
        if place == .member { throw .damaged(.gzip, reason: "it ends too early") }
    }
}
