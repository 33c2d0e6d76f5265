// Reads the vocabulary, the added tokens and the model of tokenizer.json.

import JSONText

/// The tokens of tokenizer.json: those of the model, and those that were added.
struct TokenList {
    /// A token that is matched as text.
    struct Added {
        let content: [UInt8]
        let id: Int32
        var options: AddedTokenOptions
        /// Whether it is found in the normalised text, as its own normalised text.
        var isNormalized: Bool
    }

    /// Each token as in the file; empty where no token has the id.
    private(set) var spellings: [[UInt8]]
    /// The tokens of the model.
    private(set) var modelIDs: [Int32]
    /// Those of the model by their spellings.
    let index: TokenIndex
    private(set) var added: [Added] = []
    private var addedByContent: [[UInt8]: Int] = [:]
    /// What the ids of added tokens stay below.
    private let mostAdded: Int

    /// - Parameters:
    ///   - vocabulary: the object of the model, tokens to ids.
    ///   - addedTokens: the array of the file, or nil.
    init(vocabulary: JSONPlace, addedTokens: JSONPlace?) throws(TokenizerError) {
        guard vocabulary.node.kind == .object else { throw vocabulary.error("is not an object") }
        var entries: [(id: Int, spelling: JSONNode)] = []
        var bytes = 0
        for (key, value) in vocabulary.node.members {
            guard value.kind == .int, (0..<Int64(Int32.max)).contains(value.int) else {
                throw vocabulary.error(
                    "the id of the token \"\(key.string)\" is not a number from 0 to \(Int32.max - 1)")
            }
            bytes += key.utf8.count
            entries.append((Int(value.int), key))
        }
        // Ids may have gaps, but no file makes a table much larger than itself.
        let most = 2 * entries.count + 65_536
        guard bytes < Int32.max, let last = entries.map(\.id).max() else { throw vocabulary.error("has no tokens") }
        guard last < most else { throw vocabulary.error("has the id \(last), but only \(entries.count) tokens") }
        mostAdded = most + 65_536
        spellings = [[UInt8]](repeating: [], count: last + 1)
        var isTaken = [Bool](repeating: false, count: last + 1)
        var places: [[UInt8]: Int] = [:]
        for (id, key) in entries {
            let spelling = Array(key.utf8)
            // A token that is listed twice has the last id.
            if let former = places.updateValue(id, forKey: spelling), former != id {
                isTaken[former] = false
                spellings[former] = []
            }
            if isTaken[id], spellings[id] != spelling { throw vocabulary.error("two tokens have the id \(id)") }
            isTaken[id] = true
            spellings[id] = spelling
        }
        modelIDs = isTaken.indices.filter { isTaken[$0] }.map { Int32($0) }
        var strings = ByteStrings()
        strings.reserve(count: spellings.count, bytes: bytes)
        for spelling in spellings { strings.append(spelling) }
        index = TokenIndex(strings, ids: modelIDs)
        try addedTokens?.forEachElement { token throws(TokenizerError) in
            try add(token, id: token.integer("id", most: mostAdded - 1))
        }
    }

    /// Adds a token, or changes one that has been added, as `tokenizers` does: its own id counts only if it is new.
    mutating func add(_ token: JSONPlace, id: Int) throws(TokenizerError) {
        let content = try token.required("content").bytes()
        if content.isEmpty { return }
        if content.count > UInt16.max { throw token.error("is longer than \(UInt16.max) bytes") }
        let isSpecial = try token.bool("special", default: false)
        let options = AddedTokenOptions(
            isControl: isSpecial, isSingleWord: try token.bool("single_word", default: false),
            stripsLeft: try token.bool("lstrip", default: false), stripsRight: try token.bool("rstrip", default: false))
        let isNormalized = try token.bool("normalized", default: !isSpecial)
        if let known = addedByContent[content] {
            added[known].options = options
            added[known].isNormalized = isNormalized
            return
        }
        let known = index.id(of: content)
        let place = known >= 0 ? Int(known) : id
        if known < 0 {
            guard place < mostAdded else {
                throw token.error("has the id \(id), far beyond the last token")
            }
            if place < spellings.count, !spellings[place].isEmpty {
                throw token.error("has the id \(id) of another token")
            }
            while spellings.count <= place { spellings.append([]) }
            spellings[place] = content
        }
        addedByContent[content] = added.count
        added.append(Added(content: content, id: Int32(place), options: options, isNormalized: isNormalized))
    }

    /// The id of the token with this content; nil if there is none.
    func id(of content: some Collection<UInt8>) -> Int32? {
        if let place = addedByContent[Array(content)] { return added[place].id }
        let id = index.id(of: content)
        return id >= 0 ? id : nil
    }

    /// The vocabulary; `isByteLevel` says whether tokens of the model are spelt in GPT-2's alphabet.
    func vocabulary(isByteLevel: Bool) -> Vocabulary {
        var kinds = [Vocabulary.Kind](repeating: .unused, count: spellings.count)
        for id in modelIDs { kinds[Int(id)] = .normal }
        for token in added { kinds[Int(token.id)] = token.options.isControl ? .control : .userDefined }
        var isOfModel = [Bool](repeating: false, count: spellings.count)
        for id in modelIDs where !kinds[Int(id)].isControl { isOfModel[Int(id)] = isByteLevel }
        return Vocabulary(spellings: spellings, kinds: kinds) { isOfModel[$0] }
    }

    /// The tokens that a piece may become: those of the model but control tokens.
    func mergeable(_ vocabulary: Vocabulary) -> [Int32] {
        modelIDs.filter { !vocabulary.kinds[Int($0)].isControl && !vocabulary.unspellable.contains($0) }
    }
}

extension TokenModel {
    /// What the models that are not supported are.
    private static let unsupported: Set<String> = ["Unigram", "WordPiece"]

    /// The type of a model; files of old versions have none.
    static func type(_ place: JSONPlace) throws(TokenizerError) -> String {
        if place["type"] == nil, place["merges"] != nil { return "BPE" }
        let type = try place.type()
        if unsupported.contains(type) {
            throw place.error("the model \(type) is not supported; supported are BPE and WordLevel")
        }
        guard ["BPE", "WordLevel"].contains(type) else { throw place.error("the model \(type) is not known") }
        return type
    }

    /// Whether a model can work on bytes instead of characters of GPT-2's alphabet, with the same result.
    static func mayUseBytes(_ place: JSONPlace, _ tokens: TokenList) throws(TokenizerError) -> Bool {
        guard try type(place) == "BPE", try !place.bool("byte_fallback", default: false),
            try place.string("continuing_subword_prefix") ?? "" == "",
            try place.string("end_of_word_suffix") ?? "" == ""
        else { return false }
        // A byte without a token could become the unknown one.
        return try place.string("unk_token") == nil
            || (0...255).allSatisfy { tokens.index.id(of: ByteLevel.spelling(of: CollectionOfOne(UInt8($0)))) >= 0 }
    }

    /// Reads the model.
    static func read(
        _ place: JSONPlace, _ tokens: TokenList, _ vocabulary: Vocabulary, isByteLevel: Bool
    ) throws(TokenizerError) -> TokenModel {
        let unknown = try place.string("unk_token").flatMap { name in
            let id = tokens.index.id(of: Array(name.utf8))
            return id >= 0 ? id : nil
        }
        let mergeable = tokens.mergeable(vocabulary)
        if try type(place) == "WordLevel" {
            return .words(WordModel(index: TokenIndex(vocabulary.spellings, ids: mergeable), unknown: unknown))
        }
        if let dropout = place["dropout"], !(dropout.node.kind == .double && dropout.node.double == 0) {
            throw dropout.error("dropout, which makes tokens at random, is not supported")
        }
        let prefix = Array((try place.string("continuing_subword_prefix") ?? "").utf8)
        let merges = try MergeTable(place.required("merges"), tokens, vocabulary, prefix: prefix.count)
        let symbols: Symbols
        if isByteLevel {
            let index = TokenIndex(vocabulary.spellings, ids: mergeable)
            symbols = .bytes((0...255).map { index.id(of: CollectionOfOne(UInt8($0))) })
        } else {
            let fuses = try place.bool("fuse_unk", default: false)
            let bytes: [Int32] =
                try place.bool("byte_fallback", default: false)
                ? (0...255).map { tokens.index.id(of: Array(Self.spelling(ofByte: $0).utf8)) }
                : [Int32](repeating: -1, count: 256)
            symbols = .characters(
                CharacterSymbols(
                    tokens: mergeable, of: vocabulary.spellings, prefix: prefix,
                    suffix: Array((try place.string("end_of_word_suffix") ?? "").utf8), byteTokens: bytes,
                    unknown: unknown.map { .token($0, isFused: fuses) } ?? .dropped))
        }
        return .bytePairs(
            BytePairModel(
                vocabulary, merges: merges, symbols: symbols, mergeable: mergeable,
                takesWholeTokens: try place.bool("ignore_merges", default: false)))
    }

    private static func spelling(ofByte byte: Int) -> String {
        "<0x" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true) + ">"
    }
}

extension MergeTable {
    /// Reads merges in either form: `"left right"` or `["left", "right"]`. Merges to control tokens are left out.
    ///
    /// - Parameter prefix: the length of what `right` has before it and the joined token has not.
    init(_ place: JSONPlace, _ tokens: TokenList, _ vocabulary: Vocabulary, prefix: Int) throws(TokenizerError) {
        var merges: [(left: Int32, right: Int32, merge: Merge)] = []
        var rank: UInt32 = 0
        var joined: [UInt8] = []
        guard place.node.kind == .array else { throw place.error("is not an array") }
        var number = -1
        for element in place.node.elements {
            number += 1
            func error(_ reason: String) -> TokenizerError {
                .folder(path: place.file, place: "\(place.place)[\(number)]", reason: reason)
            }
            var parts: [ArraySlice<UInt8>] = []
            switch element.kind {
            case .string:
                let line = Array(element.utf8)
                if line.starts(with: "#version".utf8) { continue }
                parts = line.split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
            case .array:
                for part in element.elements {
                    guard part.kind == .string else { throw error("is not two tokens") }
                    parts.append(Array(part.utf8)[...])
                }
            default: break
            }
            guard parts.count == 2, parts[1].count >= prefix else { throw error("is not two tokens") }
            joined.removeAll(keepingCapacity: true)
            joined += parts[0]
            joined += parts[1].dropFirst(prefix)
            let ids = [parts[0], parts[1], joined[...]].map { part in
                part.withUnsafeBufferPointer { tokens.index.id(of: $0) }
            }
            if let missing = ids.firstIndex(where: { $0 < 0 }) {
                let text = String(decoding: [parts[0], parts[1], joined[...]][missing], as: UTF8.self)
                throw error("the token \"\(text)\" is not in the vocabulary")
            }
            if !vocabulary.kinds[Int(ids[2])].isControl {
                merges.append((ids[0], ids[1], Merge(rank: rank, result: ids[2])))
            }
            rank += 1
        }
        self.init(merges)
    }
}
