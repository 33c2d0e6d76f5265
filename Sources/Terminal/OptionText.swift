// Option values that may start with a minus sign.

import ArgumentParser
import Runtime

/// The text value of an option.
///
/// An option takes any next argument as its value, since numbers, names and times may start with a minus sign. An
/// argument with two minus signs is the next option, so the value is missing.
package enum OptionText {
    /// Arguments in which `--window -24h` is replaced by `--window=-24h`: the parser would take the former for `-h`.
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

    /// Refuses files that are elsewhere.
    package static func check(paths: [String]) throws {
        for path in paths { if let location = ForeignLocation(path) { throw ValidationError("\(location)") } }
    }
}
