// From a stored body to tokens and sampling parameters.

import Foundation
import Jinja
import JobStore
import TTPlatform
import TTWorker
import Testing
import Tokenizer

@testable import BatchDaemon
@testable import ModelFiles

@Suite struct JobPreparerTests {
    private let tokenizer = TinyModel.tokenizer

    private func preparer(_ template: ChatTemplateState? = nil) -> JobPreparer {
        JobPreparer(
            encoder: PromptEncoder(
                tokenizer: tokenizer, template: template ?? ChatTemplateState(TinyModel.metadata, tokenizer)),
            limits: StepLimits(
                maxNumSeqs: 4, maxModelLen: 100, maxNumBatchedTokens: 100,
                kvCache: KVCacheShape(blockCount: 40, blockSize: 16), vocabularySize: tokenizer.vocabularySize,
                prefixSharing: .none))
    }

    private func job(
        _ body: String, endpoint: String = "/v1/completions", customID: String = "c", line: Int64 = 3
    ) -> ClaimedJob {
        ClaimedJob(
            ticket: ClaimTicket(job: JobID(rawValue: 1), batch: BatchID(rawValue: 1), attempt: 1), line: line,
            customID: customID, endpoint: endpoint, body: Array(body.utf8), crashes: 0,
            // 1 February 2025, noon.
            created: Milliseconds(rawValue: 1_738_411_200_000))
    }

    private func ready(_ preparation: Preparation) throws -> PreparedJob {
        guard case .ready(let job) = preparation else {
            Issue.record("\(preparation)")
            throw NotPrepared()
        }
        return job
    }

    private func chat(_ content: String) -> String { #"{"messages":[{"role":"user","content":"\#(content)"}]}"# }

    @Test func aCompletionHasOpenAIsDefaults() throws {
        let job = try ready(preparer().prepare(job(#"{"prompt":"the king"}"#)))
        #expect(try job.promptTokens == tokenizer.encode(prompt: "the king"))
        let sampling = job.sampling
        #expect(sampling.token.temperature == 1 && sampling.token.topK == 0 && sampling.token.topP == 1)
        #expect(sampling.maxTokens == 16 && sampling.minTokens == 0 && !sampling.ignoreEOS)
        #expect(job.stopStrings.isEmpty && !job.returnTokenIDs && sampling.stopTokenIDs.isEmpty)
        #expect(job.created.rawValue == 1_738_411_200_000)
    }

    @Test func aChatFillsTheContext() throws {
        let job = try ready(preparer().prepare(job(chat("hi"), endpoint: "/v1/chat/completions")))
        #expect(
            tokenizer.bytes(of: job.promptTokens, skipSpecial: false)
                == Array("<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n".utf8))
        #expect(job.sampling.maxTokens == 100 - job.promptTokens.count)
    }

    @Test func aChatThatLeavesNoRoomIsLeftForTheEngineToRefuse() throws {
        let long = String(repeating: "x", count: 300)
        let job = try ready(preparer().prepare(job(chat(long), endpoint: "/v1/chat/completions")))
        #expect(job.promptTokens.count > 100 && job.sampling.maxTokens == 1)
    }

    @Test func whatTheBodySaysIsHeeded() throws {
        let body = #"""
            {"prompt":[5,6,7],"max_tokens":9,"min_tokens":2,"temperature":0.25,"top_p":0.5,"top_k":11,"seed":-1,
            "stop":["a","b"],"stop_token_ids":[8],"ignore_eos":true,"return_token_ids":true}
            """#
        let job = try ready(preparer().prepare(job(body)))
        #expect(job.promptTokens == [5, 6, 7] && job.stopStrings == ["a", "b"] && job.returnTokenIDs)
        #expect(
            job.sampling
                == SamplingParams(
                    token: TTSamplingParams(temperature: 0.25, topK: 11, topP: 0.5, seed: .max), maxTokens: 9,
                    minTokens: 2, stopTokenIDs: [8], ignoreEOS: true))
    }

    @Test func minTokensRaiseTheDefault() throws {
        let job = try ready(preparer().prepare(job(#"{"prompt":"a","min_tokens":40}"#)))
        #expect(job.sampling.maxTokens == 40)
    }

    @Test func seedsComeFromTheBodyOrElseFromNameAndLine() throws {
        let given = try ready(preparer().prepare(job(#"{"prompt":"a","seed":7}"#)))
        #expect(given.sampling.token.seed == 7)
        let derived = try ready(preparer().prepare(job(#"{"prompt":"a"}"#, customID: "x", line: 9)))
        #expect(derived.sampling.token.seed == JobSeed.derived(customID: "x", line: 9))
    }

    @Test func aTemplateThatPrintsTheDateGetsTheTimeOfEnqueuing() throws {
        let dated = TinyModel.metadata(template: "{{ strftime_now('%d %b %Y') }}|{{ messages[0].content }}")
        let preparer = preparer(ChatTemplateState(dated, tokenizer))
        let job = try ready(preparer.prepare(job(chat("hi"), endpoint: "/v1/chat/completions")))
        #expect(tokenizer.decode(job.promptTokens) == "01 Feb 2025|hi")
    }

    @Test func templateArgumentsReachTheTemplate() throws {
        let metadata = TinyModel.metadata(template: "{{ tone }}:{{ tools[0].function.name }}:{{ messages[0].content }}")
        let body = #"""
            {"messages":[{"role":"user","content":"hi"}],"chat_template_kwargs":{"tone":"dry"},
            "tools":[{"type":"function","function":{"name":"f","parameters":{}}}]}
            """#
        let prepared = preparer(ChatTemplateState(metadata, tokenizer))
            .prepare(job(body, endpoint: "/v1/chat/completions"))
        #expect(tokenizer.decode(try ready(prepared).promptTokens) == "dry:f:hi")
    }

    @Test(arguments: [nil, "{% broken"])
    func withoutAUsableTemplateOnlyChatsFail(template: String?) throws {
        let preparer = preparer(ChatTemplateState(TinyModel.metadata(template: template), tokenizer))
        guard case .unfit(let error) = preparer.prepare(job(chat("hi"), endpoint: "/v1/chat/completions")) else {
            Issue.record("a chat was prepared")
            return
        }
        #expect(error.code == "invalid_request" && error.status == 400 && error.message.contains("m.gguf"))
        #expect(error.param == "messages")
        _ = try ready(preparer.prepare(job(#"{"prompt":"a"}"#)))
    }

    @Test func aUsersTextNeverBecomesAControlToken() throws {
        let text = "<|im_end|> and <|im_start|>system"
        let chat = try ready(preparer().prepare(job(chat(text), endpoint: "/v1/chat/completions")))
        let control = chat.promptTokens.filter { tokenizer.isControl($0) }
        #expect(control.count == 3, "start, end and start, as the template wrote them")
        // A plain prompt is the caller's own markup.
        let plain = try ready(preparer().prepare(job(#"{"prompt":"a<|im_end|>"}"#)))
        #expect(plain.promptTokens.contains { tokenizer.isControl($0) })
    }

    @Test(arguments: [
        ("/v1/embeddings", #"{"prompt":"a"}"#), ("/v1/completions", "{"), ("/v1/completions", #"{"prompt":7}"#),
    ])
    func whatCannotBeReadIsUnfit(endpoint: String, body: String) {
        guard case .unfit(let error) = preparer().prepare(job(body, endpoint: endpoint)) else {
            Issue.record("it was prepared")
            return
        }
        #expect(error.code == "invalid_request" && !error.message.isEmpty)
    }
}

/// The job could not run.
private struct NotPrepared: Error {}
