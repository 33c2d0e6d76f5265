// The lookup from bytes to token ids, which is the last step for most pieces of a text.

/// A hash table of tokens by their bytes, with open addressing; immutable once built.
struct TokenIndex: Sendable {
    private let strings: ByteStrings
    private let slots: [Int32]
    private let mask: Int

    /// Makes an index of the tokens `ids`. If two have the same bytes, the first one is found.
    init(_ strings: ByteStrings, ids: [Int32]) {
        var capacity = 16
        while capacity < ids.count * 2 { capacity *= 2 }
        let mask = capacity - 1
        var slots = [Int32](repeating: -1, count: capacity)
        strings.bytes.withUnsafeBufferPointer { bytes in
            for id in ids {
                let range = strings.range(of: id)
                if range.isEmpty { continue }
                let key = UnsafeBufferPointer(rebasing: bytes[range])
                var slot = Self.hash(key) & mask
                while slots[slot] >= 0, !bytes[strings.range(of: slots[slot])].elementsEqual(key) {
                    slot = (slot + 1) & mask
                }
                if slots[slot] < 0 { slots[slot] = id }
            }
        }
        self.strings = strings
        self.slots = slots
        self.mask = mask
    }

    /// The token with exactly the bytes of `key`; −1 if there is none.
    func id(of key: UnsafeBufferPointer<UInt8>) -> Int32 {
        strings.bytes.withUnsafeBufferPointer { bytes in
            var slot = Self.hash(key) & mask
            while true {
                let id = slots[slot]
                if id < 0 { return -1 }
                let start = Int(strings.offsets[Int(id)])
                if Int(strings.offsets[Int(id) + 1]) - start == key.count, Self.equal(bytes.baseAddress! + start, key) {
                    return id
                }
                slot = (slot + 1) & mask
            }
        }
    }

    /// The token with exactly the bytes of `key`; −1 if there is none.
    func id(of key: some Collection<UInt8>) -> Int32 { Array(key).withUnsafeBufferPointer { id(of: $0) } }

    private static func equal(_ candidate: UnsafePointer<UInt8>, _ key: UnsafeBufferPointer<UInt8>) -> Bool {
        for index in 0..<key.count where candidate[index] != key[index] { return false }
        return true
    }

    /// Multiplies and folds eight bytes at a time: keys are short, and the hash need not be strong.
    private static func hash(_ key: UnsafeBufferPointer<UInt8>) -> Int {
        let multiplier: UInt64 = 0x9E37_79B9_7F4A_7C15
        var hash = UInt64(truncatingIfNeeded: key.count) &* multiplier
        var index = 0
        let raw = UnsafeRawBufferPointer(key)
        while index + 8 <= raw.count {
            hash = (hash ^ raw.loadUnaligned(fromByteOffset: index, as: UInt64.self)) &* multiplier
            hash ^= hash >> 29
            index += 8
        }
        var tail: UInt64 = 0
        while index < raw.count {
            tail = tail << 8 | UInt64(raw[index])
            index += 1
        }
        hash = (hash ^ tail) &* multiplier
        return Int(truncatingIfNeeded: (hash ^ (hash >> 32)) & 0x7FFF_FFFF_FFFF_FFFF)
    }
}
