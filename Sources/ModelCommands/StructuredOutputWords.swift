// Whether structured output can be had on this machine, for `ttbatch devices`.

import Prompts

/// What `ttbatch devices` tells of structured output, which every device has or none.
package struct StructuredOutputWords {
    private let found = StructuredOutputEngine.find()

    package init() {}

    /// One line.
    package var line: String {
        if let path = found.path { return "structured output: \(StructuredOutputEngine.name), \(path)" }
        return "structured output: not available: \(found.reason ?? "")"
    }

    /// Why it cannot be used; nil if it can.
    package var reason: String? { found.reason }

    /// Its name and version; nil if it cannot be used.
    package var name: String? { found.path == nil ? nil : StructuredOutputEngine.name }
}
