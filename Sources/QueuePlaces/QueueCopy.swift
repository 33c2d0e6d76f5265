// A whole queue is copied from one database to another: the only place that knows which stores these are.

import PostgresClient
import PostgresStore
package import Runtime
import SQLiteStore
package import StoreContract

/// A database that a queue is copied from or to.
package struct CopyPlace: Sendable {
    private enum Kind {
        case sqlite(path: String)
        case postgres(PostgresAddress)
    }

    private let kind: Kind

    /// Reads a path or `postgres://…`. What is wrong is told without the text, which may have a password in it.
    package init(_ text: String) throws(ForeignLocation) {
        if let address = PostgresAddress(text) {
            kind = .postgres(address)
        } else if let location = ForeignLocation(text) {
            throw location
        } else {
            kind = .sqlite(path: text)
        }
    }

    /// The folder with the contents of its uploaded files, beside it; nil: it has no such place.
    package var filesFolder: String? { if case .sqlite(let path) = kind { path + "-files" } else { nil } }

    /// The queue, which must exist.
    private func source(at now: Milliseconds) throws -> any CopyableQueue {
        switch kind {
        case .postgres(let address): return PostgresCopyableQueue(address)
        case .sqlite(let path):
            // An older schema is upgraded, as by any verb that writes.
            do { _ = try SQLiteJobStore(readingFrom: path) } catch .olderSchema {}
            return try SQLiteJobStore(path: path, at: now)
        }
    }

    /// The queue, which is made if necessary.
    private func target(at now: Milliseconds, warn: (String) -> Void) throws -> any CopyableQueue {
        switch kind {
        case .postgres(let address): return PostgresCopyableQueue(address)
        case .sqlite(let path):
            let store = try SQLiteJobStore(path: path, at: now)
            store.warnings.forEach(warn)
            return store
        }
    }

    private func isSame(as other: CopyPlace, _ source: any CopyableQueue, _ target: any CopyableQueue) -> Bool {
        switch (kind, other.kind) {
        case (.sqlite, .sqlite): source.location == target.location
        case (.postgres(let one), .postgres(let other)): one == other
        default: false
        }
    }

    /// Copies all of this queue into an empty one.
    ///
    /// - Parameter warn: told what a person should know about the new place.
    package func copy(to other: CopyPlace, warn: (String) -> Void) throws -> CopiedQueue {
        let now = TimeSource.system.now
        let source = try source(at: now)
        return try source.withRows { rows in
            let target = try other.target(at: now, warn: warn)
            guard !isSame(as: other, source, target) else { throw QueueCopyRefusal.sameQueue(source.location) }
            return CopiedQueue(
                from: source.location, to: target.location, report: try target.fill(from: rows, at: now))
        }
    }
}

/// What was copied, and where these places are, for people.
package struct CopiedQueue: Sendable {
    /// The queue that was copied.
    package let from: String
    /// The copy.
    package let to: String
    /// What it has.
    package let report: QueueCopyReport
}
