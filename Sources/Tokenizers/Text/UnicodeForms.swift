// Unicode's normalisation forms, with the characters that Hugging Face `tokenizers` knows.

import Foundation

/// Unicode's normalisation forms.
enum UnicodeForms {
    static func apply(_ form: Normalizer.Form, to text: inout NormalizedText) {
        // Compatibility mappings begin at U+00A0; everything else is above U+00C0, and composition above U+0300.
        let first: UInt8 = form == .nfc ? 0xCC : form == .nfd ? 0xC3 : 0xC2
        guard text.bytes.contains(where: { $0 >= first }) else { return }
        guard text.isTemplate != nil else {
            text.bytes = normalized(text.bytes, form)
            return
        }
        // A run of one origin could be changed by its neighbour: whatever is not plain is cut before each character that
        // begins anew in every form, and has the origin of all of its run.
        var result = NormalizedText(emptyLike: text)
        let starts = text.bytes.indices.filter { text.bytes[$0] < 0x80 }
        var position = 0
        for start in starts + [text.bytes.count] where start > position {
            let range = position..<start
            result.append(normalized(Array(text.bytes[range]), form), replacing: range, of: text)
            position = start
        }
        text = result
    }

    private static func normalized(_ bytes: [UInt8], _ form: Normalizer.Form) -> [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(bytes.count + bytes.count / 4)
        var start = 0
        bytes.withUnsafeBufferPointer { buffer in
            UTF8Scalars.forEach(in: buffer) { value, range in
                guard isInert(value) else { return }
                if range.lowerBound > start { result += mapped(bytes[start..<range.lowerBound], form) }
                result += bytes[range]
                start = range.upperBound
            }
        }
        return start == 0 ? mapped(bytes[...], form) : result + mapped(bytes[start...], form)
    }

    private static func isInert(_ value: UInt32) -> Bool {
        let table = UnicodeSupplement.inertInNormalization
        if value < table[0].lowerBound { return false }
        var low = 0
        var high = table.count
        while high - low > 1 {
            let middle = (low + high) / 2
            if table[middle].lowerBound <= value { low = middle } else { high = middle }
        }
        return table[low].contains(value)
    }

    private static func mapped(_ bytes: ArraySlice<UInt8>, _ form: Normalizer.Form) -> [UInt8] {
        let text = String(decoding: bytes, as: UTF8.self)
        return switch form {
        case .nfc: Array(text.precomposedStringWithCanonicalMapping.utf8)
        case .nfd: Array(text.decomposedStringWithCanonicalMapping.utf8)
        // Foundation does not compose across what compatibility mappings write: U+FF76 U+FF9E is U+30AC.
        case .nfkc: Array(text.decomposedStringWithCompatibilityMapping.precomposedStringWithCanonicalMapping.utf8)
        case .nfkd: Array(text.decomposedStringWithCompatibilityMapping.decomposedStringWithCanonicalMapping.utf8)
        }
    }
}
