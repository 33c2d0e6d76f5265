// The patterns that split a text into pieces before BPE, for each value of `tokenizer.ggml.pre`.
//
// Sources: the `tokenizer.json` of each model family, as transformers builds it, and the table of names in llama.cpp's
// vocabulary loader. The steps of a name run one after another, each on the pieces of the previous one.

/// The meaning of a value of `tokenizer.ggml.pre`.
struct PreTokenizerRules: Sendable {
    /// One step. The matches of a pattern are pieces, and so are the texts between them.
    enum Step: Sendable, ExpressibleByStringLiteral {
        /// A pattern in Hugging Face's syntax.
        case pattern(String)
        /// Every digit, as the step `Digits` of Hugging Face sees it.
        case digits
        /// Runs of punctuation, as the step `Punctuation` of Hugging Face sees it.
        case punctuation
        /// Runs of bytes that are numeric as characters of GPT-2's alphabet, where the step `Digits` comes after it.
        case numericBytes
        /// Groups of three digits from the right of each run of decimal digits.
        case digitGroups(DigitGroups)

        init(stringLiteral pattern: String) { self = .pattern(pattern) }
    }

    var steps: [Step]
    /// Whether text is normalised to Unicode NFC first.
    var composes = false
    /// Whether a piece that is one token as a whole is not merged (`ignore_merges`).
    var takesWholeTokens = false
    /// Whether prompts begin with the BOS token if the metadata does not say.
    var addsBOS = false
    /// Whether a file without merges merges by the order of its tokens, as tiktoken does.
    var mergesByOrder = false

    /// Names of pre-tokenisers that are not for byte-level models, and what they are for.
    static let unsupported = [
        "gemma4": "BPE of escaped spaces", "granite-embed-multi-311m": "BPE of escaped spaces",
        "mmbert": "BPE of escaped spaces", "sarvam-moe": "BPE of escaped spaces", "whitespace": "BPE of characters",
    ]

    /// The rules by name.
    static let named: [String: PreTokenizerRules] = {
        var rules: [String: PreTokenizerRules] = [:]
        func add(_ names: String, _ rule: PreTokenizerRules) {
            for name in names.split(separator: " ") { rules[String(name)] = rule }
        }
        add(
            "gpt-2 phi-2 gigachat a.x-4.0 mellum exaone4 jais trillion granite-docling roberta-bpe jina-es jina-de "
                + "jina-v1-en jina-v2-es jina-v2-de jina-v2-code",
            .init(steps: [gpt2]))
        add("olmo mpt modern-bert", .init(steps: [gpt2], composes: true))
        add("smollm starcoder refact codeshell exaone minerva-7b mellum2", .init(steps: [.digits, gpt2]))
        add("command-r", .init(steps: [.digits, gpt2], composes: true))
        add("default", .init(steps: [asciiOrUnicodePunctuation, gpt2, #"\p{N}+"#, "[0-9][0-9][0-9]"]))
        add("falcon", .init(steps: [.punctuation, gpt2, "[0-9][0-9][0-9]", .numericBytes]))
        add(
            "llama-bpe llama3 llama-v3 falcon3 falcon-h1 pixtral midm-2.0 lfm2 jina-v5-nano",
            .init(steps: [cl100k(digits: #"\p{N}{1,3}"#)], takesWholeTokens: true, addsBOS: true))
        add("dbrx smaug-bpe chatglm-bpe", .init(steps: [cl100k(digits: #"\p{N}{1,3}"#)]))
        add("glm4 glm5", .init(steps: [cl100k(digits: #"\p{N}{1,3}"#)], takesWholeTokens: true))
        add("jais-2", .init(steps: [cl100k(digits: #"\p{N}{1,3}"#, spaces: spacesByPowersOfTwo)]))
        add("minicpm5", .init(steps: [#"\p{N}{1,3}"#, cl100k(digits: #"\p{N}+"#)], takesWholeTokens: true))
        add("qwen2 megrez", .init(steps: [cl100k(digits: #"\p{N}"#)], composes: true))
        add(
            "deepseek-r1-qwen stablelm2 hunyuan solar-open grok-2 kormo f2llmv2",
            .init(steps: [cl100k(digits: #"\p{N}"#)]))
        add("laguna", .init(steps: [#"[^\n]+|[\n]+"#, cl100k(digits: #"\p{N}"#)]))
        add("ufakzeka", .init(steps: [.pattern(wordsAndSigns(digits: #"\p{N}"#))]))
        add("qwen35", .init(steps: [qwen35], composes: true))
        add("exaone-moe", .init(steps: [exaoneMoE]))
        add("tekken", .init(steps: [cased(contraction: "", digits: #"\p{N}"#)], takesWholeTokens: true, addsBOS: true))
        add("gpt-4o llama4 kanana2 talkie minimax-m2", .init(steps: [o200k]))
        add("granite-embed-multi-97m", .init(steps: [o200k], takesWholeTokens: true))
        add("tiny_aya cohere2moe", .init(steps: [.digitGroups(.wholeAtBoundary), o200k]))
        add(
            "youtu",
            .init(steps: [youtuScripts, cased(contraction: contractions, digits: #"\p{N}"#)], takesWholeTokens: true))
        add("kimi-k2", .init(steps: [kimi], mergesByOrder: true))
        add("superbpe", .init(steps: [#"\p{N}+"#, .digitGroups(.cuts)]))
        add("deepseek-llm", .init(steps: deepSeekLLM))
        add("deepseek-coder", .init(steps: [#"[\r\n]"#, #"\s?\p{L}+"#, #"\s?\p{P}+"#, deepSeekHan, .digits]))
        add("deepseek-v3 hunyuan-dense joyai-llm hy_v4", .init(steps: deepSeekV3))
        add("spark2_5", .init(steps: spark))
        add("afmoe", .init(steps: [.digitGroups(.whole), asianScripts, deepSeekWords]))
        add("bailingmoe bailingmoe2 llada-moe", .init(steps: [bailing]))
        add("seed-coder", .init(steps: [seedCoder]))
        add("bloom gpt3-finnish poro-chat", .init(steps: [bloom]))
        add("viking", .init(steps: [bloom, #"\p{N}"#]))
        add("chameleon", .init(steps: chameleon, addsBOS: true))
        return rules
    }()

    private static let gpt2: Step =
        #"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#
    private static let asciiOrUnicodePunctuation: Step = #"[\p{P}$+<=>^~|]+"#

    /// OpenAI's cl100k pattern, which Llama 3 and many others use.
    private static func cl100k(digits: String, spaces: String = #"\s+(?!\S)|\s+"#) -> Step {
        .pattern(#"(?i:'s|'t|'re|'ve|'m|'ll|'d)|"# + wordsAndSigns(digits: digits, spaces: spaces))
    }

    /// The same without English contractions.
    private static func wordsAndSigns(digits: String, spaces: String = #"\s+(?!\S)|\s+"#) -> String {
        #"[^\r\n\p{L}\p{N}]?\p{L}+|"# + digits + #"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|"# + spaces
    }

    private static let spacesByPowersOfTwo =
        [512, 256, 128, 64, 32, 16, 8, 4].map { #"\s{\#($0)}(?!\S)|"# }.joined() + #"\s{1,2}(?!\S)|\s{1}"#

    /// OpenAI's o200k pattern, which also splits before a capital that follows a small letter.
    private static func cased(contraction: String, digits: String) -> Step {
        let upper = #"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]"#
        let lower = #"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"#
        let before = #"[^\r\n\p{L}\p{N}]?"#
        return .pattern(
            "\(before)\(upper)*\(lower)+\(contraction)|\(before)\(upper)+\(lower)*\(contraction)|\(digits)"
                + #"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"#)
    }

    private static let contractions = #"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"#
    private static let o200k = cased(contraction: contractions, digits: #"\p{N}{1,3}"#)

    private static let qwen35: Step = .pattern(
        #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}"#
            + #"| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#)
    private static let exaoneMoE: Step = .pattern(
        #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+|\p{N}"#
            + #"| ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n]|\s+(?!\S)|\s+"#)
    /// Moonshot's pattern, which keeps Chinese characters apart from other letters.
    private static let kimi: Step = {
        let upper = #"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]"#
        let lower = #"[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]"#
        let before = #"[^\r\n\p{L}\p{N}]?"#
        return .pattern(
            #"\p{Han}+|"# + "\(before)\(upper)*\(lower)+\(contractions)|\(before)\(upper)+\(lower)*\(contractions)"
                + #"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#)
    }()
    private static let youtuScripts: Step =
        "[\u{AC00}-\u{D7A3}\u{3131}-\u{318E}]+|[！…“”‘’—：；，、-\u{303F}\u{FE30}-\u{FE4F}]+|[\u{3105}-\u{312F}]+|[一-龥\u{3040}-\u{309F}\u{30A0}-\u{30FF}]+"
    private static let bailing: Step =
        #"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"#
    private static let seedCoder: Step = .pattern(
        #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1}"#
            + #"| ?[^\s\p{L}\p{N}\r\n]+|\s*[\r\n]+|\s+(?!\S)|\s+"#)
    private static let bloom: Step = #" ?[^(\s|.,!?…。，、।۔،)]+"#

    private static let deepSeekHan: Step = "[一-龥ࠀ-一가-퟿]+"
    private static let deepSeekLLM: [Step] = [
        #"[\r\n]"#,
        .pattern(#"\s?["# + casedLetters + "]+"),
        #"\s?[!-/:-~！-／：-～‘-‟　-。]+"#,
        #"\s+$"#,
        deepSeekHan,
        .digits,
    ]
    /// Letters that have case, as listed in the pattern. They are written as code points, so that no editor can
    /// normalise them.
    private static let casedLetters =
        #"A-Za-z\x{B5}\x{C0}-\x{D6}\x{D8}-\x{F6}\x{F8}-\x{1BA}\x{1BC}-\x{1BF}\x{1C4}-\x{293}"#
        + #"\x{295}-\x{2AF}\x{370}-\x{373}\x{376}\x{377}\x{37B}-\x{37D}\x{37F}\x{386}\x{388}-\x{38A}\x{38C}"#
        + #"\x{38E}-\x{3A1}\x{3A3}-\x{3F5}\x{3F7}-\x{481}\x{48A}-\x{52F}\x{531}-\x{556}\x{10A0}-\x{10C5}"#
        + #"\x{13A0}-\x{13F5}\x{13F8}-\x{13FD}\x{1C90}-\x{1CBA}\x{1CBD}-\x{1CBF}\x{1D00}-\x{1D2B}"#
        + #"\x{1D6B}-\x{1D77}\x{1D79}-\x{1D9A}\x{1E00}-\x{1F15}\x{1F18}-\x{1F1D}\x{1F20}-\x{1F45}"#
        + #"\x{1F48}-\x{1F4D}\x{1F50}-\x{1F57}\x{1F59}\x{1F5B}\x{1F5D}\x{1F5F}-\x{1F7D}\x{1F80}-\x{1FB4}"#
        + #"\x{1FB6}-\x{1FBC}\x{1FBE}\x{1FC2}-\x{1FC4}\x{1FC6}-\x{1FCC}\x{1FD0}-\x{1FD3}\x{1FD6}-\x{1FDB}"#
        + #"\x{1FE0}-\x{1FEC}\x{1FF2}-\x{1FF4}\x{1FF6}-\x{1FFC}\x{2102}\x{2107}\x{210A}-\x{2113}\x{2115}"#
        + #"\x{2119}-\x{211D}\x{2124}\x{2126}\x{2128}\x{212A}-\x{212D}\x{212F}-\x{2134}\x{2139}"#
        + #"\x{213C}-\x{213F}\x{2145}-\x{2149}\x{214E}\x{2183}\x{2184}\x{2C00}-\x{2C7B}\x{2C7E}-\x{2CE4}"#
        + #"\x{2CEB}-\x{2CEE}\x{2CF2}\x{2CF3}\x{A640}-\x{A66D}\x{A680}-\x{A69B}\x{A722}-\x{A76F}"#
        + #"\x{A771}-\x{A787}\x{A78B}-\x{A78E}\x{AB70}-\x{ABBF}\x{FB00}-\x{FB06}\x{FB13}-\x{FB17}"#
        + #"\x{FF21}-\x{FF3A}\x{FF41}-\x{FF5A}\x{10400}-\x{1044F}\x{104B0}-\x{104D3}\x{104D8}-\x{104FB}"#
        + #"\x{10C80}-\x{10CB2}\x{10CC0}-\x{10CF2}\x{118A0}-\x{118DF}\x{1E900}-\x{1E943}"#
    private static let deepSeekKana: Step = "[一-龥\u{3040}-\u{309F}\u{30A0}-\u{30FF}]+"
    private static let deepSeekV3: [Step] = [#"\p{N}{1,3}"#, deepSeekKana, deepSeekWords]
    private static let deepSeekWords: Step = .pattern(
        punctuatedWords + #"| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#)
    private static let spark: [Step] = [
        #"\p{N}{1,3}"#, deepSeekKana, .pattern(punctuatedWords + #"| ?[\p{P}\p{S}]+|[\r\n]|\s+(?!\S)|\s+"#),
        #"\p{N}"#,
    ]
    private static let punctuatedWords =
        ##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"##
    private static let asianScripts: Step = .pattern(
        #"[\x{4E00}-\x{9FFF}\x{3400}-\x{4DBF}\x{F900}-\x{FAFF}\x{3040}-\x{309F}\x{30A0}-\x{30FF}\x{FF65}-\x{FF9F}"#
            + #"\x{2F00}-\x{2FDF}\x{0E40}-\x{0E7F}\x{0E80}-\x{0EFF}\x{1780}-\x{17FF}\x{1000}-\x{109F}\x{AA60}-\x{AA7F}"#
            + #"\x{A9E0}-\x{A9FF}\x{AC00}-\x{D7AF}\x{1100}-\x{11FF}]+"#)
    private static let chameleon: [Step] = [
        "<sentinel:[0-9]+>", "(IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z", #"([\t\n]|    |  )"#, #"\p{N}"#,
        #"[\p{P}!-/:-@\[-`{-~]"#, gpt2,
    ]
}

/// Which groups of three digits are pieces, counted from the right of each run of decimal digits.
enum DigitGroups: Sendable {
    /// All groups, and what is left of them.
    case whole
    /// The same, in runs that no word character follows.
    case wholeAtBoundary
    /// The text is cut before each whole group, and nowhere else.
    case cuts

    private static let run = Pattern(#"\d+"#)
    private static let wholeRun = Pattern(#"\d+(?!\w)"#)

    /// The pieces of `text` (valid UTF-8).
    func pieces(
        of text: UnsafeBufferPointer<UInt8>, _ search: borrowing PatternSearch
    ) throws(TokenizerError) -> [Range<Int>] {
        var cuts = [0]
        var end = 0
        while let run = try search.firstMatch(of: Self.run, in: text, from: end) {
            end = run.upperBound
            if case .wholeAtBoundary = self {
                guard
                    try search.firstMatch(of: Self.wholeRun, in: text, from: run.lowerBound)?.lowerBound
                        == run.lowerBound
                else { continue }
            }
            var starts = run.filter { text[$0] & 0xC0 != 0x80 }
            let rest = starts.count % 3
            starts = starts.indices.filter { ($0 - rest) % 3 == 0 }.map { starts[$0] }
            if case .cuts = self { cuts += starts } else { cuts += [run.lowerBound] + starts + [run.upperBound] }
        }
        return zip(cuts, cuts.dropFirst() + [text.count]).map { $0..<$1 }
    }
}
