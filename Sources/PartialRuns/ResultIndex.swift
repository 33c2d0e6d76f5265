// Where the results of prompts are in files of results, by their custom_ids.

import PromptFiles
import Terminal

/// The results of several files. It takes about 80 bytes for each, however long it is.
struct ResultIndex {
    /// Where a result is.
    struct Place {
        /// Which of `paths`.
        let file: Int
        let result: Range<Int64>
        let end: WrittenResult.End
    }

    /// 128 bits of a hash of an id's bytes, with a random key.
    private struct Key: Hashable {
        let first: Int
        let second: Int

        init(_ customID: String) {
            (first, second) = (Self.hash(customID, salt: 0), Self.hash(customID, salt: 1))
        }

        private static func hash(_ text: String, salt: UInt8) -> Int {
            var text = text
            return text.withUTF8 { bytes in
                var hasher = Hasher()
                hasher.combine(salt)
                hasher.combine(bytes: UnsafeRawBufferPointer(bytes))
                return hasher.finalize()
            }
        }
    }

    private(set) var paths: [String] = []
    private var places: [Key: Place] = [:]

    var count: Int { places.count }

    subscript(customID: String) -> Place? { places[Key(customID)] }

    /// Adds the results of a file; those of prompts that have one already take its place.
    ///
    /// - Parameters:
    ///   - offset: where the first one begins, in bytes.
    ///   - replaced: called for each that takes the place of another.
    /// - Throws: `Failure` where a line is no result, `PromptFileError`
    mutating func add(
        _ path: String, from offset: Int64 = 0, replaced: (WrittenResult, Place) throws -> Void = { _, _ in }
    ) throws {
        paths.append(path)
        let lines = try ResultLines(path: path, from: offset)
        func next() throws -> WrittenResult? {
            do { return try lines.next() } catch let error as InvalidResultLine {
                throw Failure(.invalidInput, "\(error)")
            }
        }
        while let result = try next() {
            let place = Place(file: paths.count - 1, result: result.place, end: result.end)
            if let other = places.updateValue(place, forKey: Key(result.customID)) { try replaced(result, other) }
        }
    }
}
