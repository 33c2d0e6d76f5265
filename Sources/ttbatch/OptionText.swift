// Values of options that are texts.

import ArgumentParser

/// Texts that options were given.
///
/// An option takes whatever follows it, since numbers, names and times may begin with a minus. What begins with two is
/// the next option, and the value was forgotten.
enum OptionText {
    static func check(_ texts: KeyValuePairs<String, String?>) throws {
        for (option, text) in texts {
            guard let text, text.hasPrefix("--") else { continue }
            throw ValidationError("\(option) \(text): a value is missing before \(text)")
        }
    }
}
