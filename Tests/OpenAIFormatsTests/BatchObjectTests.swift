// Batch objects, byte by byte against a file that OpenAI's own Python types have accepted (openai/check_objects.py).

import JSONText
import OpenAIFormats
import Testing

@Suite struct BatchObjectTests {
    static let batches: [BatchObject] = {
        let new = BatchObject(
            id: "batch_1", endpoint: .chatCompletions, inputFileID: "file-1", status: .validating,
            createdAt: 1_790_000_000)
        var done = BatchObject(
            id: "batch_2", endpoint: .completions, inputFileID: "file-2", status: .completed, createdAt: 1_790_000_000)
        done.model = "smollm2-135m-instruct"
        done.outputFileID = "file-2-output"
        done.errorFileID = "file-2-error"
        done.times.inProgress = 1_790_000_001
        done.times.expires = 1_790_086_400
        done.times.finalizing = 1_790_000_100
        done.times.completed = 1_790_000_101
        done.requestCounts = .init(total: 3, completed: 2, failed: 1)
        done.usage = .init(inputTokens: 30, cachedTokens: 8, outputTokens: 12)
        done.metadata = [.init("name", "nightly \"é\"")]
        var failed = BatchObject(
            id: "batch_3", endpoint: .completions, inputFileID: "file-3", status: .failed, createdAt: 1_790_000_000)
        failed.times.failed = 1_790_000_002
        let problem = RequestProblem(
            code: .invalidValue, place: .field("body.temperature"), value: "-1", complaint: "is below 0",
            remedy: "use 0 (greedy) to 2")
        failed.errors = [
            .init(problem, line: 3),
            .init(code: "empty_file", message: "The file has no requests."),
        ]
        let others = BatchObject.Status.allCases.map { status in
            BatchObject(id: "batch_4", endpoint: .completions, inputFileID: "file-4", status: status, createdAt: 1)
        }
        return [new, done, failed] + others
    }()

    @Test func objectsAreWhatOpenAIsTypesAccept() throws {
        var bytes: [UInt8] = []
        for batch in Self.batches {
            batch.encode(into: &bytes)
            bytes.append(UInt8(ascii: "\n"))
        }
        try expectOpenAIFile("batches.jsonl", holds: String(decoding: bytes, as: UTF8.self))
    }
}
