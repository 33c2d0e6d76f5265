// Files that are handed in: stored as a whole, in part where that was asked for, or not at all.

import FakeModel
import Foundation
import ModelFiles
import OpenAIFormats
import PromptFiles
import QueueFixture
import Runtime
import StoreContract
import TestSupport
import Testing

@testable import Intake
@testable import ResultExport

@Suite
struct EnqueuerTests {
    let fixture: QueueFixture

    init() throws { fixture = try QueueFixture() }

    /// Enqueues `text`; gives what was reported, and the outcome.
    private func enqueue(
        _ text: String, configure: (inout Enqueuer.Options) -> Void = { _ in }
    ) throws -> (errors: [String], outcome: Result<EnqueueReport, any Error>) {
        var options = Enqueuer.Options(defaultModel: "tiny")
        configure(&options)
        let path = try fixture.folder.write("f.jsonl", text)
        let enqueuer = Enqueuer(
            store: fixture.client, catalogue: fixture.catalogue, options: options,
            clock: TimeSource { 42 })
        let errors = Reported()
        let outcome = Result { try enqueuer.enqueue(paths: [path]) { errors.all.append("\($0)") }[0] }
        return (errors.all.map { $0.replacing(fixture.folder.path + "/", with: "") }, outcome)
    }

    private func expectNothingStored() throws {
        #expect(try fixture.client.batches(before: nil, limit: 9, includingDrafts: true).isEmpty)
    }

    private func expectRefused(
        _ outcome: Result<EnqueueReport, any Error>, errors: Int, stoppedEarly: Bool = false
    ) throws {
        let error = #expect(throws: EnqueueError.self) { try outcome.get() }
        guard case .invalidLines(_, errors, stoppedEarly) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        try expectNothingStored()
    }

    @Test func aValidFileIsStoredAsABatch() throws {
        let text = """
            {"prompt":"a"}

            {"messages":[{"role":"user","content":"b"}],"custom_id":"x"}
              \t
            {"prompt":"c","model":"tiny"}
            """
        let (errors, outcome) = try enqueue(text)
        let report = try outcome.get()
        #expect(errors.isEmpty && report.jobs == 3 && report.rejected == 0 && report.blankLines == 2)
        let batch = try fixture.client.batch(report.batch)
        #expect(batch.model == "tiny" && batch.name.hasSuffix("f.jsonl") && batch.created == 42)
        #expect(batch.endpoint == nil && batch.counts.pending == 3)
        let jobs = try fixture.jobs(report.batch)
        #expect(jobs.map(\.line) == [1, 3, 5] && jobs.map(\.customID) == ["line-1", "x", "line-5"])
        let uniform = try enqueue("{\"prompt\":\"a\"}").outcome.get()
        #expect(try fixture.client.batch(uniform.batch).endpoint == "/v1/completions")
    }

    @Test func oneInvalidLineAndNothingIsStored() throws {
        let many = (0..<5000).map { #"{"prompt":"\#($0)"}"# }.joined(separator: "\n")
        let (errors, outcome) = try enqueue(many + "\n{\"prompt\":\"x\",\"temperature\":-1}\n" + many)
        #expect(errors.count == 1 && errors[0].hasPrefix("f.jsonl:5001: temperature: -1"))
        try expectRefused(outcome, errors: 1)
    }

    @Test func invalidLinesCanBeRecordedAsFailedJobs() throws {
        let text = "{bad\n{\"prompt\":\"a\"}\n{\"prompt\":7}\n{\"prompt\":\"b\"}"
        let (errors, outcome) = try enqueue(text) { $0.skipsInvalid = true }
        let report = try outcome.get()
        #expect(errors.count == 2 && report.jobs == 2 && report.rejected == 2)
        let results = try fixture.results(report.batch)
        #expect(results.map(\.line) == [1, 3] && results.map(\.customID) == ["line-1", "line-3"])
        #expect(results.map { $0.error?.code } == ["invalid_json", "invalid_type"])
        #expect(results.allSatisfy { $0.error?.status == 400 })
    }

    @Test func aFileOfInvalidLinesIsRefusedAlsoWhereTheyMayBeSkipped() throws {
        let (errors, outcome) = try enqueue("{bad\n{\"prompt\":7}") { $0.skipsInvalid = true }
        #expect(errors.count == 2)
        let error = #expect(throws: EnqueueError.self) { try outcome.get() }
        #expect(error?.description.contains("no line is valid") == true)
        try expectNothingStored()
    }

    /// A file that is no model is found now, and not by the daemon at night.
    @Test func anUnusableModelIsRefused() throws {
        let file = try fixture.folder.write("empty.gguf", "")
        #expect(throws: ModelFileError.self) {
            try enqueue("{\"prompt\":\"a\"}") { $0.requestedModel = file }.outcome.get()
        }
        try expectNothingStored()
    }

    /// Several files are stored together or not at all.
    @Test func oneBadFileKeepsTheOthersOut() throws {
        let good = try fixture.folder.write("good.jsonl", "{\"prompt\":\"a\"}")
        let bad = try fixture.folder.write("bad.jsonl", "{bad")
        let enqueuer = Enqueuer(
            store: fixture.client, catalogue: fixture.catalogue,
            options: Enqueuer.Options(defaultModel: "tiny"))
        #expect(throws: EnqueueError.self) { try enqueuer.enqueue(paths: [good, bad, good]) { _ in } }
        try expectNothingStored()
        #expect(try enqueuer.enqueue(paths: [good, good]) { _ in }.count == 2)
    }

    @Test(arguments: ["", "\n\n", "  \n"])
    func anEmptyFileIsRefused(text: String) throws {
        let error = #expect(throws: EnqueueError.self) { try enqueue(text).outcome.get() }
        guard case .empty = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        try expectNothingStored()
    }

    @Test func duplicateNamesAreErrors() throws {
        let text = "{\"prompt\":\"a\",\"custom_id\":\"x\"}\n{\"prompt\":\"b\",\"custom_id\":\"x\"}\n{\"prompt\":\"c\"}"
        let (errors, outcome) = try enqueue(text)
        #expect(errors.count == 1 && errors[0].hasPrefix("f.jsonl:2: custom_id: \"x\" is the id of line 1 already"))
        try expectRefused(outcome, errors: 1)
        let skipping = try enqueue(text) { $0.skipsInvalid = true }.outcome.get()
        #expect(skipping.jobs == 2 && skipping.rejected == 1)
        #expect(try fixture.results(skipping.batch).map { $0.error?.code } == ["duplicate_custom_id"])
    }

    @Test func theFirstValidLineNamesTheModel() throws {
        let text = "{bad\n{\"prompt\":\"a\",\"model\":\"other\"}\n{\"prompt\":\"b\"}"
        let report = try enqueue(text) { $0.skipsInvalid = true }.outcome.get()
        #expect(report.jobs == 2)
        #expect(try fixture.client.batch(report.batch).model == "other")
    }

    @Test func linesMayNameNoOtherModel() throws {
        try FileManager.default.copyItem(atPath: TinyModel.path, toPath: fixture.folder.path + "/third.gguf")
        let text = "{\"prompt\":\"a\"}\n{\"prompt\":\"b\",\"model\":\"third\"}"
        let (errors, outcome) = try enqueue(text)
        #expect(errors.count == 1)
        #expect(errors.first?.hasPrefix("f.jsonl:2: model: \"third\" is not the model of this batch, \"tiny\"") == true)
        try expectRefused(outcome, errors: 1)
        let skipping = try enqueue(text) { $0.skipsInvalid = true }.outcome.get()
        #expect(try fixture.results(skipping.batch).map { $0.error?.code } == ["model_mismatch"])
        let requested = try enqueue("{\"prompt\":\"b\",\"model\":\"tiny\"}") { $0.requestedModel = "third" }
        #expect(requested.errors.count == 1)
    }

    @Test func otherNamesOfTheSameFileAreTheSameModel() throws {
        let text = "{\"prompt\":\"a\",\"model\":\"TINY\"}\n{\"prompt\":\"b\",\"model\":\"\(TinyModel.path)\"}"
        let report = try enqueue(text) { $0.requestedModel = "tiny" }.outcome.get()
        #expect(report.jobs == 2)
        let path = try enqueue(text) { $0.requestedModel = TinyModel.path }.outcome.get()
        #expect(try fixture.client.batch(path.batch).model == TinyModel.path)
    }

    /// An error that all lines of a file have in common is reported once.
    @Test func anotherModelIsToldOnce() throws {
        let other = String(repeating: "{\"prompt\":\"a\",\"model\":\"gpt\"}\n", count: 3000)
        let (errors, outcome) = try enqueue(other + "{\"prompt\":7}") { $0.requestedModel = "tiny" }
        #expect(errors.count == 2 && errors[0].hasPrefix("f.jsonl:1: model: \"gpt\" ") && errors[1].contains(":3001: "))
        #expect(errors[0].contains("--map-model gpt=tiny"))
        try expectRefused(outcome, errors: 2)
        let skipping = try enqueue("{\"prompt\":\"x\"}\n" + other) { $0.skipsInvalid = true }
        #expect(skipping.errors.count == 1)
        let results = try fixture.results(skipping.outcome.get().batch)
        #expect(results.count == 3000 && results.allSatisfy { $0.error?.param == "model" })
    }

    /// The batch remembers what runs, and each line's result has the line's name for it.
    @Test func mappedNamesRunAsOneBatch() throws {
        let text = """
            {"prompt":"a","model":"gpt-4o-mini"}
            {"prompt":"b"}
            {"prompt":"c","model":"tiny"}
            {"prompt":"d","model":"gpt-4o-mini"}
            {"prompt":"e","model":"\(TinyModel.path)"}
            {"custom_id":"f","method":"POST","url":"/v1/completions","body":{"model":"org/model","prompt":"f"}}
            """
        func names(_ map: [String], requested: String? = nil) throws -> (batch: String?, jobs: [String?]) {
            let report = try enqueue(text) {
                $0.modelMap = try! ModelMap(parsing: map)
                $0.requestedModel = requested
            }.outcome.get()
            #expect(report.jobs == 6)
            let batch = try fixture.client.batch(report.batch)
            let page = try fixture.client.results(
                ResultQuery(batch: batch.id, states: [.pending]), after: 0, limit: 9)
            return (batch.model, page.map { $0.modelName ?? batch.shownModel })
        }
        let path = ModelCatalogue.shown(TinyModel.path)
        let expected = ["gpt-4o-mini", "tiny", "tiny", "gpt-4o-mini", path, "org/model"]
        let mapped = try names(["gpt-4o-mini=tiny", "org/model=tiny"])
        #expect(mapped.batch == "tiny" && mapped.jobs == expected)
        let all = try names(["*=tiny"])
        #expect(all.batch == "tiny" && all.jobs == expected)
        let byPath = try names(["*=\(TinyModel.path)"], requested: TinyModel.path)
        #expect(byPath.batch == TinyModel.path)
        #expect(byPath.jobs == ["gpt-4o-mini", path, "tiny", "gpt-4o-mini", path, "org/model"])
    }

    @Test func aMappingToNothingIsTold() throws {
        let error = #expect(throws: EnqueueError.self) {
            try enqueue("{\"prompt\":\"a\"}") { $0.modelMap = try! ModelMap(parsing: ["x=none"]) }.outcome.get()
        }
        #expect(error?.description.hasPrefix("--map-model x: model \"none\" is not known") == true)
        try expectNothingStored()
    }

    /// The failure of every file is reported, not only the first.
    @Test func everyUnfitFileIsTold() throws {
        let bad = try fixture.folder.write("bad.jsonl", "{bad")
        let text = try fixture.folder.write("text.jsonl", "hello")
        let enqueuer = Enqueuer(
            store: fixture.client, catalogue: fixture.catalogue,
            options: Enqueuer.Options(defaultModel: "tiny"))
        var told: [any Error] = []
        let last = #expect(throws: PromptFileError.self) {
            try enqueuer.enqueue(paths: ["/no/such.jsonl", bad, text]) { told.append($0) }
        }
        #expect(told.count == 3 && told[0] is LineError && told[1] is PromptFileError && told[2] is EnqueueError)
        #expect(last?.description.hasPrefix(text) == true)
    }

    @Test func anUnknownModelIsToldBeforeAnythingIsStored() throws {
        let error = #expect(throws: EnqueueError.self) {
            try enqueue("{bad\n{\"prompt\":\"a\",\"model\":\"gpt\"}").outcome.get()
        }
        guard case .unknownModel(let line) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(line.line == 2 && line.problem.field == "model" && line.description.contains("--map-model gpt=NAME"))
        #expect(throws: ModelLookupError.self) {
            try enqueue("{\"prompt\":\"a\"}") { $0.requestedModel = "gpt" }.outcome.get()
        }
        try expectNothingStored()
    }

    @Test func readingEndsAtTheLargestNumberOfErrors() throws {
        let invalid = try enqueue(String(repeating: "{bad\n", count: 50)) { $0.maxErrors = 3 }
        #expect(invalid.errors.count == 3)
        try expectRefused(invalid.outcome, errors: 3, stoppedEarly: true)
        // Errors that only the enqueuer finds count too.
        let mismatched =
            "{\"prompt\":\"a\"}\n" + (0..<50).map { "{\"prompt\":\"a\",\"model\":\"gpt-\($0)\"}\n" }.joined()
        let other = try enqueue(mismatched) { $0.maxErrors = 3 }
        #expect(other.errors.count == 3)
        try expectRefused(other.outcome, errors: 3, stoppedEarly: true)
        let skipping = try enqueue(mismatched) {
            $0.maxErrors = 3
            $0.skipsInvalid = true
        }
        #expect(try skipping.outcome.get().rejected == 50)
    }

    @Test func aFileThatCannotBeReadIsAnError() throws {
        let enqueuer = Enqueuer(
            store: fixture.client, catalogue: fixture.catalogue,
            options: Enqueuer.Options(defaultModel: "tiny"))
        #expect(throws: PromptFileError.self) { try enqueuer.enqueue(paths: ["/no/such.jsonl"]) { _ in } }
        try expectNothingStored()
    }
}

/// Errors in the order in which they were reported.
final class Reported {
    var all: [String] = []
}
