// Values of options that are texts.

import ArgumentParser

/// Texts that options were given.
///
/// An option takes whatever follows it, since numbers, names and times may begin with a minus. What begins with two is
/// the next option, and the value was forgotten.
package enum OptionText {
    /// Arguments in which `--window -24h` is `--window=-24h`: the parser would look for `-h` in the former.
    package static func joined(_ arguments: [String]) -> [String] {
        var joined: [String] = []
        for argument in arguments {
            let isNumber = argument.hasPrefix("-") && argument.dropFirst().first?.isNumber == true
            if isNumber, let last = joined.last, last.hasPrefix("--"), last.count > 2, !last.contains("=") {
                joined[joined.count - 1] = "\(last)=\(argument)"
            } else {
                joined.append(argument)
            }
        }
        return joined
    }

    package static func check(_ texts: KeyValuePairs<String, String?>) throws {
        for (option, text) in texts {
            guard let text, text.hasPrefix("--") else { continue }
            throw ValidationError("\(option) \(text): a value is missing before \(text)")
        }
    }
}
