// Where the bytes of a prompt file come from: a descriptor, or whoever else hands them out.

private import Glibc

/// Gives the next bytes of an input like read(2): at least one, 0 at the end. It may block.
public typealias ByteInput = (UnsafeMutableRawBufferPointer) throws(InputFailure) -> Int

/// An input that ended too early.
public struct InputFailure: Error, Hashable, Sendable {
    /// Why, as the system numbers it, e.g. `ECONNRESET`.
    public let errno: Int32

    /// Wraps an error number.
    public init(errno: Int32) { self.errno = errno }
}

/// The bytes of an open file.
func bytes(of descriptor: Int32) -> ByteInput {
    { (output) throws(InputFailure) in
        while true {
            let count = Glibc.read(descriptor, output.baseAddress, output.count)
            if count >= 0 { return count }
            if Glibc.errno != EINTR { throw InputFailure(errno: Glibc.errno) }
        }
    }
}
