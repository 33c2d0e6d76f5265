// A queue that can be copied as a whole into another one, while no daemon runs.

public import Runtime

/// The rows of a queue that nobody can change.
public protocol QueueRows {
    /// Where the queue is.
    var location: String { get }

    /// Calls `take` with every row of a relation: a value for each of `columns`.
    func read(
        _ relation: CopiedRelation, _ columns: [CopiedColumn], take: ([CopiedValue]) throws(JobStoreError) -> Void
    ) throws(JobStoreError)
}

/// One end of a copy.
public protocol CopyableQueue {
    /// Where it is, without a password.
    var location: String { get }

    /// Calls `body` with the rows. Meanwhile nobody else writes, and no daemon starts.
    ///
    /// What a daemon that died has in flight stays so: the copy's first daemon finds it as the next one here would.
    /// - Throws: `.batchIsDraft` if somebody is writing a batch, `.daemonRunning`, `QueueCopyRefusal.daemonLives`.
    func withRows<Result>(_ body: (any QueueRows) throws -> Result) throws -> Result

    /// Takes all rows of another queue, in one transaction: whatever ends it before, nothing is there.
    /// - Throws: `QueueCopyRefusal`, `.daemonRunning`.
    func fill(from rows: any QueueRows, at now: Milliseconds) throws -> QueueCopyReport
}

/// Why a queue is not copied.
public enum QueueCopyRefusal: Error, Hashable, Sendable, CustomStringConvertible {
    /// The target has something already.
    case notEmpty(String, has: String)
    /// A daemon was heard of lately, so many seconds ago.
    case daemonLives(String, host: String, pid: Int64, seconds: Int64)
    /// The source has more or fewer rows than its counters say.
    case doesNotAddUp(String)
    /// Source and target are one.
    case sameQueue(String)

    /// The refusal of a target that has something; nil: it is empty.
    public static func ifNotEmpty(
        _ place: String, batches: Int64, lives: Int64, files: Int64, keys: Int64
    ) -> QueueCopyRefusal? {
        let content = [("batches", batches), ("lives of daemons", lives), ("uploaded files", files), ("keys", keys)]
        let words = content.filter { $0.1 > 0 }.map { "\($0.1) \($0.0)" }
        return words.isEmpty ? nil : .notEmpty(place, has: words.joined(separator: ", "))
    }

    /// A message for a person.
    public var description: String {
        switch self {
        case .notEmpty(let place, let content):
            "\(place) is not empty, it has \(content); copy to a new database"
        case .daemonLives(let place, let host, let pid, let seconds):
            "a daemon works on \(place): process \(pid) on \(host), heard of \(seconds) s ago; stop it, or wait a minute if it "
                + "has died"
        case .doesNotAddUp(let place):
            "the counters of \(place) are not what its jobs add up to, so nothing was copied; `ttbatch db check` tells more"
        case .sameQueue(let place):
            "\(place) cannot be copied to itself"
        }
    }
}

/// What was copied, counted row by row and held against the counters of the batches.
public struct QueueCopyReport: Sendable {
    /// Batches; submissions are among them.
    public private(set) var batches: Int64 = 0
    /// Jobs.
    public var jobs: Int64 { found.jobs }
    /// Uploaded files.
    public private(set) var files: Int64 = 0
    private var found = Sums()
    private var expected = Sums()

    /// What is counted in two ways.
    private struct Sums: Equatable {
        var (jobs, ended): (Int64, Int64) = (0, 0)
        /// Jobs with texts, and their texts.
        var (succeeded, texts): (Int64, Int64) = (0, 0)
    }

    /// Nothing yet.
    public init() {}

    /// Columns that a row of `batches` begins with.
    public static let batchColumns = "total succeeded failed cancelled expired"
    /// Columns that a row of `jobs` begins with.
    public static let jobColumns = "finish_seq choices"

    /// Counts a row of `batches`.
    public mutating func addBatch(_ row: [CopiedValue]) {
        batches += 1
        expected.jobs += row[0].number ?? 0
        expected.succeeded += row[1].number ?? 0
        for value in row[1...4] { expected.ended += value.number ?? 0 }
    }

    /// Counts a row of `jobs`.
    public mutating func addJob(_ row: [CopiedValue]) {
        let texts = row[1].number ?? 0
        found.jobs += 1
        if !row[0].isNull { found.ended += 1 }
        if texts > 0 { found.succeeded += 1 }
        expected.texts += texts
    }

    /// Counts a row of `choices`.
    public mutating func addText() { found.texts += 1 }

    /// Counts a row of `files`.
    public mutating func addFile() { files += 1 }

    /// Called before the copy is committed.
    public func checkSums(of rows: any QueueRows) throws(QueueCopyRefusal) {
        guard found == expected else { throw .doesNotAddUp(rows.location) }
    }
}
