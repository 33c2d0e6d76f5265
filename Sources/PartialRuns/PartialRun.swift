// A run of a part of a file, or of what an earlier run has left of it, without a queue: for job arrays, where no daemon may
// stay and a job may be ended and begun again anywhere. Its results are in files only.

import ArgumentParser
import Glibc
package import Intake
import JSONText
import ModelFiles
import PromptFiles
import ResultExport
package import StoreContract
import Terminal

/// Which part of a file is run, and whether an earlier run is gone on with.
package struct PartialRunOptions: ParsableArguments {
    @Option(
        name: .customLong("shard"), parsing: .unconditional,
        help: ArgumentHelp(
            """
            Run one of N parts of the file, I from 0 to N-1, each with an -o of its own; `ttbatch merge` puts their results \
            together. Uses no queue.
            """, valueName: "i/n"))
    var shardText: String?

    @Flag(
        help: """
            Run only what has no result in the file of -o yet, and go on where an earlier run was ended. Prompts are known \
            by their custom_id. Uses no queue.
            """)
    package var resume = false

    package init() {}

    package func validate() throws {
        try OptionText.check(["--shard": shardText])
        if let shardText, shard == nil {
            throw ValidationError(
                "--shard \(shardText): expected I/N, I from 0 to N-1 and N at most \(Shard.mostParts), e.g. 0/8 … 7/8")
        }
    }

    var shard: Shard? { shardText.flatMap { Shard($0) } }

    /// Whether there is to be no queue.
    package var areGiven: Bool { shardText != nil || resume }
}

/// The part of a prompt file that is to run, and the file that gets its results.
///
/// While it runs, results are in `OUT.partial`; once all are there, they are put into OUT in the order of the prompts.
package final class PartialRun {
    private let prompts: String
    private let output: String
    private let resumes: Bool
    private let shard: Shard?
    private let journal: ResultJournal
    /// The lines of the part.
    private let lines: LineSet
    /// Those of them that have no result yet.
    package let rest: LineSet
    private var printer: ResultPrinter?

    /// Takes the output for this process, and reads what there is already.
    ///
    /// - Parameters:
    ///   - model: what prompts run on that name no model.
    ///   - models: what was said of the models that prompts name.
    /// - Throws: `Failure`, `PromptFileError`, `ModelFileError`
    package init(
        of prompts: String, to output: String, _ options: PartialRunOptions, model: String, models: [String]
    ) throws {
        (self.prompts, self.output, resumes, shard) = (prompts, output, options.resume, options.shard)
        guard prompts != "-" else {
            throw Failure(
                .usage, "--shard and --resume read the prompts more than once: give a file, not standard input")
        }
        var facts = stat()
        guard stat(output, &facts) != 0 || facts.st_mode & S_IFMT == S_IFREG else {
            throw Failure(.usage, "-o \(output): --shard and --resume need a file")
        }
        // Whoever may not write it learns so now.
        _ = try OutputFile(path: output)
        var header: [JSONValue.Member] = [
            .init("results_of", "an unfinished run"), .init("prompts_sha256", .string(try SHA256Sum.of(prompts))),
            .init("model", .string(model)),
        ]
        if !models.isEmpty { header.append(.init("map_model", .array(models.map { .string($0) }))) }
        if let shard { header.append(.init("shard", .string("\(shard)"))) }
        journal = try ResultJournal(of: output, header: .object(header), resumes: resumes)
        (lines, rest) = try Self.divide(prompts, shard, try Self.results(in: output, journal, resumes), output)
    }

    /// What there is already.
    private static func results(in output: String, _ journal: ResultJournal, _ resumes: Bool) throws -> ResultIndex {
        var index = ResultIndex()
        if resumes, access(output, F_OK) == 0 { try index.add(output) }
        try index.add(journal.path, from: journal.start)
        return index
    }

    /// The lines of the part, and those that are to run.
    private static func divide(
        _ prompts: String, _ shard: Shard?, _ results: ResultIndex, _ output: String
    ) throws -> (lines: LineSet, rest: LineSet) {
        var (plan, lines) = (ShardPlan(), LineSet())
        var (known, answered): ([Int], [Int]) = ([], [])
        let reader = try PromptFileReader(path: prompts)
        while let line = try reader.next() {
            if shard == nil { lines.insert(line.lineNumber) } else { plan.add(line) }
            guard let place = results[line.customID] else { continue }
            known.append(line.lineNumber)
            if place.end != .notRun { answered.append(line.lineNumber) }
        }
        if let shard { lines = plan.lines(of: shard) }
        let strange = results.count - known.count { lines.contains($0) }
        guard strange == 0 else {
            throw Failure(
                .conflict,
                "\(output) has \(strange) results of prompts that are not in "
                    + (shard.map { "part \($0) of " } ?? "") + "\(prompts): choose another -o")
        }
        var rest = lines
        for line in answered { rest.remove(line) }
        return (lines, rest)
    }

    /// Whether there are any.
    package var hasRest: Bool { rest.count > 0 }

    /// `12 of 40 prompts have results`
    package var words: String { "\(lines.count - rest.count) of \(lines.count) prompts have results" }

    /// Where results are until all are there.
    package var journalPath: String { journal.path }

    /// Whose results are written.
    package func follow(_ batch: BatchID, in store: any JobReading) {
        printer = ResultPrinter(of: [batch], from: store, as: .jsonl, order: .completion, to: journal)
    }

    /// Writes the results that are new since the last call.
    package func writeNews(willWrite: () -> Void = {}) throws { try printer?.writeNews(willWrite: willWrite) }

    /// Puts all results into the output, in the order of the prompts.
    ///
    /// - Throws: `Failure`, `PromptFileError`
    package func finish() throws -> MergedResults {
        try journal.finish()
        let index = try Self.results(in: output, journal, resumes)
        let (places, merged) = try index.results(inOrderOf: prompts) { lines.contains($0) }
        guard merged.missing == 0 else {
            throw Failure(.batchNotDone, "\(prompts): \(merged.missing) prompts have no result: \(merged.missingWords)")
        }
        try index.write(places, to: try OutputFile(path: output))
        journal.remove()
        return merged
    }
}
