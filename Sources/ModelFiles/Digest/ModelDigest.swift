// What a model's files are, by their SHA-256; taken on a thread of its own while the model is loaded.

import Foundation
import Runtime

/// The SHA-256 of each of a model's files. It is known some time after the start.
public final class ModelDigest: @unchecked Sendable {
    private let condition = NSCondition()
    private var sums: Result<[String: String], ModelFileError>?
    private var isAbandoned = false

    /// Begins to read the files, or their notes in `cache`.
    public init(files: [String], _ cache: DigestCache) {
        DetachedThread.start("digest") { [self] in
            let sums = Result { () throws(ModelFileError) in
                var sums: [String: String] = [:]
                for path in files {
                    let parts = path.split(separator: "/")
                    let name = parts.last.map(String.init) ?? path
                    // Files of a folder's folders may have the same names.
                    sums[sums[name] == nil ? name : parts.suffix(2).joined(separator: "/")] = try cache.sha256(of: path)
                    { condition.withLock { isAbandoned } }
                }
                return sums
            }
            condition.withLock {
                self.sums = sums
                condition.broadcast()
            }
        }
    }

    /// Ends the reading: nobody needs it any more.
    public func abandon() { condition.withLock { isAbandoned = true } }

    /// The SHA-256 of the files by their names; waits until all are known, or `isStopping` is true.
    ///
    /// - Throws: `ModelFileError` if a file cannot be read, or there is no program for it.
    public func sha256(unless isStopping: () -> Bool = { false }) throws(ModelFileError) -> [String: String]? {
        condition.lock()
        defer { condition.unlock() }
        while sums == nil {
            if isStopping() {
                isAbandoned = true
                return nil
            }
            _ = condition.wait(until: Date(timeIntervalSinceNow: 0.1))
        }
        return try sums!.get()
    }
}

extension ModelBundle {
    /// The files that decide about results: the weights, and what stands beside them in a folder.
    public var files: [String] {
        let weights = weights.fileSizes.map(\.path)
        guard case .huggingFace(let folder) = container else { return weights }
        let kinds = ["json", "jinja", "model", "txt"]
        let others = ["", "/chat_templates", "/additional_chat_templates"].flatMap { place in
            let path = folder.path + place
            let names = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
            return names.filter { name in kinds.contains { name.hasSuffix("." + $0) } }.map { "\(path)/\($0)" }
        }
        return weights.sorted() + others.sorted()
    }
}
