// A job that is ready for the engine: tokens in, and what to make of the tokens that come out.

import JobStore
import TTPlatform

/// A claimed job after tokenising.
struct PreparedJob: Sendable {
    /// What finishes or releases the job.
    let ticket: ClaimTicket
    /// When it was enqueued.
    let created: Milliseconds
    /// The whole prompt, template and special tokens included.
    let promptTokens: [Int32]
    /// How tokens are chosen and when the engine stops.
    let sampling: SamplingParams
    /// Texts that end the generation; they are not part of the result.
    let stopStrings: [String]
    /// Whether the result carries the token ids.
    let returnTokenIDs: Bool
}
