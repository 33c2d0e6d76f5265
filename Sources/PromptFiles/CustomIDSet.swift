// The custom_ids of a file, to find duplicates. Ids may have 512 characters and files tens of millions of lines, so the
// ids themselves are not kept: 96 bits of a randomly keyed hash stand for each. The chance that two different ids of a
// million are taken for equal is about 1 in 10^17. Some 24 bytes a line; the only memory that grows with a file.

/// A set of custom_ids, each with the line that has it.
struct CustomIDSet {
    private struct Entry {
        var hash: UInt64 = 0
        var moreHash: UInt32 = 0
        /// 0 marks an empty slot. Lines beyond 2^32 - 1 are all told as that one.
        var line: UInt32 = 0
    }

    // Many small tables instead of one, so that growing copies a small part at a time.
    private var tables = [Table](repeating: Table(), count: 256)

    /// Adds the id of a line. Returns the line that has it already, if there is one.
    mutating func insert(_ id: String, line: Int) -> Int? {
        let hash = Self.hash(id, salt: 0)
        let more = UInt32(truncatingIfNeeded: Self.hash(id, salt: 1))
        let entry = Entry(hash: hash, moreHash: more, line: UInt32(clamping: line))
        return tables[Int(hash >> 56)].insert(entry).map { Int($0) }
    }

    /// A hash of the id's bytes: ids that only Unicode holds for equal are different.
    private static func hash(_ id: String, salt: UInt8) -> UInt64 {
        var id = id
        return id.withUTF8 { bytes in
            var hasher = Hasher()
            hasher.combine(salt)
            hasher.combine(bytes: UnsafeRawBufferPointer(bytes))
            return UInt64(bitPattern: Int64(hasher.finalize()))
        }
    }

    /// Open addressing with linear probing.
    private struct Table {
        private var slots = [Entry](repeating: Entry(), count: 8)
        private var count = 0

        mutating func insert(_ entry: Entry) -> UInt32? {
            let slot = find(entry)
            if slots[slot].line != 0 { return slots[slot].line }
            slots[slot] = entry
            count += 1
            if count * 5 > slots.count * 4 { grow() }
            return nil
        }

        /// The slot that holds the entry's id, or the empty one where it belongs.
        private func find(_ entry: Entry) -> Int {
            // The size is no power of two: it grows by half, so that less of it stands empty.
            var slot = Int(truncatingIfNeeded: ((entry.hash & 0xFFFF_FFFF) &* UInt64(slots.count)) >> 32)
            while slots[slot].line != 0, slots[slot].hash != entry.hash || slots[slot].moreHash != entry.moreHash {
                slot = slot + 1 == slots.count ? 0 : slot + 1
            }
            return slot
        }

        private mutating func grow() {
            let old = slots
            slots = [Entry](repeating: Entry(), count: old.count + old.count / 2)
            for entry in old where entry.line != 0 { slots[find(entry)] = entry }
        }
    }
}
