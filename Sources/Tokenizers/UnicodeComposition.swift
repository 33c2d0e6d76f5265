// Unicode normalisation form C, for models whose tokenizer normalises text first.

import Foundation

/// Normalisation form C of UTF-8 text.
enum UnicodeComposition {
    /// `text` (valid UTF-8) in NFC; nil if it certainly is already, because all of it is below U+0300.
    static func composed(_ text: UnsafeBufferPointer<UInt8>) -> [UInt8]? {
        guard text.contains(where: { $0 >= 0xCC }) else { return nil }
        return Array(String(decoding: text, as: UTF8.self).precomposedStringWithCanonicalMapping.utf8)
    }
}
