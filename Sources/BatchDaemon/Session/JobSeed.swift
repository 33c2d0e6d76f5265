// The seed of a job whose request gives none.

/// Seeds for requests without a `seed`.
///
/// They are derived from the job's custom_id and line number. A retry after a crash, or another run of the same file,
/// draws the same tokens; two lines with the same prompt draw different ones.
enum JobSeed {
    /// FNV-1a over the custom_id and the line number.
    static func derived(customID: String, line: Int64) -> UInt64 {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        func take(_ byte: UInt8) { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01b3 }
        customID.utf8.forEach(take)
        withUnsafeBytes(of: line.littleEndian) { $0.forEach(take) }
        return hash
    }
}
