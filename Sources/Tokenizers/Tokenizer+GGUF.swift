// Makes a tokenizer from the metadata of a GGUF file.

public import ModelFiles

extension Tokenizer {
    /// Makes the tokenizer of a model file.
    ///
    /// - Throws: `TokenizerError` with the file and the key, if the tokenizer is not byte-level BPE, its pre-tokeniser
    ///   is unknown, or its parts are inconsistent.
    public convenience init(_ metadata: GGUFMetadata) throws(TokenizerError) {
        let path = metadata.path
        let model = try metadata.tokenizerString("tokenizer.ggml.model")
        guard model == "gpt2" else { throw .unsupportedModel(path: path, model: model) }
        let name = try metadata.tokenizerString("tokenizer.ggml.pre")
        guard let rules = PreTokenizerRules.named[name] else {
            throw .unknownPreTokenizer(path: path, name: name, known: PreTokenizerRules.named.keys.sorted())
        }
        let vocabulary = try Vocabulary(metadata)
        let mergeable = (0..<Int32(vocabulary.count)).filter { !vocabulary.kinds[Int($0)].isControl }
        let index = TokenIndex(vocabulary, ids: mergeable)
        self.init(
            path: path, vocabulary: vocabulary, merges: try MergeTable(metadata, vocabulary, index), index: index,
            mergeable: mergeable, rules: rules,
            markers: try MarkerTokens(metadata, vocabularySize: vocabulary.count, addsBOS: rules.addsBOS))
    }
}

extension Vocabulary {
    init(_ metadata: GGUFMetadata) throws(TokenizerError) {
        let spellings = try metadata.tokenizerStrings("tokenizer.ggml.tokens")
        let path = metadata.path
        guard !spellings.isEmpty, spellings.count < Int32.max else {
            throw .inconsistent(path: path, reason: "a vocabulary of \(spellings.count) tokens")
        }
        guard case .integers(let types)? = metadata["tokenizer.ggml.token_type"] else {
            throw .file(.missingKey(path: path, key: "tokenizer.ggml.token_type", expected: "an array of integers"))
        }
        guard types.count == spellings.count else {
            throw .inconsistent(path: path, reason: "\(spellings.count) tokens but \(types.count) token types")
        }
        var kinds: [Kind] = []
        kinds.reserveCapacity(types.count)
        for (id, type) in types.enumerated() {
            guard let raw = UInt8(exactly: type), let kind = Kind(rawValue: raw) else {
                throw .inconsistent(path: path, reason: "token \(id) has the unknown type \(type)")
            }
            kinds.append(kind)
        }
        self.init(spellings: spellings, kinds: kinds)
    }
}

extension MergeTable {
    /// Reads merges of the form `left right`. Merges that make a control token are left out: ordinary text must never
    /// become a control token.
    init(_ metadata: GGUFMetadata, _ vocabulary: Vocabulary, _ index: TokenIndex) throws(TokenizerError) {
        let lines = try metadata.tokenizerStrings("tokenizer.ggml.merges")
        var merges: [(left: Int32, right: Int32, merge: Merge)] = []
        merges.reserveCapacity(lines.count)
        var joined: [UInt8] = []
        for (rank, line) in lines.enumerated() {
            guard let space = line.dropFirst().firstIndex(of: UInt8(ascii: " ")) else {
                throw .inconsistent(path: metadata.path, reason: "merge \(rank) is not two tokens")
            }
            joined.removeAll(keepingCapacity: true)
            line.withUnsafeBufferPointer { line in
                ByteLevel.appendBytes(of: UnsafeBufferPointer(rebasing: line[..<space]), to: &joined)
            }
            let middle = joined.count
            line.withUnsafeBufferPointer { line in
                ByteLevel.appendBytes(of: UnsafeBufferPointer(rebasing: line[(space + 1)...]), to: &joined)
            }
            let (left, right, result) = joined.withUnsafeBufferPointer { joined in
                (
                    index.id(of: UnsafeBufferPointer(rebasing: joined[..<middle])),
                    index.id(of: UnsafeBufferPointer(rebasing: joined[middle...])), index.id(of: joined)
                )
            }
            if left >= 0, right >= 0, result >= 0 {
                merges.append((left, right, Merge(rank: UInt32(rank), result: result)))
            } else if !vocabulary.hasControlToken(String(decoding: line, as: UTF8.self)) {
                throw .inconsistent(
                    path: metadata.path,
                    reason: "merge \(rank) (\"\(String(decoding: line, as: UTF8.self))\") names a token that is missing"
                )
            }
        }
        self.init(merges)
    }
}

extension Vocabulary {
    /// Whether a part or the result of the merge `line` is a control token.
    fileprivate func hasControlToken(_ line: String) -> Bool {
        let parts = line.split(separator: " ", omittingEmptySubsequences: true).map { Array($0.utf8) }
        let texts = parts + [parts.flatMap(\.self)]
        return (0..<Int32(count)).contains { id in
            kinds[Int(id)].isControl && texts.contains { $0.elementsEqual(bytes[range(of: id)]) }
        }
    }
}

extension MarkerTokens {
    init(_ metadata: GGUFMetadata, vocabularySize: Int, addsBOS: Bool) throws(TokenizerError) {
        func id(_ name: String) throws(TokenizerError) -> Int32? {
            guard let id = metadata.integer("tokenizer.ggml.\(name)_token_id") else { return nil }
            guard (0..<vocabularySize).contains(id) else {
                throw .inconsistent(
                    path: metadata.path,
                    reason: "tokenizer.ggml.\(name)_token_id is \(id), the vocabulary has \(vocabularySize) tokens")
            }
            return Int32(id)
        }
        self.init(
            bos: try id("bos"), eos: try id("eos"), eot: try id("eot"), eom: try id("eom"),
            unknown: try id("unknown"), padding: try id("padding"),
            addsBOS: metadata.bool("tokenizer.ggml.add_bos_token") ?? addsBOS,
            addsEOS: metadata.bool("tokenizer.ggml.add_eos_token") ?? false)
        if self.addsBOS, bos == nil {
            throw .inconsistent(path: metadata.path, reason: "prompts begin with BOS, but no bos_token_id is given")
        }
        if self.addsEOS, eos == nil {
            throw .inconsistent(path: metadata.path, reason: "prompts end with EOS, but no eos_token_id is given")
        }
    }
}

extension GGUFMetadata {
    fileprivate func tokenizerString(_ key: String) throws(TokenizerError) -> String {
        do { return try requiredString(key) } catch { throw .file(error) }
    }

    fileprivate func tokenizerStrings(_ key: String) throws(TokenizerError) -> [[UInt8]] {
        guard case .strings(let strings)? = self[key] else {
            throw .file(.missingKey(path: path, key: key, expected: "an array of strings"))
        }
        return strings
    }
}
