// A job that is ready for the engine: tokens in, and what to make of the tokens that come out.

package import JobStore
package import TTPlatform

/// A claimed job after tokenising.
package struct PreparedJob: Sendable {
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
    /// The request's field that the prompt came from.
    let promptField: String

    /// A job as given.
    package init(
        ticket: ClaimTicket, created: Milliseconds, promptTokens: [Int32], sampling: SamplingParams,
        stopStrings: [String], returnTokenIDs: Bool, promptField: String = "prompt"
    ) {
        self.ticket = ticket
        self.created = created
        self.promptTokens = promptTokens
        self.sampling = sampling
        self.stopStrings = stopStrings
        self.returnTokenIDs = returnTokenIDs
        self.promptField = promptField
    }
}
