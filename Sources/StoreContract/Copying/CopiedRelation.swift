// What a whole queue consists of, in the same shape whichever store it is in: relations with columns.

/// A part of a queue that is copied. What is true only while a daemon runs is left out: progress, heartbeats. So are drafts,
/// which end with their writers; of a submission only its row is copied, since it is filled anew.
public enum CopiedRelation: String, CaseIterable, Sendable {
    /// One row: the pause, and the largest numbers that were given to batches and lives.
    case queue
    /// The lives of daemons.
    case incarnations
    /// Batches with their counters.
    case batches
    /// Jobs: the request, what became of attempts at it, and how it ended, but for its texts.
    case jobs
    /// The texts of jobs that succeeded.
    case choices
    case systems
    case metrics
    /// Uploaded files, without their contents.
    case files
    case keys = "server_keys"

    /// Its columns.
    public var columns: [CopiedColumn] {
        switch self {
        case .queue: .integers("paused_ms last_batch last_incarnation")
        case .incarnations:
            .integers("id pid started_ms stopped_ms declared_dead_ms loading")
                + .texts("identity host version model device")
        case .batches:
            .integers(
                """
                id priority deadline_ms urgent_ms paused_ms retry_of created_ms prompt_ms submitted_ms output_expires_ms \
                turn ready started_ms finished_ms total rejected succeeded failed cancelled expired prompt_tokens \
                cached_tokens completion_tokens timed_jobs queued_ms prefill_ms decode_ms total_ms
                """) + .flags("urgent")
                + .texts(
                    """
                    status name unique_name endpoint model model_name tenant input_file completion_window metadata \
                    input_errors output_file error_file
                    """)
        case .jobs:
            // `claim_rank` is NULL where the line was rejected; `deaths` are lives that ended while they had the job.
            .integers(
                """
                batch_id line claim_rank created_ms attempt deaths crashes bad_outputs not_before_ms incarnation claimed_ms \
                finished_ms finish_seq prompt_tokens cached_tokens completion_tokens queued_ms prefill_ms decode_ms \
                total_ms error_status seed choices
                """)
                + .texts("state custom_id endpoint model_name error_code error_message error_param fingerprint")
                + .bytes("body")
        case .choices:
            // The last ones are those of the job, and the same for all of its texts.
            .integers("batch_id line choice stop_token seed choices") + .flags("complete")
                + .texts(
                    """
                    text reasoning tool_calls unread scores confidence finish_reason stop_string fingerprint
                    """) + .bytes("prompt_token_ids token_ids logprobs prompt_logprobs")
        case .systems: .texts("fingerprint key value")
        case .metrics:
            .integers(
                """
                incarnation start_ms end_ms prompt_tokens cached_tokens generated_tokens prefill_steps decode_steps \
                decode_rows preemptions slots kv_blocks_max kv_blocks_total queue_depth jobs_succeeded jobs_failed
                """) + .reals("kv_blocks_mean")
        case .files: .integers("bytes created_ms expires_ms") + .texts("id tenant name purpose")
        case .keys: .integers("created_ms") + .texts("name public_id tenant scopes hash")
        }
    }

    /// The columns with some names, which are separated by spaces.
    public func columns(_ names: String) -> [CopiedColumn] {
        let columns = columns
        return names.split(separator: " ").map { name in
            guard let column = columns.first(where: { $0.name == name }) else {
                preconditionFailure("\(self) has no column \(name)")
            }
            return column
        }
    }

    /// The order in which its rows are read, where it matters: what refers to another row comes behind it.
    public var order: String? {
        switch self {
        case .queue, .choices: nil
        case .incarnations, .batches: "id"
        case .jobs: "line"
        case .systems: "fingerprint, key"
        case .metrics: "start_ms, incarnation"
        case .files: "created_ms, id"
        case .keys: "name"
        }
    }

    /// Whether it is read batch by batch.
    public var isByBatch: Bool { self == .jobs || self == .choices }
}

/// A column of a relation.
public struct CopiedColumn: Hashable, Sendable {
    /// What its values are, unless they are NULL.
    public enum Kind: Hashable, Sendable {
        case integer, real, flag, text, bytes
    }

    /// Its name.
    public let name: String
    /// What its values are.
    public let kind: Kind
}

extension [CopiedColumn] {
    fileprivate static func integers(_ names: String) -> Self { all(names, .integer) }
    fileprivate static func reals(_ names: String) -> Self { all(names, .real) }
    fileprivate static func flags(_ names: String) -> Self { all(names, .flag) }
    fileprivate static func texts(_ names: String) -> Self { all(names, .text) }
    fileprivate static func bytes(_ names: String) -> Self { all(names, .bytes) }

    private static func all(_ names: String, _ kind: CopiedColumn.Kind) -> Self {
        names.split(separator: " ").map { CopiedColumn(name: String($0), kind: kind) }
    }

    /// Their names with commas between, as in a list of columns.
    public var list: String { map(\.name).joined(separator: ", ") }
}

/// A value of a row.
public enum CopiedValue: Hashable, Sendable {
    case null
    case integer(Int64)
    case real(Double)
    case flag(Bool)
    /// UTF-8 with any characters, U+0000 too.
    case text([UInt8])
    case bytes([UInt8])

    /// Whether it is NULL.
    public var isNull: Bool { self == .null }

    /// A number; nil if it is none.
    public var number: Int64? { if case .integer(let number) = self { number } else { nil } }

    /// Whether it is this text.
    public func `is`(_ word: String) -> Bool {
        if case .text(let bytes) = self { bytes.elementsEqual(word.utf8) } else { false }
    }
}
