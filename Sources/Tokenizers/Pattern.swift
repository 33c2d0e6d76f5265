// A regular expression in Hugging Face's syntax, which PCRE2 compiles to machine code if the system permits.

import CPCRE2

/// A compiled pattern. Compiled code is read-only, so several threads may search with it at once.
final class Pattern: @unchecked Sendable {
    fileprivate let code: OpaquePointer
    fileprivate let isMachineCode: Bool

    /// Compiles `pattern`, which must be one of this module: an error in it is a bug and stops the program.
    init(_ pattern: String) {
        var error: Int32 = 0
        var offset = 0
        let source = Array(Self.translated(pattern).utf8)
        let compiled = pcre2_compile_8(source, source.count, PCRE2_UTF | PCRE2_UCP, &error, &offset, nil)
        guard let compiled else { preconditionFailure("pattern \(pattern): PCRE2 error \(error) at byte \(offset)") }
        code = compiled
        // Without a just-in-time compiler (some processors, some hardened systems) PCRE2 interprets: slower, with the
        // same results.
        isMachineCode = pcre2_jit_compile_8(compiled, PCRE2_JIT_COMPLETE) == 0
    }

    deinit { pcre2_code_free_8(code) }

    /// The pattern with classes that do not depend on PCRE2's version.
    ///
    /// `\s` is Unicode's White_Space as in Oniguruma (PCRE2's own `\s` also contains U+180E), and the general
    /// categories get the members that newer versions of Unicode added.
    static func translated(_ pattern: String) -> String {
        var result = ""
        var insideClass = false
        var rest = Substring(pattern)
        while let character = rest.popFirst() {
            guard character == "\\", let escaped = rest.popFirst() else {
                if character == "[" { insideClass = true }
                if character == "]" { insideClass = false }
                result.append(character)
                continue
            }
            switch escaped {
            case "s": result += #"\p{White_Space}"#
            case "S": result += #"\P{White_Space}"#
            case "p":
                let name = String(rest.dropFirst().prefix { $0 != "}" })
                rest.removeFirst(name.count + 2)
                let members = #"\p{\#(name == "digit" ? "N" : name)}"# + (UnicodeSupplement.ranges[name] ?? "")
                result += insideClass ? members : "[\(members)]"
            default: result += "\\\(escaped)"
            }
        }
        return result
    }
}

/// A search through one text at a time. It has scratch memory, so each thread needs its own.
struct PatternSearch: ~Copyable {
    private let matchData: OpaquePointer
    private let limits: OpaquePointer

    /// - Parameter mostSteps: the limit of steps of one search. PCRE2's own limit of ten million is reached only by a
    ///   run of eleven million spaces, which takes too long.
    init(mostSteps: UInt32 = .max) {
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
        let options = UInt32(PCRE2_NO_UTF_CHECK) | UInt32(PCRE2_NOTEMPTY)
        var found =
            pattern.isMachineCode
            ? pcre2_jit_match_8(pattern.code, text.baseAddress, text.count, start, PCRE2_NOTEMPTY, matchData, limits)
            : pcre2_match_8(pattern.code, text.baseAddress, text.count, start, options, matchData, limits)
        if found == PCRE2_ERROR_JIT_STACKLIMIT {
            let interpreted = options | UInt32(PCRE2_NO_JIT)
            found = pcre2_match_8(pattern.code, text.baseAddress, text.count, start, interpreted, matchData, limits)
        }
        if found == PCRE2_ERROR_NOMATCH { return nil }
        guard found > 0 else { throw .patternFailed(offset: start, reason: Self.message(of: found)) }
        let offsets = pcre2_get_ovector_pointer_8(matchData)!
        return offsets[0]..<offsets[1]
    }

    private static func message(of error: Int32) -> String {
        var text = [UInt8](repeating: 0, count: 256)
        let length = pcre2_get_error_message_8(error, &text, text.count)
        return length > 0 ? String(decoding: text.prefix(Int(length)), as: UTF8.self) : "PCRE2 error \(error)"
    }
}
