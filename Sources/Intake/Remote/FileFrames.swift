// Several files in one stream, or one whose length nobody knows: pieces with their lengths, so that a stream that breaks off
// is never taken for a whole one.

/// The form of the stream: for each file its pieces, each a length in four bytes, the greatest first, and as many bytes;
/// a length of 0 ends the file.
public enum FileFrames {
    /// The content type of such a stream.
    public static let contentType = "application/x-ttbatch-files"
    /// The number of bytes before each piece.
    public static let headerLength = 4

    /// What stands before a piece of `count` bytes; 0 ends the file.
    public static func header(_ count: Int) -> [UInt8] {
        withUnsafeBytes(of: UInt32(count).bigEndian) { Array($0) }
    }

    /// Takes such a stream apart as it comes.
    public struct Reader {
        /// A part of the stream.
        public enum Part: Hashable {
            /// As many of the next bytes belong to the present file.
            case bytes(Int)
            /// The present file is complete.
            case endOfFile
        }

        private var header: [UInt8] = []
        /// The bytes of the present piece that have not come yet.
        private var left = 0

        /// Starts at the beginning of a stream.
        public init() {}

        /// What the front of `bytes` is, and how many bytes that is; nil if more bytes are needed to tell.
        ///
        /// - Returns: the part, and the number of bytes before it that are no part of a file.
        public mutating func next(_ bytes: some Collection<UInt8>) -> (skipped: Int, part: Part?) {
            var skipped = 0
            if left == 0 {
                let missing = bytes.prefix(FileFrames.headerLength - header.count)
                header += missing
                skipped = missing.count
                guard header.count == FileFrames.headerLength else { return (skipped, nil) }
                left = header.reduce(0) { $0 << 8 | Int($1) }
                header = []
                if left == 0 { return (skipped, .endOfFile) }
            }
            let count = min(left, bytes.count - skipped)
            left -= count
            return (skipped, count > 0 ? .bytes(count) : nil)
        }
    }
}
