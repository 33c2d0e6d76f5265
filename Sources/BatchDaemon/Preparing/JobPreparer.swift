// From a stored request to tokens: reads the body, applies the chat template, tokenises.

import Jinja
import JobStore
import ModelFiles
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
    let tokenizer: Tokenizer
    let template: ChatTemplateState
    let limits: StepLimits

    /// The job's tokens and parameters, or why it cannot run.
    func prepare(_ job: ClaimedJob) -> Preparation {
        guard let endpoint = Endpoint(rawValue: job.endpoint) else {
            return .unfit(.invalidRequest("endpoint \(job.endpoint) is not known"))
        }
        let promptField = endpoint == .completions ? "prompt" : "messages"
        do {
            let body = try RequestBody.parse(job.body, endpoint: endpoint)
            let tokens = try promptTokens(body.prompt, enqueued: job.created)
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

    private func promptTokens(_ prompt: RequestBody.Prompt, enqueued: Milliseconds) throws -> [Int32] {
        switch prompt {
        case .tokens(let tokens): tokens
        case .text(let text): try tokenizer.encode(prompt: text)
        case .chat(let chat): try tokenizer.encode(template.render(chat, enqueued: enqueued))
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

/// A model's chat template, or why it has none that can be used; that matters only once a chat asks for it.
enum ChatTemplateState: Sendable {
    case usable(ChatTemplate)
    case unusable(NoChatTemplate)

    /// A chat was asked of a model that cannot have one.
    struct NoChatTemplate: Error, CustomStringConvertible {
        let description: String
    }

    init(_ metadata: GGUFMetadata, _ tokenizer: Tokenizer) {
        do {
            self = .usable(try ChatTemplate(metadata, tokenizer: tokenizer))
        } catch {
            self = .unusable(NoChatTemplate(description: "\(error)"))
        }
    }

    /// Renders a conversation. Templates that print the date get the time of enqueuing, so that a retry is the same prompt.
    func render(_ chat: RequestBody.Chat, enqueued: Milliseconds) throws -> [Segment] {
        switch self {
        case .unusable(let reason): throw reason
        case .usable(let template):
            var arguments: [(String, JinjaValue)] = []
            if case .object(let members)? = chat.templateArguments {
                arguments = members.map { ($0.key, JinjaValue($0.value)) }
            }
            return try template.render(
                messages: JinjaValue(chat.templateMessages), tools: chat.tools.map { JinjaValue($0) },
                arguments: arguments,
                now: WallClockTime(secondsSinceEpoch: Int(enqueued.rawValue / 1000)))
        }
    }
}

extension JinjaValue {
    /// The same value for a template.
    init(_ json: JSONValue) {
        switch json {
        case .null: self = .null
        case .bool(let value): self = .bool(value)
        case .int(let value): self = .int(Int(value))
        case .double(let value): self = .float(value)
        case .string(let value): self = .string(value)
        case .array(let items): self = .array(items.map { JinjaValue($0) })
        case .object(let members): self = .object(members.map { (key: $0.key, value: JinjaValue($0.value)) })
        }
    }
}
