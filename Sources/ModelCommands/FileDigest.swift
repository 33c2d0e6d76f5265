// SHA-256 of a model's files, and the ones that they should have.

import Foundation
import ModelFiles
import Terminal

/// A file whose SHA-256 is known.
struct FileDigest {
    /// The file.
    let path: String
    /// The SHA-256 that it should have, in hexadecimal.
    let expected: String
    /// What to do if it has another one.
    let remedy: String

    /// The files of a model whose SHA-256 is known: that of a model of `known`, by its name, and those in the cache of the
    /// hub, whose large files lie in blobs that are named by it.
    ///
    /// - Parameter weights: the files of its weights, as far as they could be opened.
    static func known(of entry: CatalogueEntry, weights: [String], _ known: [KnownModel]) -> [FileDigest] {
        let name = entry.path.split(separator: "/").last.map(String.init) ?? ""
        if let model = known.first(where: { $0.file == name }) {
            return [
                FileDigest(
                    path: entry.path, expected: model.sha256, remedy: "ttbatch models pull \(model.name) fetches it")
            ]
        }
        let inside = (try? FileManager.default.contentsOfDirectory(atPath: entry.path)) ?? []
        let files = inside.isEmpty ? [entry.path] : inside.map { entry.path + "/" + $0 }
        return Set(files + weights).sorted().compactMap { path in
            guard let blob = try? FileManager.default.destinationOfSymbolicLink(atPath: path),
                let digest = blob.split(separator: "/").last, digest.count == 64, digest.allSatisfy(\.isHexDigit)
            else { return nil }
            return FileDigest(path: path, expected: digest.lowercased(), remedy: "delete it and fetch the model again")
        }
    }

    /// Reads the file; throws if its SHA-256 is another one.
    func check() throws {
        let found = try SHA256Sum.of(path)
        guard found == expected else {
            throw Failure(.operationalError, "\(path): its SHA-256 is \(found) instead of \(expected); \(remedy)")
        }
    }
}
