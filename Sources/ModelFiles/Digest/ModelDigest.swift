// What a model's files are, by their SHA-256; taken on a thread of its own while the model is loaded.

import Foundation

/// The SHA-256 of each of a model's files. It is known some time after the start.
public final class ModelDigest: @unchecked Sendable {
    private let condition = NSCondition()
    private var sums: [String: String]?

    /// Begins to read the files, or their notes in `cache`.
    public init(files: [String], _ cache: DigestCache) {
        let thread = Thread { [self] in
            var sums: [String: String] = [:]
            for path in files {
                // A file that cannot be read has no SHA-256; whether the model can be used is found out elsewhere.
                sums[path.split(separator: "/").last.map(String.init) ?? path] =
                    (try? cache.sha256(of: path)) ?? "unknown"
            }
            condition.withLock {
                self.sums = sums
                condition.broadcast()
            }
        }
        thread.name = "digest"
        thread.start()
    }

    /// The SHA-256 of the files by their names; waits until all are known.
    public var sha256: [String: String] {
        condition.withLock {
            while true {
                if let sums { return sums }
                condition.wait()
            }
        }
    }
}

extension ModelBundle {
    /// The files that decide about results: the weights, and what stands beside them in a folder.
    public var files: [String] {
        let weights = weights.fileSizes.map(\.path)
        guard case .huggingFace(let folder) = container else { return weights }
        let kinds = ["json", "jinja", "model", "txt"]
        let others = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
        return weights.sorted()
            + others.filter { name in kinds.contains { name.hasSuffix("." + $0) } }.sorted().map {
                "\(folder.path)/\($0)"
            }
    }
}
