// A regular expression in Hugging Face's syntax, which PCRE2 compiles to machine code if the system permits.

import CPCRE2

/// A compiled pattern. Compiled code is read-only, so several threads may search with it at once.
final class Pattern: @unchecked Sendable {
    fileprivate let code: OpaquePointer
    fileprivate let isMachineCode: Bool
    /// Whether it may match the empty text between two characters.
    let mayMatchNothing: Bool

    /// Compiles a pattern of a file, which is in Oniguruma's dialect.
    ///
    /// - Throws: `PatternError`, if it is wrong, or if PCRE2 has nothing like it.
    convenience init(foreign pattern: String) throws(PatternError) {
        try self.init(compiling: OnigurumaPattern.translated(pattern), options: 0)
    }

    /// Compiles `pattern`, which must be one of this module: an error in it is a bug and stops the program.
    convenience init(_ pattern: String) {
        do throws(PatternError) { try self.init(foreign: pattern) } catch {
            preconditionFailure("pattern \(pattern): \(error.reason)")
        }
    }

    /// A pattern for exactly this text, which must not be empty.
    convenience init(literal text: String) throws(PatternError) {
        try self.init(compiling: text, options: PCRE2_LITERAL)
    }

    /// A pattern for each single character of a class.
    convenience init(_ characters: CharacterClass) {
        do throws(PatternError) { try self.init(compiling: characters.expression, options: 0) } catch {
            preconditionFailure("a class of characters: \(error.reason)")
        }
    }

    /// A pattern for runs of characters of one of the classes.
    convenience init(runsOf classes: [CharacterClass]) {
        let pattern = classes.map { "(?:\($0.expression))+" }.joined(separator: "|")
        do throws(PatternError) { try self.init(compiling: pattern, options: 0) } catch {
            preconditionFailure("classes of characters: \(error.reason)")
        }
    }

    private init(compiling pattern: String, options: UInt32) throws(PatternError) {
        var error: Int32 = 0
        var offset = 0
        let source = Array(pattern.utf8)
        let syntax = options == 0 ? UInt32(PCRE2_UCP) : options
        guard let compiled = pcre2_compile_8(source, source.count, PCRE2_UTF | syntax, &error, &offset, nil) else {
            throw PatternError(reason: PatternSearch.message(of: error))
        }
        code = compiled
        // Without a just-in-time compiler (some processors, some hardened systems) PCRE2 interprets: slower, with the
        // same results.
        isMachineCode = pcre2_jit_compile_8(compiled, PCRE2_JIT_COMPLETE) == 0
        var matchesNothing: UInt32 = 1
        pcre2_pattern_info_8(compiled, UInt32(PCRE2_INFO_MATCHEMPTY), &matchesNothing)
        mayMatchNothing = matchesNothing != 0
    }

    deinit { pcre2_code_free_8(code) }
}

/// A search through one text at a time. It has scratch memory, so each thread needs its own.
struct PatternSearch: ~Copyable {
    private let matchData: OpaquePointer
    private let limits: OpaquePointer

    /// - Parameter mostSteps: the limit of steps of one search. PCRE2's own limit of ten million is reached by a run of
    ///   eleven million spaces. This one ends a search for a hostile pattern within some seconds.
    init(mostSteps: UInt32 = 1 << 28) {
        guard let data = pcre2_match_data_create_8(1, nil), let context = pcre2_match_context_create_8(nil) else {
            preconditionFailure("out of memory")
        }
        pcre2_set_match_limit_8(context, mostSteps)
        pcre2_set_depth_limit_8(context, .max)
        pcre2_set_heap_limit_8(context, .max)
        matchData = data
        limits = context
    }

    deinit {
        pcre2_match_data_free_8(matchData)
        pcre2_match_context_free_8(limits)
    }

    /// The first match of `pattern` in `text` (valid UTF-8) at or after byte `start`; never an empty one.
    ///
    /// - Throws: `TokenizerError.patternFailed`.
    borrowing func firstMatch(
        of pattern: Pattern, in text: UnsafeBufferPointer<UInt8>, from start: Int
    ) throws(TokenizerError) -> Range<Int>? {
        try search(pattern, text, start, UInt32(PCRE2_NOTEMPTY))
    }

    /// Calls `body` with all matches of `pattern` in `text` (valid UTF-8), in order.
    ///
    /// Empty matches count, except right behind the match before, as in Hugging Face `tokenizers`.
    ///
    /// - Throws: `TokenizerError.patternFailed`.
    borrowing func forEachMatch(
        of pattern: Pattern, in text: UnsafeBufferPointer<UInt8>, _ body: (Range<Int>) throws(TokenizerError) -> Void
    ) throws(TokenizerError) {
        let options = pattern.mayMatchNothing ? 0 : UInt32(PCRE2_NOTEMPTY)
        var start = 0
        var lastEnd = -1
        while start <= text.count, let match = try search(pattern, text, start, options) {
            if match.isEmpty, match.upperBound == lastEnd {
                repeat { start += 1 } while start < text.count && text[start] & 0xC0 == 0x80
            } else {
                try body(match)
                start = match.upperBound
                lastEnd = start
            }
        }
    }

    private borrowing func search(
        _ pattern: Pattern, _ text: UnsafeBufferPointer<UInt8>, _ start: Int, _ options: UInt32
    ) throws(TokenizerError) -> Range<Int>? {
        let checked = options | UInt32(PCRE2_NO_UTF_CHECK)
        var found =
            pattern.isMachineCode
            ? pcre2_jit_match_8(pattern.code, text.baseAddress, text.count, start, options, matchData, limits)
            : pcre2_match_8(pattern.code, text.baseAddress, text.count, start, checked, matchData, limits)
        if found == PCRE2_ERROR_JIT_STACKLIMIT {
            let interpreted = checked | UInt32(PCRE2_NO_JIT)
            found = pcre2_match_8(pattern.code, text.baseAddress, text.count, start, interpreted, matchData, limits)
        }
        if found == PCRE2_ERROR_NOMATCH { return nil }
        guard found > 0 else { throw .patternFailed(offset: start, reason: Self.message(of: found)) }
        let offsets = pcre2_get_ovector_pointer_8(matchData)!
        return offsets[0]..<max(offsets[0], offsets[1])
    }

    fileprivate static func message(of error: Int32) -> String {
        var text = [UInt8](repeating: 0, count: 256)
        let length = pcre2_get_error_message_8(error, &text, text.count)
        return length > 0 ? String(decoding: text.prefix(Int(length)), as: UTF8.self) : "PCRE2 error \(error)"
    }
}
