// Python's format mini-language, common to the fields of `str.format` and to printf-style `%`: sign, width, precision,
// type.

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

struct FormatSpecification {
    static let maximumWidth = 10_000

    var fill: Unicode.Scalar = " "
    /// `<`, `>`, `^` or `=`; nil for the default of the type.
    var alignment: Unicode.Scalar?
    /// `+`, `-` or a space.
    var sign: Unicode.Scalar = "-"
    var isAlternate = false
    var width = 0
    var grouping: Unicode.Scalar?
    var precision: Int?
    var type: Unicode.Scalar?

    init() {}

    /// Parses the part after the colon in `{:…}`.
    init(_ text: String) throws(JinjaError) {
        var rest = Array(text.unicodeScalars)[...]
        let alignments: Set<Unicode.Scalar> = ["<", ">", "^", "="]
        if rest.count > 1, alignments.contains(rest[rest.startIndex + 1]) {
            fill = rest.removeFirst()
            alignment = rest.removeFirst()
        } else if let first = rest.first, alignments.contains(first) {
            alignment = rest.removeFirst()
        }
        if let first = rest.first, ["+", "-", " "].contains(first) { sign = rest.removeFirst() }
        if rest.first == "#" { isAlternate = rest.popFirst() != nil }
        if rest.first == "0", alignment == nil {
            fill = "0"
            alignment = "="
        }
        width = try Self.number(&rest) ?? 0
        if rest.first == "," || rest.first == "_" { grouping = rest.popFirst() }
        if rest.first == "." {
            rest.removeFirst()
            guard let digits = try Self.number(&rest) else { throw JinjaError(.value, "format without a precision") }
            precision = digits
        }
        type = rest.popFirst()
        if !rest.isEmpty { throw JinjaError(.value, "invalid format specification '\(text)'") }
    }

    static func number(_ rest: inout ArraySlice<Unicode.Scalar>) throws(JinjaError) -> Int? {
        var value: Int?
        while let digit = rest.first, ("0"..."9").contains(digit) {
            value = (value ?? 0) * 10 + Int(digit.value - 48)
            if value! > maximumWidth { throw JinjaError(.limit, "a format wider than \(maximumWidth)") }
            rest.removeFirst()
        }
        return value
    }

    func format(_ text: Text) throws(JinjaError) -> Text {
        guard type == nil || type == "s", grouping == nil, alignment != "=" || fill == "0" else {
            throw JinjaError(.value, "format '\(type.map(String.init) ?? "=")' does not fit a string")
        }
        var shown = text
        if let precision, precision < text.count { shown = text.slice(0..<text.offset(ofCodePoint: precision)) }
        return padded(shown, default: "<")
    }

    func format(_ value: Int) throws(JinjaError) -> Text {
        let digits: String
        var prefix = ""
        switch type {
        case nil, "d", "n":
            if precision != nil { throw JinjaError(.value, "a precision does not fit an integer") }
            digits = grouped(String(value.magnitude))
        case "x":
            digits = String(value.magnitude, radix: 16)
            prefix = "0x"
        case "X":
            digits = String(value.magnitude, radix: 16, uppercase: true)
            prefix = "0X"
        case "o":
            digits = String(value.magnitude, radix: 8)
            prefix = "0o"
        case "b":
            digits = String(value.magnitude, radix: 2)
            prefix = "0b"
        case "c":
            guard let scalar = UInt32(exactly: value).flatMap(Unicode.Scalar.init) else {
                throw JinjaError(.value, "\(value) is not a character")
            }
            return padded(Text(String(scalar)), default: "<")
        default: return try format(Double(value))
        }
        return signed((isAlternate ? prefix : "") + digits, isNegative: value < 0)
    }

    func format(_ value: Double) throws(JinjaError) -> Text {
        let magnitude = value.magnitude
        let digits: String
        switch type {
        case nil where precision == nil: digits = grouped(pythonText(magnitude))
        case "f", "F", "e", "E", "g", "G", "%", nil:
            guard magnitude.isFinite else { return signed(pythonText(magnitude), isNegative: value < 0) }
            let conversion = type == "%" ? "f" : String(type ?? "g")
            let scaled = type == "%" ? magnitude * 100 : magnitude
            digits = grouped(printf("%.\(precision ?? 6)\(conversion)", scaled)) + (type == "%" ? "%" : "")
        default: throw JinjaError(.value, "unknown format code '\(type!)' for a number")
        }
        return signed(digits, isNegative: value.sign == .minus)
    }

    private func printf(_ format: String, _ value: Double) -> String {
        var buffer = [CChar](repeating: 0, count: (precision ?? 6) + 400)
        let written = withVaList([value]) { vsnprintf(&buffer, buffer.count, format, $0) }
        return String(decoding: buffer.prefix(Int(written)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    private func grouped(_ digits: String) -> String {
        guard let grouping else { return digits }
        let whole = digits.prefix { $0.isNumber }
        var result = ""
        for (index, digit) in whole.enumerated() {
            if index > 0, (whole.count - index) % 3 == 0 { result.unicodeScalars.append(grouping) }
            result.append(digit)
        }
        return result + digits.dropFirst(whole.count)
    }

    private func signed(_ digits: String, isNegative: Bool) -> Text {
        let mark = isNegative ? "-" : sign == "-" ? "" : String(sign)
        guard alignment == "=" else { return padded(Text(mark + digits), default: ">") }
        let missing = max(0, width - mark.count - digits.unicodeScalars.count)
        return Text(mark + String(repeating: String(fill), count: missing) + digits)
    }

    private func padded(_ text: Text, default standard: Unicode.Scalar) -> Text {
        let missing = width - min(width, text.count)
        if missing == 0 { return text }
        let side = alignment == nil || alignment == "=" ? standard : alignment!
        let left = side == "<" ? 0 : side == "^" ? missing / 2 : missing
        var result = Text(String(repeating: String(fill), count: left))
        result.append(text)
        result.append(Text(String(repeating: String(fill), count: missing - left)))
        return result
    }
}
