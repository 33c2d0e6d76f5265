// The text of a key: `ttb_`, a public part by which it is found, and a secret part.

/// A key as its holder has it.
package struct KeyText: Sendable, Hashable {
    /// Everything.
    package let text: String
    /// The characters after `ttb_` that are no secret.
    package var publicID: String { String(text.dropFirst(Self.prefix.count).prefix(Self.publicCharacters)) }

    private static let prefix = "ttb_"
    private static let publicCharacters = 8
    /// 160 bits.
    private static let secretCharacters = 32
    /// 32 characters, none like another.
    private static let alphabet = Array("0123456789abcdefghjkmnpqrstvwxyz")

    /// Makes a new key, from the system's random numbers.
    package init() {
        var random = SystemRandomNumberGenerator()
        let count = Self.publicCharacters + Self.secretCharacters
        text = Self.prefix + String((0..<count).map { _ in Self.alphabet.randomElement(using: &random)! })
    }

    /// Takes `text` if it has the form of a key.
    package init?(_ text: String) {
        let rest = text.utf8.dropFirst(Self.prefix.utf8.count)
        guard text.hasPrefix(Self.prefix), rest.count == Self.publicCharacters + Self.secretCharacters,
            rest.allSatisfy({ Self.alphabet.contains(Character(UnicodeScalar($0))) })
        else { return nil }
        self.text = text
    }
}
