// From a stored request to tokens: reads the body, applies the chat template, tokenises.

import JobStore
import PromptFiles
import TTPlatform
import TTWorker
import Tokenizer

/// What became of a job before the engine.
enum Preparation {
    case ready(PreparedJob)
    /// It cannot run.
    case unfit(JobError)
}

/// Makes claimed jobs ready for the engine.
struct JobPreparer: Sendable {
    let encoder: PromptEncoder
    let limits: StepLimits

    /// The job's tokens and parameters, or why it cannot run.
    func prepare(_ job: ClaimedJob) -> Preparation {
        guard let endpoint = Endpoint(rawValue: job.endpoint) else {
            return .unfit(.invalidRequest("endpoint \(job.endpoint) is not known"))
        }
        let promptField = endpoint == .completions ? "prompt" : "messages"
        do {
            let body = try RequestBody.parse(job.body, endpoint: endpoint)
            let tokens = try encoder.tokens(of: body.prompt, enqueued: job.created)
            return .ready(
                PreparedJob(
                    ticket: job.ticket, created: job.created, promptTokens: tokens,
                    sampling: sampling(body, endpoint: endpoint, promptLength: tokens.count, job: job),
                    stopStrings: body.stop, returnTokenIDs: body.returnsTokenIDs,
                    promptField: promptField))
        } catch {
            let invalid = error as? InvalidRequest
            let param = invalid == nil ? promptField : invalid?.problems.first?.param
            return .unfit(.invalidRequest("\(error)", param: param))
        }
    }

    /// What a request leaves open is what OpenAI's API does: temperature 1, 16 tokens for a completion, and for a chat as
    /// many as fit.
    private func sampling(
        _ body: RequestBody, endpoint: Endpoint, promptLength: Int, job: ClaimedJob
    ) -> SamplingParams {
        let seed = body.seed.map { UInt64(bitPattern: $0) } ?? JobSeed.derived(customID: job.customID, line: job.line)
        let room = max(1, limits.maxModelLen - promptLength)
        let minTokens = body.minTokens ?? 0
        let standard = endpoint == .completions ? max(16, minTokens) : max(room, minTokens)
        return SamplingParams(
            token: TTSamplingParams(
                temperature: Float(body.temperature ?? 1), topK: Int32(clamping: max(0, body.topK ?? 0)),
                // What is too small for a Float is still above 0.
                topP: max(Float(body.topP ?? 1), .leastNormalMagnitude), seed: seed),
            // What does not fit is not generated; who looks at progress wants to know what can come.
            maxTokens: min(body.maxTokens ?? standard, max(room, minTokens)), minTokens: minTokens,
            stopTokenIDs: Set(body.stopTokenIDs),
            ignoreEOS: body.ignoresEOS, givesSeed: body.seed != nil)
    }
}

extension JobError {
    fileprivate static func invalidRequest(_ message: String, param: String? = nil) -> JobError {
        JobError(code: "invalid_request", message: message, status: 400, param: param)
    }
}
