// A request in flight: its parameters, tokens, blocks and phase.

import Platform
import Sampling

/// Which requests are served first.
public enum RequestPriority: Int, Sendable, Comparable, CaseIterable {
    /// Somebody waits for the answer.
    case online
    /// A prompt of a batch.
    case batch

    /// What is less is served first.
    public static func < (left: RequestPriority, right: RequestPriority) -> Bool { left.rawValue < right.rawValue }
}

/// A request in flight.
///
/// Its life cycle: waiting → running → (preempted: waiting again →) removed. A request that has ended is no longer in
/// the engine; its last `RequestUpdate` has the reason.
struct EngineRequest {
    /// The phase of a request.
    enum Phase: Equatable {
        /// Not in the batch and without blocks; `overtaken` newer requests have been admitted during this wait.
        case waiting(overtaken: Int)
        /// A row of the device batch with these KV blocks in each group; the leading ones are cached, also those that
        /// were freed and are `KVCacheShape.noBlock`.
        case running(blocks: [[Int32]], cached: CachedPrefix)
    }

    /// Its key, chosen by the client.
    let id: RequestID
    /// Its place in the order of arrival; smaller is older.
    let arrival: Int
    /// Whether others are served before it.
    let priority: RequestPriority
    /// Prompt and generated tokens.
    private(set) var tokens: [Int32]
    /// The number of `tokens` that belong to the prompt.
    let promptLength: Int
    /// How its tokens are chosen and when it ends.
    let sampling: SamplingParams
    /// The same number for requests that came together with one prompt; nil for others.
    let promptGroup: Int?
    /// Its phase.
    var phase: Phase = .waiting(overtaken: 0)
    /// How far it is prefilled, in pieces; nil if it is not, or completely.
    var pieces: Pieces?

    /// The prefill of a prompt in pieces.
    struct Pieces {
        /// Tokens that were cached before the first piece.
        let cached: Int
        /// Tokens that are computed.
        var computed: Int
        /// Whether a piece is in the step that was scheduled last. Between its pieces the request has no row.
        var hasRow: Bool
    }

    /// A new request.
    init(
        id: RequestID, arrival: Int, priority: RequestPriority = .batch, prompt: [Int32], sampling: SamplingParams,
        promptGroup: Int? = nil
    ) {
        self.priority = priority
        self.promptGroup = promptGroup
        self.id = id
        self.arrival = arrival
        self.tokens = prompt
        self.promptLength = prompt.count
        self.sampling = sampling
    }

    /// The first token of its prompt of which logprobs are still to be told.
    var firstScoredToken: Int? { generatedCount == 0 ? sampling.promptLogprobs?.firstToken : nil }

    /// Whether it is served before another one.
    func precedes(_ other: EngineRequest) -> Bool {
        (priority, arrival) < (other.priority, other.arrival)
    }

    /// Tokens generated so far.
    var generatedCount: Int { tokens.count - promptLength }

    /// Its KV blocks in each group; empty while it waits.
    var blocks: [[Int32]] {
        switch phase {
        case .waiting: []
        case .running(let blocks, _): blocks
        }
    }

    /// Blocks in the list of each group, those that were freed included.
    var blockCount: Int { blocks.first?.count ?? 0 }

    /// Appends the next token.
    mutating func append(_ token: Int32) { tokens.append(token) }

    /// Appends each group's blocks for its tokens, if it is running.
    mutating func append(blocks: [[Int32]]) {
        guard !blocks.isEmpty, case .running(let present, let cached) = phase else { return }
        phase = .running(blocks: zip(present, blocks).map { $0 + $1 }, cached: cached)
    }
}
