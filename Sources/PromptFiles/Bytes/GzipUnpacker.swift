// gzip (RFC 1952) with zlib. A file may have several members, one after the other, as `cat a.gz b.gz` makes it, and
// zeros after the last one, which tapes and some tools add. gzip itself accepts both.

private import CZlib

/// Decompresses gzip.
final class GzipUnpacker: Unpacker {
    private let stream: UnsafeMutablePointer<z_stream>
    private var place = Place.member

    private enum Place {
        /// In a member. A file starts in this state.
        case member
        /// After a member: another member or zeros may follow.
        case between
        /// In the zeros after the last member.
        case padding
    }

    init() {
        // zlib keeps the address of the stream, so it must not move.
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
            // It cannot continue without more input.
            case Z_BUF_ERROR: return written
            default:
                throw .damaged(.gzip, reason: stream.pointee.msg.map { String(cString: $0) } ?? "error \(status)")
            }
        }
        return written
    }

    /// Whether another member follows; removes what is between two members.
    private func enterMember(_ input: inout UnsafeRawBufferPointer) throws(ReadFailure) -> Bool {
        if place == .between, let first = input.first {
            if first == 0 {
                place = .padding
            } else {
                // If it is not a member, its header is rejected.
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
