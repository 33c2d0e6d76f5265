// A request in flight: what it asks for, what it has, and where it stands.

import Platform

/// A request in flight.
///
/// Its life: waiting → running → (preempted: waiting again →) gone. A request that has ended is no longer in the
/// engine; the reason is in its last `RequestUpdate`.
struct EngineRequest {
    /// Where a request stands.
    enum Phase: Equatable {
        /// Not in the batch and without blocks; `overtaken` newer requests were admitted during this wait.
        case waiting(overtaken: Int)
        /// A row of the device batch with these KV blocks, the first of which are cached.
        case running(blocks: [Int32], cached: CachedPrefix)
    }

    /// Its client's key for it.
    let id: RequestID
    /// Its place among all requests that the engine was given; smaller is older.
    let arrival: Int
    /// Prompt and generated tokens.
    private(set) var tokens: [Int32]
    /// How many of `tokens` are the prompt.
    let promptLength: Int
    /// How its tokens are chosen and when it ends.
    let sampling: SamplingParams
    /// Where it stands.
    var phase: Phase = .waiting(overtaken: 0)

    /// A new request.
    init(id: RequestID, arrival: Int, prompt: [Int32], sampling: SamplingParams) {
        self.id = id
        self.arrival = arrival
        self.tokens = prompt
        self.promptLength = prompt.count
        self.sampling = sampling
    }

    /// Tokens generated so far.
    var generatedCount: Int { tokens.count - promptLength }

    /// Its KV blocks; none while it waits.
    var blocks: [Int32] {
        switch phase {
        case .waiting: []
        case .running(let blocks, _): blocks
        }
    }

    /// Takes the next token.
    mutating func append(_ token: Int32) { tokens.append(token) }

    /// Takes further blocks for its tokens, if it runs.
    mutating func append(blocks: [Int32]) {
        guard !blocks.isEmpty, case .running(let present, let cached) = phase else { return }
        phase = .running(blocks: present + blocks, cached: cached)
    }
}
