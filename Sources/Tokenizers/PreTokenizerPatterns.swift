// The patterns that split a text into pieces before BPE, for each value of `tokenizer.ggml.pre`.
//
// Sources: the `tokenizer.json` of each model family, as transformers builds it, and the table of names in llama.cpp's
// vocabulary loader. The steps of a name run one after another, each on the pieces of the previous one.

/// The meaning of a value of `tokenizer.ggml.pre`.
struct PreTokenizerRules: Sendable {
    /// Patterns in Hugging Face's syntax. The matches of a pattern are pieces, and so are the texts between them.
    var steps: [String]
    /// Whether text is normalised to Unicode NFC first.
    var composes = false
    /// Whether a piece that is one token as a whole is not merged (`ignore_merges`).
    var takesWholeTokens = false
    /// Whether prompts begin with the BOS token if the metadata does not say.
    var addsBOS = false

    /// The rules by name.
    static let named: [String: PreTokenizerRules] = {
        var rules: [String: PreTokenizerRules] = [:]
        func add(_ names: String, _ rule: PreTokenizerRules) {
            for name in names.split(separator: " ") { rules[String(name)] = rule }
        }
        add("gpt-2 phi-2 gigachat a.x-4.0 mellum exaone4 jais trillion granite-docling", .init(steps: [gpt2]))
        add("olmo mpt", .init(steps: [gpt2], composes: true))
        add("smollm starcoder refact codeshell exaone minerva-7b mellum2", .init(steps: [digit, gpt2]))
        add("command-r", .init(steps: [digit, gpt2], composes: true))
        add("default", .init(steps: [asciiOrUnicodePunctuation, gpt2, #"\p{N}+"#, "[0-9][0-9][0-9]"]))
        add(
            "llama-bpe llama3 llama-v3 falcon3 falcon-h1 pixtral midm-2.0 lfm2",
            .init(steps: [cl100k(digits: #"\p{N}{1,3}"#)], takesWholeTokens: true, addsBOS: true))
        add("dbrx smaug-bpe glm4 chatglm-bpe", .init(steps: [cl100k(digits: #"\p{N}{1,3}"#)]))
        add("minicpm5", .init(steps: [#"\p{N}{1,3}"#, cl100k(digits: #"\p{N}+"#)], takesWholeTokens: true))
        add("qwen2 megrez", .init(steps: [cl100k(digits: #"\p{N}"#)], composes: true))
        add(
            "deepseek-r1-qwen stablelm2 hunyuan solar-open grok-2 kormo f2llmv2",
            .init(steps: [cl100k(digits: #"\p{N}"#)]))
        add("qwen35", .init(steps: [qwen35], composes: true))
        add("tekken", .init(steps: [cased(contraction: "", digits: #"\p{N}"#)], takesWholeTokens: true, addsBOS: true))
        add(
            "gpt-4o llama4 kanana2 talkie minimax-m2",
            .init(steps: [cased(contraction: #"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"#, digits: #"\p{N}{1,3}"#)]))
        add("deepseek-llm", .init(steps: deepSeekLLM))
        add("deepseek-coder", .init(steps: [#"[\r\n]"#, #"\s?\p{L}+"#, #"\s?\p{P}+"#, deepSeekHan, digit]))
        add("deepseek-v3 hunyuan-dense joyai-llm hy_v4", .init(steps: deepSeekV3))
        add("bailingmoe bailingmoe2 llada-moe", .init(steps: [bailing]))
        add("seed-coder", .init(steps: [seedCoder]))
        add("bloom gpt3-finnish poro-chat", .init(steps: [bloom]))
        add("viking", .init(steps: [bloom, #"\p{N}"#]))
        return rules
    }()

    private static let gpt2 = #"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#
    /// Hugging Face's `Digits` step: every digit is a piece. `\p{digit}` is what Rust calls numeric.
    private static let digit = #"\p{digit}"#
    private static let asciiOrUnicodePunctuation = #"[\p{P}$+<=>^~|]+"#

    /// OpenAI's cl100k pattern, which Llama 3 and many others use.
    private static func cl100k(digits: String) -> String {
        #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"# + digits
            + #"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#
    }

    /// OpenAI's o200k pattern, which also splits before a capital that follows a small letter.
    private static func cased(contraction: String, digits: String) -> String {
        let upper = #"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]"#
        let lower = #"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"#
        let before = #"[^\r\n\p{L}\p{N}]?"#
        return "\(before)\(upper)*\(lower)+\(contraction)|\(before)\(upper)+\(lower)*\(contraction)|\(digits)"
            + #"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"#
    }

    private static let qwen35 =
        #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}"#
        + #"| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#
    private static let bailing =
        #"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"#
    private static let seedCoder =
        #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1}"#
        + #"| ?[^\s\p{L}\p{N}\r\n]+|\s*[\r\n]+|\s+(?!\S)|\s+"#
    private static let bloom = #" ?[^(\s|.,!?…。，、।۔،)]+"#

    private static let deepSeekHan = "[一-龥ࠀ-一가-퟿]+"
    private static let deepSeekLLM = [
        #"[\r\n]"#,
        #"\s?["# + casedLetters + "]+",
        #"\s?[!-/:-~！-／：-～‘-‟　-。]+"#,
        #"\s+$"#,
        deepSeekHan,
        digit,
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
    private static let deepSeekV3 = [
        #"\p{N}{1,3}"#,
        "[一-龥\u{3040}-\u{309F}\u{30A0}-\u{30FF}]+",
        ##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"##
            + #"| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#,
    ]
}
