// Unicode normalisation form C, for the models whose tokenizer composes text first.

import Foundation

/// Normalisation form C of UTF-8 text.
enum UnicodeComposition {
    /// `text` (valid UTF-8) composed, or `nil` where it certainly is already: below U+0300 nothing combines.
    static func composed(_ text: UnsafeBufferPointer<UInt8>) -> [UInt8]? {
        guard text.contains(where: { $0 >= 0xCC }) else { return nil }
        return Array(String(decoding: text, as: UTF8.self).precomposedStringWithCanonicalMapping.utf8)
    }
}
