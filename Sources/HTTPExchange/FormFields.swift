// The fields of a form that a browser sends.

import Foundation

/// The fields of a form, in the order of the form. Source: the URL standard, section 5.1.
package struct FormFields: Sendable {
    private let pairs: [(name: String, value: String)]

    /// Reads `a=1&b=two+words`.
    package init(_ body: String) {
        pairs = body.split(separator: "&").map { pair in
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            return (Self.decoded(parts[0]), parts.count > 1 ? Self.decoded(parts[1]) : "")
        }
    }

    /// The first value of a field; nil if it is not there.
    package subscript(name: String) -> String? { pairs.first { $0.name == name }?.value }

    /// All values of a field.
    package func all(_ name: String) -> [String] { pairs.filter { $0.name == name }.map(\.value) }

    private static func decoded(_ text: Substring) -> String {
        let spaced = text.replacing("+", with: " ")
        return spaced.removingPercentEncoding ?? String(spaced)
    }
}
