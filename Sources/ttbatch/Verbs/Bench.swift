// `ttbatch bench`: how fast this machine is with a model, and how near to what it can do at most.

import ArgumentParser
import BatchDaemon
import PromptFiles

struct Bench: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Measure a model on this machine's CPU.",
        discussion: """
            Measures what the processor and the memory can do at most, and beside it prefill and decode steps: their \
            rates, how near they come to those limits, and where the threads' time goes. All is measured in turn, round \
            after round, and the medians are shown. Run it on a quiet machine. \
            `--perplexity` compares the precision of both modes instead.
            """)

    @Option(help: ArgumentHelp("The trade between speed and precision.", valueName: "performance|accuracy"))
    var optimizations: String?

    @Option(help: ArgumentHelp("Threads; one for each core where not given.", valueName: "n"))
    var threads: Int?

    @Option(help: ArgumentHelp("Rows of the decode steps.", valueName: "n,n,…"))
    var batchSizes = NumberList([1, 2, 4, 8, 16, 32, 64])

    @Option(help: ArgumentHelp("Tokens in the cache when decoding begins.", valueName: "n,n,…"))
    var contexts = NumberList([128])

    @Option(help: ArgumentHelp("Tokens of the prompts that are prefilled.", valueName: "n,n,…"))
    var lengths = NumberList([32, 128, 512])

    @Option(help: ArgumentHelp("Times that all is measured.", valueName: "n"))
    var rounds = 9

    @Flag(help: "Measure the limits only; needs no model.")
    var limits = false

    @Option(help: ArgumentHelp("Measure the perplexity of this text only, in both modes.", valueName: "file"))
    var perplexity: String?

    @Flag(help: "One JSON object.")
    var json = false

    @OptionGroup var shared: SharedOptions

    func validate() throws {
        guard (1...10_000).contains(rounds) else { throw ValidationError("--rounds: give a number from 1 to 10000") }
        if limits, perplexity != nil { throw ValidationError("--limits and --perplexity: give one of them") }
        if perplexity != nil, optimizations != nil {
            throw ValidationError("--perplexity measures both modes; leave --optimizations out")
        }
    }

    func run() throws {
        var settings = shared
        if let optimizations { settings.settings.append("tt.optimizations=\(optimizations)") }
        if let threads { settings.settings.append("engine.threads=\(threads)") }
        let benchmark = try MachineBenchmark(try settings.configuration())
        for warning in benchmark.warnings { StandardError.print("ttbatch: warning: \(warning)") }
        let tables = try measure(benchmark)
        if json {
            StandardOutput.print(MeasurementDescription.json(tables))
        } else {
            let texts = tables.map { MeasurementDescription.lines($0).joined(separator: "\n") }
            StandardOutput.print(texts.joined(separator: "\n\n"))
        }
    }

    private func measure(_ benchmark: MachineBenchmark) throws -> [MeasuredTable] {
        let progress = { (words: String) in if StandardError.isTerminal { StandardError.print(words) } }
        if limits { return try benchmark.limits(rounds: rounds) }
        if let perplexity { return try benchmark.perplexity(path: perplexity, progress: progress) }
        return try benchmark.measure(
            MachineBenchmark.Steps(
                batchSizes: batchSizes.numbers, contexts: contexts.numbers, promptLengths: lengths.numbers,
                rounds: rounds),
            progress: progress)
    }
}

/// Numbers with commas between them.
struct NumberList: ExpressibleByArgument, CustomStringConvertible {
    let numbers: [Int]

    init(_ numbers: [Int]) { self.numbers = numbers }

    init?(argument: String) {
        let numbers = argument.split(separator: ",", omittingEmptySubsequences: false).map { Int($0) ?? 0 }
        guard numbers.allSatisfy((1...65_536).contains) else { return nil }
        self.numbers = numbers
    }

    var description: String { numbers.map(String.init).joined(separator: ",") }
    var defaultValueDescription: String { description }
}
