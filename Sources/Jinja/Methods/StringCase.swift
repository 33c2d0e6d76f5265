// Case changes and character classes of Python's `str`.

extension Interpreter {
    func callCaseMethod(_ name: String, _ text: Text) throws(JinjaError) -> Value {
        switch name {
        case "upper": .string(text.uppercased())
        case "lower", "casefold": .string(text.lowercased())
        case "title": .string(text.titlecased())
        case "capitalize": .string(text.capitalized())
        case "swapcase":
            .string(
                text.mapScalars {
                    $0.properties.isUppercase ? $0.properties.lowercaseMapping : $0.properties.uppercaseMapping
                })
        default: .bool(try isOfClass(name, text))
        }
    }

    private func isOfClass(_ name: String, _ text: Text) throws(JinjaError) -> Bool {
        let scalars = text.string.unicodeScalars
        switch name {
        case "isdigit":
            return !text.isEmpty
                && scalars.allSatisfy { $0.properties.numericType == .decimal || $0.properties.numericType == .digit }
        case "isdecimal": return !text.isEmpty && scalars.allSatisfy { $0.properties.numericType == .decimal }
        case "isnumeric": return !text.isEmpty && scalars.allSatisfy { $0.properties.numericType != nil }
        case "isalpha": return !text.isEmpty && scalars.allSatisfy(\.isPythonAlpha)
        case "isalnum":
            return !text.isEmpty && scalars.allSatisfy { $0.isPythonAlpha || $0.properties.numericType != nil }
        case "isspace": return !text.isEmpty && scalars.allSatisfy(\.isPythonSpace)
        case "isupper": return text.isUppercase
        case "islower": return text.isLowercase
        case "istitle": return text.isTitlecase
        case "isascii": return text.isASCII
        case "isidentifier":
            guard let first = scalars.first, first == "_" || first.properties.isXIDStart else { return false }
            return scalars.allSatisfy { $0 == "_" || $0.properties.isXIDContinue }
        default: throw JinjaError(.type, "'str' object has no method '\(name)'")
        }
    }
}

extension Unicode.Scalar {
    fileprivate var isPythonAlpha: Bool {
        switch properties.generalCategory {
        case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter: true
        default: false
        }
    }

    fileprivate var isPythonCased: Bool {
        properties.isUppercase || properties.isLowercase || properties.generalCategory == .titlecaseLetter
    }
}

extension Text {
    /// Applies `transform` to each code point, keeping origins.
    func mapScalars(_ transform: (Unicode.Scalar) -> String) -> Text {
        mapPieces { piece in
            var result = ""
            for scalar in piece.unicodeScalars { result += transform(scalar) }
            return result
        }
    }

    func uppercased() -> Text { mapScalars { $0.properties.uppercaseMapping } }

    /// Lower case; a capital sigma that ends a word becomes `ς`.
    func lowercased() -> Text {
        if !string.unicodeScalars.contains("Σ") { return mapScalars { $0.properties.lowercaseMapping } }
        let scalars = Array(string.unicodeScalars)
        var index = -1
        return mapScalars { scalar in
            index += 1
            return scalar == "Σ" && Self.isFinalSigma(scalars, index) ? "ς" : scalar.properties.lowercaseMapping
        }
    }

    private static func isFinalSigma(_ scalars: [Unicode.Scalar], _ index: Int) -> Bool {
        let before = scalars[..<index].last { !$0.properties.isCaseIgnorable }
        let after = scalars[(index + 1)...].first { !$0.properties.isCaseIgnorable }
        return before?.properties.isCased == true && after?.properties.isCased != true
    }

    /// Python's `str.title`: a letter after a non-letter is upper case, every other lower case.
    func titlecased() -> Text {
        var afterLetter = false
        return mapScalars { scalar in
            defer { afterLetter = scalar.properties.isCased }
            return afterLetter ? scalar.properties.lowercaseMapping : scalar.properties.titlecaseMapping
        }
    }

    /// Python's `str.capitalize`.
    func capitalized() -> Text {
        guard let first = string.unicodeScalars.first else { return self }
        let width = UTF8.width(first)
        var result = slice(0..<width).mapScalars { $0.properties.titlecaseMapping }
        result.append(slice(width..<utf8Count).lowercased())
        return result
    }

    var isUppercase: Bool {
        string.unicodeScalars.contains { $0.properties.isUppercase }
            && !string.unicodeScalars.contains {
                $0.properties.isLowercase || $0.properties.generalCategory == .titlecaseLetter
            }
    }

    var isLowercase: Bool {
        string.unicodeScalars.contains { $0.properties.isLowercase }
            && !string.unicodeScalars.contains {
                $0.properties.isUppercase || $0.properties.generalCategory == .titlecaseLetter
            }
    }

    fileprivate var isTitlecase: Bool {
        var afterCased = false
        var found = false
        for scalar in string.unicodeScalars {
            if scalar.isPythonCased, scalar.properties.isLowercase != afterCased { return false }
            found = found || scalar.isPythonCased
            afterCased = scalar.isPythonCased
        }
        return found
    }
}
