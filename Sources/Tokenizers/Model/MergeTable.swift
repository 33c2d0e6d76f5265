// The merges of a byte-pair encoding, by the two tokens that they join.

/// A merge: its rank, and the token that it makes.
struct Merge: Equatable, Sendable {
    /// Its position in the list of merges; lower ranks are merged first.
    let rank: UInt32
    /// The joined token.
    let result: Int32

    /// The value for a pair that does not merge.
    static let none = Merge(rank: .max, result: -1)
}

/// A hash table from (left id, right id) to `Merge`; open addressing, immutable once built.
struct MergeTable: Sendable {
    private struct Slot {
        var key: UInt64
        var merge: Merge
    }

    private static let empty = UInt64.max
    private let slots: [Slot]
    private let shift: UInt64

    /// Builds the table. If a pair is listed twice, the last rank counts, as in Hugging Face `tokenizers`.
    init(_ merges: [(left: Int32, right: Int32, merge: Merge)]) {
        var bits: UInt64 = 4
        while 1 << bits < merges.count * 2 { bits += 1 }
        shift = 64 - bits
        let vacant = Slot(key: Self.empty, merge: .none)
        var slots = [Slot](repeating: vacant, count: 1 << Int(bits))
        for (left, right, merge) in merges {
            let key = Self.key(left, right)
            var index = Self.index(key, shift)
            while slots[index].key != Self.empty, slots[index].key != key { index = (index + 1) & (slots.count - 1) }
            slots[index] = Slot(key: key, merge: merge)
        }
        self.slots = slots
    }

    /// The merge of `left` and `right`, or `.none`.
    func merge(_ left: Int32, _ right: Int32) -> Merge {
        let key = Self.key(left, right)
        return slots.withUnsafeBufferPointer { slots in
            var index = Self.index(key, shift)
            while true {
                let slot = slots[index]
                if slot.key == key { return slot.merge }
                if slot.key == Self.empty { return .none }
                index = (index + 1) & (slots.count - 1)
            }
        }
    }

    /// Builds the table of a model that merges any two neighbours whose union is a token: the union of lowest rank first.
    ///
    /// Such models have no list of merges: SentencePiece ranks tokens by their scores, tiktoken by their order.
    ///
    /// - Parameters:
    ///   - ids: the tokens that may result, spelt in `strings`.
    ///   - symbols: finds what tokens are made of: tokens, and first symbols of pieces.
    ///   - rank: the rank of a token.
    ///   - isCut: whether a spelling can be cut in two before a byte.
    static func allSplits(
        of ids: [Int32], in strings: ByteStrings, symbols: (UnsafeBufferPointer<UInt8>) -> Int32,
        rank: (Int32) -> UInt32, isCut: (UInt8) -> Bool
    ) -> MergeTable {
        var merges: [(left: Int32, right: Int32, merge: Merge)] = []
        merges.reserveCapacity(ids.count * 2)
        strings.bytes.withUnsafeBufferPointer { bytes in
            for id in ids {
                let range = strings.range(of: id)
                if range.count < 2 { continue }
                let merge = Merge(rank: rank(id), result: id)
                for cut in range.dropFirst() where isCut(bytes[cut]) {
                    let left = symbols(UnsafeBufferPointer(rebasing: bytes[range.lowerBound..<cut]))
                    if left < 0 { continue }
                    let right = symbols(UnsafeBufferPointer(rebasing: bytes[cut..<range.upperBound]))
                    if right >= 0 { merges.append((left, right, merge)) }
                }
            }
        }
        return MergeTable(merges)
    }

    private static func key(_ left: Int32, _ right: Int32) -> UInt64 {
        UInt64(UInt32(bitPattern: left)) << 32 | UInt64(UInt32(bitPattern: right))
    }

    private static func index(_ key: UInt64, _ shift: UInt64) -> Int {
        Int(truncatingIfNeeded: ((key ^ (key >> 29)) &* 0x9E37_79B9_7F4A_7C15) >> shift)
    }
}
