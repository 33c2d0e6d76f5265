// The custom_ids of a file, to find duplicates. Ids may have 512 characters and files tens of millions of lines, so the
// ids themselves are not kept, but 96 bits of a hash of each, with a random key. For a million different ids the chance
// of a false duplicate is about 1 in 10^17. It uses about 24 bytes per line. It is the only memory that grows with a
// file.

/// A set of custom_ids, each with its line number.
struct CustomIDSet {
    private struct Entry {
        var hash: UInt64 = 0
        var moreHash: UInt32 = 0
        /// 0 marks an empty slot. Lines beyond 2^32 - 1 are all reported as that one.
        var line: UInt32 = 0
    }

    // Many small tables instead of one, so that growth copies only a small part at a time.
    private var tables = [Table](repeating: Table(), count: 256)

    /// Adds the id of a line. Returns the earlier line that has the id, if there is one.
    mutating func insert(_ id: String, line: Int) -> Int? {
        let hash = Self.hash(id, salt: 0)
        let more = UInt32(truncatingIfNeeded: Self.hash(id, salt: 1))
        let entry = Entry(hash: hash, moreHash: more, line: UInt32(clamping: line))
        return tables[Int(hash >> 56)].insert(entry).map { Int($0) }
    }

    /// A hash of the id's bytes: ids that are only canonically equivalent in Unicode are different.
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

        /// The slot that contains the entry's id, or the empty slot for it.
        private func find(_ entry: Entry) -> Int {
            // The size is not a power of two: the table grows by half, so that fewer slots are empty.
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
