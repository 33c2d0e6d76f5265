// Runs of one script, as the pre-tokeniser `UnicodeScripts` of Hugging Face `tokenizers` sees them.

enum UnicodeScripts {
    /// The runs of `text` (valid UTF-8). Characters of any script, such as spaces, belong to the run before them; what of
    /// them begins the text belongs to none, and is lost, as in that library.
    static func runs(of text: UnsafeBufferPointer<UInt8>) -> [Range<Int>] {
        var starts: [Int] = []
        var last: UInt32 = 0
        UTF8Scalars.forEach(in: text) { scalar, range in
            let script = script(of: scalar)
            if script == 0 { return }
            if script != last { starts.append(range.lowerBound) }
            last = script
        }
        return zip(starts, starts.dropFirst() + [text.count]).map { $0..<$1 }
    }

    /// The number of the script of a character; 0 if it belongs to any.
    private static func script(of scalar: UInt32) -> UInt32 {
        let table = UnicodeSupplement.scripts
        var low = 0
        var high = table.count
        while high - low > 1 {
            let middle = (low + high) / 2
            if table[middle] >> 8 <= scalar { low = middle } else { high = middle }
        }
        return table[low] & 0xFF
    }
}
