// A model's vocabulary for llguidance, and grammars compiled for it.

import CLLGuidance
import Glibc
public import Sampling
import Synchronization

/// The tokens of a model as bytes, in the form in which llguidance searches them.
public final class ConstraintVocabulary: Sendable {
    let library: GuidanceLibrary
    /// Tokens of the model.
    let size: Int
    /// Whether the model has no end token; one behind its vocabulary then stands for it.
    private let hasVirtualEnd: Bool
    // Immutable once made; llguidance's tokenizers may be used by several threads.
    nonisolated(unsafe) let tokenizer: OpaquePointer

    /// Makes the vocabulary; takes about 2 µs a token.
    ///
    /// - Parameters:
    ///   - tokens: the bytes of each token; `nil` for one that is never text (control tokens, unused ids).
    ///   - endTokens: the tokens that end a text.
    /// - Throws: `ConstraintsUnavailable`.
    public init(
        tokens: some Collection<[UInt8]?>, endTokens: some Sequence<Int32>
    ) throws(ConstraintsUnavailable) {
        let library = try GuidanceLibrary.shared()
        self.library = library
        size = tokens.count
        var ends = endTokens.map { UInt32($0) }.sorted()
        hasVirtualEnd = ends.isEmpty
        // A byte that is in no UTF-8 text marks what is no text.
        var strings = tokens.map { $0.map { $0.isEmpty ? [0xFF] : $0 } ?? [0xFF] }
        if hasVirtualEnd {
            ends = [UInt32(strings.count)]
            strings.append(Array("\u{0}end".utf8))
            strings[strings.count - 1][0] = 0xFF
        }
        let lengths = strings.map { UInt32($0.count) }
        let bytes = Array(strings.joined())
        var message = [CChar](repeating: 0, count: 1024)
        let made = ends.withUnsafeBufferPointer { ends in
            lengths.withUnsafeBufferPointer { lengths in
                bytes.withUnsafeBufferPointer { bytes in
                    var start = llg_tokenizer_init()
                    start.struct_size = MemoryLayout<llg_tokenizer_init>.size
                    start.vocab_size = UInt32(lengths.count)
                    start.tok_eos = ends[0]
                    start.token_lens = lengths.baseAddress
                    start.token_bytes = bytes.baseAddress
                    start.use_approximate_greedy_tokenize_fn = true
                    start.tok_eos_extra = ends.baseAddress! + 1
                    start.tok_eos_extra_count = UInt32(ends.count - 1)
                    return library.functions.new_tokenizer(&start, &message, message.count)
                }
            }
        }
        guard let made else {
            let reason = String(decoding: message.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            throw ConstraintsUnavailable(
                description: "the model's vocabulary cannot be used for structured output: \(reason)")
        }
        tokenizer = made
    }

    /// A vocabulary of the 256 bytes, with which grammars can be checked without a model.
    public static func bytes() throws(ConstraintsUnavailable) -> ConstraintVocabulary {
        try ConstraintVocabulary(tokens: (0...255).map { [UInt8($0)] }, endTokens: [])
    }

    deinit { library.functions.free_tokenizer(tokenizer) }

    /// Compiles a grammar.
    ///
    /// - Throws: `ConstraintFault` in llguidance's words, if the grammar is wrong or needs something that it does not
    ///   have.
    public func compile(_ source: GrammarSource) throws(ConstraintFault) -> any TokenGrammar {
        try MatcherGrammar(source, self)
    }
}

/// A compiled grammar: a matcher that is copied for each text.
final class MatcherGrammar: TokenGrammar {
    private let vocabulary: ConstraintVocabulary
    /// Copied under the lock.
    private let prototype: Mutex<Prototype>

    private struct Prototype: ~Copyable, @unchecked Sendable {
        let matcher: OpaquePointer
        let free: @convention(c) (OpaquePointer?) -> Void
        deinit { free(matcher) }
    }

    init(_ source: GrammarSource, _ vocabulary: ConstraintVocabulary) throws(ConstraintFault) {
        self.vocabulary = vocabulary
        let functions = vocabulary.library.functions
        let (kind, text): (String, String)
        do { (kind, text) = try source.guidance() } catch { throw ConstraintFault("the schema is no JSON: \(error)") }
        guard !text.utf8.contains(0) else { throw ConstraintFault("it has the character U+0000") }
        if let number = Self.unbearableNumber(text) { throw ConstraintFault("it has the integer \(number)") }
        let matcher = withUnsafePointer(to: functions) { library in
            llg_make_matcher(library, vocabulary.tokenizer, kind, text)!
        }
        if let error = functions.get_error(matcher) {
            let reason = String(cString: error)
            functions.free_matcher(matcher)
            throw ConstraintFault(reason)
        }
        prototype = Mutex(Prototype(matcher: matcher, free: functions.free_matcher))
    }

    /// A constant from -2⁶³ to -2⁶³ + 512, which as a floating-point number are all -2⁶³: at one in a schema llguidance calls
    /// itself until the stack ends, and with it the process. It may be anywhere in a grammar, so it is looked for as text.
    private static func unbearableNumber(_ text: String) -> Substring? {
        // Nearly always this is all, and much faster than the pattern.
        guard strstr(text, "-9223372036854775") != nil else { return nil }
        return text.firstMatch(of: #/-9223372036854775(?:29[6-9]|[3-7][0-9][0-9]|80[0-8])(?![0-9])/#)?.output
    }

    func makeConstraint() throws(ConstraintFault) -> any TokenConstraint {
        let copy = prototype.withLock { vocabulary.library.functions.clone_matcher($0.matcher) }
        guard let copy else { throw ConstraintFault("the grammar cannot be copied") }
        return MatcherConstraint(copy, vocabulary)
    }
}

/// The state of one text in a grammar.
final class MatcherConstraint: TokenConstraint {
    private let matcher: OpaquePointer
    private let vocabulary: ConstraintVocabulary
    private var functions: llg_library { vocabulary.library.functions }
    private var words: [UInt32]

    init(_ matcher: OpaquePointer, _ vocabulary: ConstraintVocabulary) {
        self.matcher = matcher
        self.vocabulary = vocabulary
        words = Array(repeating: 0, count: vocabulary.library.functions.get_mask_byte_size(matcher) / 4)
    }

    deinit { functions.free_matcher(matcher) }

    var mayEnd: Bool { functions.is_accepting(matcher) }
    var mustEnd: Bool { functions.is_stopped(matcher) }

    func nextTokens() throws(ConstraintFault) -> TokenMask {
        guard functions.compute_mask_into(matcher, &words, words.count * 4) == 0 else { throw fault }
        return TokenMask(words: Array(words.prefix(LogitTile.count(vocabulary: vocabulary.size))))
    }

    func accept(_ token: Int32) throws(ConstraintFault) {
        guard functions.consume_token(matcher, UInt32(token)) == 0 else { throw fault }
    }

    private var fault: ConstraintFault {
        ConstraintFault(functions.get_error(matcher).map { String(cString: $0) } ?? "the grammar failed")
    }
}

extension GrammarSource {
    /// The kind and text of the grammar for llguidance.
    fileprivate func guidance() throws -> (kind: String, text: String) {
        switch kind {
        case .json(let schema): ("json", try SchemaText.guidance(schema, allowsWhitespace: allowsWhitespace))
        case .calls(let functions, let mayBeSeveral):
            ("json", try SchemaText.guidance(callsOf: functions, mayBeSeveral: mayBeSeveral))
        case .regex(let expression): ("regex", expression)
        case .choice(let texts): ("lark", "start: " + texts.map(Self.larkString).joined(separator: " | ") + "\n")
        case .lark(let grammar): ("lark", grammar)
        }
    }

    /// A text as a terminal of Lark: JSON's escapes are Lark's.
    private static func larkString(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case _ where scalar.value < 0x20 || scalar.value == 0x7F:
                let digits = String(scalar.value, radix: 16)
                result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }
}
