// The fields of an HTML form, as browsers send them.

import Foundation

/// `application/x-www-form-urlencoded`, decoded. Of several fields with one name the first counts.
package struct FormFields: Sendable {
    private let values: [String: String]

    /// Reads a form; what cannot be decoded is left out.
    package init(_ body: some Sequence<UInt8>) {
        let pairs = String(decoding: Array(body), as: UTF8.self).split(separator: "&").compactMap { pair in
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            return Self.decoded(parts[0]).flatMap { name in
                Self.decoded(parts.count > 1 ? parts[1] : "").map { (name, $0) }
            }
        }
        values = Dictionary(pairs) { first, _ in first }
    }

    /// The value of a field.
    package subscript(name: String) -> String? { values[name] }

    private static func decoded(_ text: Substring) -> String? {
        text.replacing("+", with: " ").removingPercentEncoding
    }
}
