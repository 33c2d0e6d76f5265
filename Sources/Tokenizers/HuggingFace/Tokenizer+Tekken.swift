// Makes a tokenizer from Mistral's tekken.json or from a tiktoken file: byte-level BPE whose merges are the order of the
// tokens.

import Foundation
import JSONText
import ModelFiles

extension Tokenizer {
    /// Makes a tokenizer from tekken.json, which has the pattern and the special tokens in it.
    convenience init(tekken bytes: [UInt8], _ files: HuggingFaceTokenizerFiles) throws(TokenizerError) {
        let ranked = try JSONPlace.withRoot(of: bytes, file: files.path(of: "tekken.json")) {
            root throws(TokenizerError) in try RankedTokens(tekken: root)
        }
        try self.init(
            ranked, files, NamedTokens(files), preTokenizer: PreTokenizer([.split(ranked.pattern, .isolated)]),
            composes: false)
    }

    /// Makes a tokenizer from a tiktoken file. It has neither pattern nor special tokens: Qwen's are known.
    convenience init(
        tiktoken bytes: [UInt8], name: String, _ files: HuggingFaceTokenizerFiles
    ) throws(TokenizerError) {
        let names = try NamedTokens(files)
        let family = names.tokenizerClass
        let file = files.path(of: name)
        guard family == "QWenTokenizer" || family == nil && name == "qwen.tiktoken" else {
            throw .folder(
                path: file, place: "",
                reason:
                    "the pattern and the special tokens of \(family.map { "the class \($0)" } ?? "this file") are not known; "
                    + "supported are those of QWenTokenizer; put a tokenizer.json beside it")
        }
        let specials = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"] + (0..<205).map { "<|extra_\($0)|>" }
        let ranked = try RankedTokens(tiktoken: bytes, file: file, specials: specials)
        let rules = PreTokenizerRules.named["qwen2"]!
        try self.init(ranked, files, names, preTokenizer: PreTokenizer(rules), composes: rules.composes)
    }

    private convenience init(
        _ ranked: RankedTokens, _ files: HuggingFaceTokenizerFiles, _ names: NamedTokens, preTokenizer: PreTokenizer,
        composes: Bool
    ) throws(TokenizerError) {
        let vocabulary = Vocabulary(spellings: ranked.spellings, kinds: ranked.kinds) { _ in false }
        let mergeable = vocabulary.mergeable([.normal])
        let index = TokenIndex(vocabulary.spellings, ids: mergeable)
        let model = BytePairModel(
            vocabulary,
            merges: .allSplits(
                of: mergeable, in: vocabulary.spellings, symbols: { index.id(of: $0) }, rank: { UInt32($0) },
                isCut: { _ in true }),
            symbols: .bytes((0...255).map { index.id(of: CollectionOfOne(UInt8($0))) }), mergeable: mergeable,
            takesWholeTokens: true)
        var markers = names.markers { content in
            (0..<Int32(vocabulary.count)).first {
                vocabulary.kinds[Int($0)] == .control && vocabulary.spellings[$0].elementsEqual(content)
            }
        }
        if let bos = ranked.bos { markers.bos = markers.bos ?? bos }
        if let eos = ranked.eos { markers.eos = markers.eos ?? eos }
        let frame = try names.frame(markers) ?? PromptFrame(prefix: [ranked.bos].compactMap(\.self))
        markers.addsBOS = !frame.prefix.isEmpty
        markers.addsEOS = !frame.suffix.isEmpty
        self.init(
            path: files.path, vocabulary: vocabulary, markers: markers,
            endOfGeneration: try names.endOfGeneration(markers, vocabulary),
            stages: Stages(
                addedTokens: AddedTokens(vocabulary), normalizer: composes ? Normalizer(steps: [.form(.nfc)]) : .none,
                preTokenizer: preTokenizer, model: .bytePairs(model), prefix: frame.prefix, suffix: frame.suffix),
            decoder: TokenDecoder(texts: vocabulary.spellings))
    }
}

/// Tokens whose order says which are merged first.
private struct RankedTokens {
    var spellings: [[UInt8]] = []
    var kinds: [Vocabulary.Kind] = []
    var pattern = Pattern(#"\s+"#)
    var bos: Int32?
    var eos: Int32?

    init(tekken root: JSONPlace) throws(TokenizerError) {
        let config = try root.required("config")
        let size = try config.integer("default_vocab_size", most: 1 << 24)
        let specialCount = try config.integer("default_num_special_tokens", most: min(size, 1 << 16))
        let regex = try config.required("pattern")
        let text = try regex.string()
        do throws(PatternError) { pattern = try Pattern(foreign: text) } catch {
            throw regex.error("the regular expression cannot be used: \(error.reason) in \(text)")
        }
        var specials = [[UInt8]?](repeating: nil, count: specialCount)
        if let listed = root["special_tokens"] {
            try listed.forEachElement { token throws(TokenizerError) in
                specials[try token.integer("rank", most: specialCount - 1)] = try token.text("token_str")
            }
        } else {
            guard ["v1", "v2", "v3", "v7"].contains(try config.string("version")) else {
                throw root.error("special_tokens is missing, which only files up to version 7 may leave out")
            }
            for (rank, special) in Self.earlySpecials.enumerated() where rank < specialCount {
                specials[rank] = Array(special.utf8)
            }
        }
        for (rank, special) in specials.enumerated() {
            spellings.append(special ?? Array("<SPECIAL_\(rank)>".utf8))
            kinds.append(.control)
        }
        let count = size - specialCount
        var tokens = [[UInt8]?](repeating: nil, count: min(count, try Self.count(root)))
        try root.required("vocab").forEachElement { token throws(TokenizerError) in
            let rank = try token.integer("rank", most: Int(Int32.max))
            // A file has more tokens than its models.
            guard rank < tokens.count else { return }
            guard let bytes = Data(base64Encoded: try token.required("token_bytes").string()), !bytes.isEmpty else {
                throw token.error("token_bytes is not base64")
            }
            tokens[rank] = Array(bytes)
        }
        for (rank, token) in tokens.enumerated() {
            guard let token else { throw root.error("vocab has no token of rank \(rank)") }
            spellings.append(token)
            kinds.append(.normal)
        }
        bos = id(of: "<s>")
        eos = id(of: "</s>")
    }

    /// The special tokens of files that do not list them, by rank.
    private static let earlySpecials = [
        "<unk>", "<s>", "</s>", "[INST]", "[/INST]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]", "[TOOL_RESULTS]",
        "[/TOOL_RESULTS]", "[TOOL_CALLS]", "[IMG]", "<pad>", "[IMG_BREAK]", "[IMG_END]", "[PREFIX]", "[MIDDLE]",
        "[SUFFIX]",
        "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]", "[TOOL_CONTENT]",
    ]

    private static func count(_ root: JSONPlace) throws(TokenizerError) -> Int {
        var count = 0
        try root.required("vocab").forEachElement { _ in count += 1 }
        return count
    }

    /// Reads lines of a token in base64 and its rank.
    init(tiktoken bytes: [UInt8], file: String, specials: [String]) throws(TokenizerError) {
        for (number, line) in bytes.split(separator: UInt8(ascii: "\n")).enumerated() {
            func error(_ reason: String) -> TokenizerError {
                .folder(path: file, place: "line \(number + 1)", reason: reason)
            }
            let parts = line.split(separator: UInt8(ascii: " "))
            guard parts.count == 2, let token = Data(base64Encoded: Data(parts[0])), !token.isEmpty else {
                throw error("is not a token in base64 and its rank")
            }
            guard Int(String(decoding: parts[1], as: UTF8.self)) == number else {
                throw error("the rank is not \(number)")
            }
            spellings.append(Array(token))
            kinds.append(.normal)
        }
        if spellings.isEmpty { throw .folder(path: file, place: "", reason: "has no tokens") }
        for special in specials {
            spellings.append(Array(special.utf8))
            kinds.append(.control)
        }
        eos = id(of: "<|endoftext|>")
    }

    private func id(of special: String) -> Int32? {
        zip(spellings, kinds).enumerated().first {
            $0.element.1 == .control && $0.element.0.elementsEqual(special.utf8)
        }
        .map { Int32($0.offset) }
    }
}
