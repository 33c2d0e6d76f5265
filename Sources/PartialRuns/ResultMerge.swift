// Puts results of several files together, in the order of their prompts.

import Glibc
package import PromptFiles
import Terminal

/// What was put together.
package struct MergedResults {
    /// How many prompts have a result, by how they ended.
    package private(set) var ends: [WrittenResult.End: Int] = [:]
    /// How many have none.
    package private(set) var missing = 0
    /// The first prompts that have none.
    package private(set) var examples: [(line: Int, customID: String)] = []

    /// All results.
    package var count: Int { ends.values.reduce(0, +) }

    mutating func add(_ end: WrittenResult.End) { ends[end, default: 0] += 1 }

    mutating func addMissing(_ line: PromptFileLine) {
        missing += 1
        if examples.count < 3 { examples.append((line.lineNumber, line.customID)) }
    }

    /// Whether not all succeeded.
    package var hasFailures: Bool { ends[.succeeded, default: 0] != count }

    /// `3 succeeded, 1 failed`
    package var words: String {
        "\(ends[.succeeded, default: 0]) succeeded, \(count - ends[.succeeded, default: 0]) failed"
    }

    /// `line 3 ("a"), line 7 ("b") …`
    package var missingWords: String {
        examples.map { "line \($0.line) (\"\(printable($0.customID))\")" }.joined(separator: ", ")
            + (missing > examples.count ? " …" : "")
    }
}

extension ResultIndex {
    /// The results of those prompts of a file that `isWanted` selects, in their order.
    ///
    /// - Throws: `PromptFileError`
    func results(
        inOrderOf prompts: String, isWanted: (Int) -> Bool = { _ in true }
    ) throws -> (places: [Place], summary: MergedResults) {
        let reader = try PromptFileReader(path: prompts)
        var places: [Place] = []
        var summary = MergedResults()
        while let line = try reader.next() {
            guard isWanted(line.lineNumber) else { continue }
            if let place = self[line.customID] {
                summary.add(place.end)
                places.append(place)
            } else {
                summary.addMissing(line)
            }
        }
        return (places, summary)
    }

    /// Writes results.
    ///
    /// - Throws: `PromptFileError`, `Failure`
    func write(_ places: [Place], to output: OutputFile) throws {
        let files = try paths.map { try ResultFile($0) }
        for place in places {
            let text = try files[place.file].read(place.result)
            try output.append(isText: false) { bytes in
                bytes += text
                bytes.append(UInt8(ascii: "\n"))
            }
        }
        try output.finish()
    }
}

/// An open file of results.
private final class ResultFile {
    private let path: String
    private let descriptor: Int32

    init(_ path: String) throws(PromptFileError) {
        self.path = path
        descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw .cannotOpen(path: path, reason: String(cString: strerror(errno))) }
    }

    deinit { close(descriptor) }

    /// Reads bytes that are there.
    func read(_ place: Range<Int64>) throws(Failure) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: place.count)
        var count = 0
        while count < bytes.count {
            let read = bytes.withUnsafeMutableBytes {
                pread(descriptor, $0.baseAddress! + count, $0.count - count, off_t(place.lowerBound) + count)
            }
            if read < 0, errno == EINTR { continue }
            guard read > 0 else {
                throw Failure(
                    .operationalError,
                    "\(path): \(read == 0 ? "became shorter while it was read" : String(cString: strerror(errno)))")
            }
            count += read
        }
        return bytes
    }
}
