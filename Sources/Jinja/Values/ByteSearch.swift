// Substring search in linear time (Knuth, Morris and Pratt 1977), so that a hostile input cannot make it quadratic.

struct ByteSearch {
    private let pattern: [UInt8]
    /// For each prefix, the length of its longest proper prefix that is also its suffix.
    private let borders: [Int]

    /// - Parameter pattern: must not be empty.
    init(_ pattern: some Sequence<UInt8>) {
        self.pattern = Array(pattern)
        var borders = [Int](repeating: 0, count: self.pattern.count)
        var border = 0
        for index in self.pattern.indices.dropFirst() {
            while border > 0, self.pattern[index] != self.pattern[border] { border = borders[border - 1] }
            if self.pattern[index] == self.pattern[border] { border += 1 }
            borders[index] = border
        }
        self.borders = borders
    }

    /// Offsets of the non-overlapping occurrences at or after `start`, at most `limit` of them.
    func offsets(in bytes: some Collection<UInt8>, from start: Int = 0, limit: Int = .max) -> [Int] {
        var result: [Int] = []
        if limit <= 0 { return result }
        var matched = 0
        var offset = start
        for byte in bytes.dropFirst(start) {
            while matched > 0, byte != pattern[matched] { matched = borders[matched - 1] }
            if byte == pattern[matched] { matched += 1 }
            offset += 1
            if matched == pattern.count {
                result.append(offset - matched)
                if result.count == limit { return result }
                matched = 0
            }
        }
        return result
    }
}
