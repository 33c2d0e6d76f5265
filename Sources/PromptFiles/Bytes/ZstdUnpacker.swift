// Zstandard (RFC 8878) with libzstd, one frame after another.

private import CZstd

/// Decompresses zstd.
final class ZstdUnpacker: Unpacker {
    private let stream: OpaquePointer
    /// The last return value of libzstd: 0 if a frame has ended and all of it was output.
    private var expected = 1

    init() {
        guard let stream = ZSTD_createDStream() else { fatalError("out of memory: no room to unpack zstd") }
        self.stream = stream
    }

    deinit { ZSTD_freeDStream(stream) }

    func unpack(
        _ input: inout UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer
    ) throws(ReadFailure) -> Int {
        var written = ZSTD_outBuffer(dst: output.baseAddress, size: output.count, pos: 0)
        while written.pos == 0 {
            // Between frames, a call without input would expect another frame.
            if input.isEmpty, expected == 0 { break }
            var read = ZSTD_inBuffer(src: input.baseAddress, size: input.count, pos: 0)
            let status = ZSTD_decompressStream(stream, &written, &read)
            if ZSTD_isError(status) != 0 { throw .damaged(.zstd, reason: reason(status)) }
            expected = status
            input = UnsafeRawBufferPointer(rebasing: input[read.pos...])
            if read.pos == 0, written.pos == 0 { break }
        }
        return written.pos
    }

    private func reason(_ status: Int) -> String {
        switch ZSTD_getErrorCode(status) {
        case ZSTD_error_frameParameter_windowTooLarge:
            "it needs more than 128 MiB of memory; pack it again without --long"
        case ZSTD_error_prefix_unknown: "something that is not zstd follows its end"
        default: String(cString: ZSTD_getErrorName(status))
        }
    }

    func finish() throws(ReadFailure) {
        if expected != 0 { throw .damaged(.zstd, reason: "it ends too early") }
    }
}
