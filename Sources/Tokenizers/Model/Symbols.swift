// What a piece is made of before anything is merged: bytes, or characters.

/// The first symbols of pieces, as token ids.
enum Symbols: Sendable {
    /// Each byte is one: the token of each of the 256, or −1 if the vocabulary has none.
    case bytes([Int32])
    /// Each character is one.
    case characters(CharacterSymbols)
}

/// A hash table from characters to token ids, with open addressing; immutable once built.
struct CharacterTable: Sendable {
    private var slots: [(character: UInt32, id: Int32)]

    private static let vacant = UInt32.max

    /// If a character is listed twice, the first one counts.
    init(_ entries: [(character: UInt32, id: Int32)]) {
        var capacity = 16
        while capacity < entries.count * 2 { capacity *= 2 }
        slots = [(character: UInt32, id: Int32)](repeating: (Self.vacant, -1), count: capacity)
        for entry in entries {
            let slot = slot(of: entry.character)
            if slots[slot].character == Self.vacant { slots[slot] = entry }
        }
    }

    /// The token of a character; −1 if there is none.
    func id(of character: UInt32) -> Int32 { slots[slot(of: character)].id }

    private func slot(of character: UInt32) -> Int {
        let mask = slots.count - 1
        var slot = Int(truncatingIfNeeded: (UInt64(character) &* 0x9E37_79B9_7F4A_7C15) >> 32) & mask
        while slots[slot].character != character, slots[slot].character != Self.vacant { slot = (slot + 1) & mask }
        return slot
    }
}

/// What becomes of a character that has no token.
enum UnknownCharacters: Sendable, Equatable {
    /// It is left out.
    case dropped
    /// It becomes this token; if `isFused`, a run of them becomes one.
    case token(Int32, isFused: Bool)
}

/// The symbols of a model that merges characters.
struct CharacterSymbols: Sendable {
    /// By place in the piece: within it, its first, its last, its only character. Without a prefix and a suffix, all are
    /// the same.
    private let tables: [CharacterTable]
    /// What is written before each character but the first of a piece to find its token.
    let prefix: [UInt8]
    /// What is written behind the last character of a piece.
    let suffix: [UInt8]
    /// The token of each byte, for characters that have none; −1 where there is none.
    let byteTokens: [Int32]
    let unknown: UnknownCharacters

    /// - Parameter entries: each token of one character, by its spelling; a spelling may have the prefix or the suffix.
    init(
        tokens: [Int32], of strings: ByteStrings, prefix: [UInt8] = [], suffix: [UInt8] = [], byteTokens: [Int32],
        unknown: UnknownCharacters, further: [(character: UInt32, id: Int32)] = []
    ) {
        func table(_ prefix: [UInt8], _ suffix: [UInt8]) -> CharacterTable {
            var entries: [(character: UInt32, id: Int32)] = []
            for id in tokens {
                let spelling = strings[id]
                guard spelling.starts(with: prefix), spelling.count > prefix.count + suffix.count,
                    spelling.suffix(suffix.count).elementsEqual(suffix)
                else { continue }
                let character = spelling.dropFirst(prefix.count).dropLast(suffix.count)
                character.withUnsafeBufferPointer { bytes in
                    let (value, length) = UTF8Scalars.first(of: bytes, at: 0)
                    if length == bytes.count { entries.append((value, id)) }
                }
            }
            return CharacterTable(entries + further)
        }
        self.prefix = prefix
        self.suffix = suffix
        self.byteTokens = byteTokens
        self.unknown = unknown
        if prefix.isEmpty, suffix.isEmpty {
            tables = [table([], [])]
        } else {
            tables = [table(prefix, []), table([], []), table(prefix, suffix), table([], suffix)]
        }
    }

    /// The token of a character; −1 if it has none.
    func id(of character: UInt32, isFirst: Bool, isLast: Bool) -> Int32 {
        tables.count == 1
            ? tables[0].id(of: character) : tables[(isFirst ? 1 : 0) + (isLast ? 2 : 0)].id(of: character)
    }

    /// Whether every byte has a token, so that no character is unknown.
    var spellsEverything: Bool { byteTokens.allSatisfy { $0 >= 0 } }
}
