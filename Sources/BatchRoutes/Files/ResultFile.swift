// The file of a batch's results of one kind, written from the store as it is read, also while the batch runs.
//
// Its lines are in the order in which the jobs ended, so that a file only grows, and who has read some lines can go on
// behind them.

import OpenAIFormats
import ResultExport
import Runtime
import StoreContract
import Synchronization

extension BatchSummary {
    /// The file of a kind, if there are such results and they are still served.
    func servedFile(_ kind: ResultFileKind, at now: Milliseconds) -> FileID? {
        if let expires = files.expires, expires <= now { return nil }
        return resultFile(kind)
    }
}

/// Reads the lines of a file of results, page by page. Its methods block.
struct ResultFileReader {
    private let batch: BatchSummary
    private var cursor: ResultsCursor
    /// Lines read so far.
    private(set) var lines: Int64

    /// Starts behind `lines` lines.
    init(_ kind: ResultFileKind, of batch: BatchSummary, from store: any ServedStore, behind place: ResultFilePlace) {
        self.batch = batch
        lines = place.lines
        let query = ResultQuery(batch: batch.id, order: .completion, states: kind.states)
        cursor = store.resultsCursor(query, after: place.position)
    }

    /// Where the next page begins.
    var place: ResultFilePlace { ResultFilePlace(lines: lines, position: cursor.position) }

    /// The lines of the next page; empty at the end.
    mutating func nextPage() throws -> [[UInt8]] {
        let page = try cursor.nextPage()
        lines += Int64(page.count)
        return page.map { result in
            var line: [UInt8] = []
            OutputLine(result.shown(in: batch), batch: batch)?.encode(as: .jsonl, into: &line)
            return line
        }
    }
}

/// A place between two lines of a file of results: how many are before it, and the last one's place in the order of ends.
struct ResultFilePlace: Hashable, Sendable {
    var lines: Int64 = 0
    var position: Int64 = 0
}

/// What was learnt of files of results by reading them: their lengths, and where lines are. Bounded.
package final class ResultFileMemory: Sendable {
    private struct Known {
        /// The length with this many ended jobs.
        var size: (finished: Int64, bytes: Int64)?
        var places: [Int64: ResultFilePlace] = [:]
    }

    private let known = Mutex<[FileID: Known]>([:])

    package init() {}

    /// The length of a file in bytes. Blocks; the first time the whole file is written for it.
    func bytes(of kind: ResultFileKind, _ batch: BatchSummary, _ store: any ServedStore) throws -> Int64 {
        guard let file = batch.files[kind] else { return 0 }
        let finished = batch.counts.finished
        if let size = known.withLock({ $0[file]?.size }), size.finished == finished { return size.bytes }
        var bytes: Int64 = 0
        var reader = ResultFileReader(kind, of: batch, from: store, behind: ResultFilePlace())
        while true {
            let page = try reader.nextPage()
            if page.isEmpty { break }
            bytes += page.reduce(0) { $0 + Int64($1.count) }
        }
        note(file) { $0.size = (finished, bytes) }
        return bytes
    }

    /// The place behind `lines` lines, or the last one known before it.
    func place(in file: FileID, behind lines: Int64) -> ResultFilePlace {
        known.withLock { $0[file]?.places[lines] } ?? ResultFilePlace()
    }

    /// Remembers where somebody stopped reading: he will go on there.
    func note(_ place: ResultFilePlace, in file: FileID) {
        note(file) { known in
            if known.places.count > 16 { known.places.removeAll() }
            known.places[place.lines] = place
        }
    }

    private func note(_ file: FileID, _ change: (inout Known) -> Void) {
        known.withLock { known in
            if known.count > 4096 { known.removeAll() }
            change(&known[file, default: Known()])
        }
    }
}
