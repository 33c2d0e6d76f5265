// `ttbatch bench`: measures the speed of a model on this machine, and compares it with the machine's limits.

package import ArgumentParser
import Benchmarks
import JSONText
import QueueCommands
import Settings
package import Terminal

package struct Bench: ParsableCommand {
    package static let configuration = CommandConfiguration(
        abstract: "Measure a model on this machine's CPU.",
        discussion: """
            Measures what the processor and the memory can do at most, and beside it prefill and decode steps: their \
            rates, how near they come to those limits, and where the threads' time goes. All is measured in turn, round \
            after round, and the medians are shown. Run it on a quiet machine. \
            `--perplexity` compares the precision of both modes instead.
            """)

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("The trade between speed and precision.", valueName: "performance|accuracy"))
    package var optimizations: String?

    @Option(parsing: .unconditional, help: ArgumentHelp("Threads; one for each core where not given.", valueName: "n"))
    package var threads: Int?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Rows of the decode steps. (default: \(Defaults.batchSizes))", valueName: "n,n,…"))
    package var batchSizes: NumberList?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Tokens in the cache when decoding begins. (default: \(Defaults.contexts))", valueName: "n,n,…"))
    package var contexts: NumberList?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Tokens of the prompts that are prefilled. (default: \(Defaults.lengths))", valueName: "n,n,…"))
    package var lengths: NumberList?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Times that all is measured. (default: \(Defaults.rounds))", valueName: "n"))
    package var rounds: Int?

    @Flag(help: "Measure the limits only; needs no model.")
    package var limits = false

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Measure the perplexity of this text only, in both modes.", valueName: "file"))
    package var perplexity: String?

    @Flag(help: "One JSON object.")
    package var json = false

    @OptionGroup var shared: SharedOptions

    package init() {}

    /// The defaults of options. Measurements that do not use an option reject it, so the options themselves have no
    /// defaults.
    private enum Defaults {
        static let batchSizes = NumberList([1, 2, 4, 8, 16, 32, 64])
        static let contexts = NumberList([128])
        static let lengths = NumberList([32, 128, 512])
        static let rounds = 9
    }

    package func validate() throws {
        for (option, list) in [("--batch-sizes", batchSizes), ("--contexts", contexts), ("--lengths", lengths)] {
            guard list?.numbers.allSatisfy({ $0 <= 65_536 }) ?? true else {
                throw ValidationError("\(option): give numbers up to 65536")
            }
        }
        if let rounds, !(1...10_000).contains(rounds) {
            throw ValidationError("--rounds: give a number from 1 to 10000")
        }
        if limits, perplexity != nil { throw ValidationError("--limits and --perplexity: give one of them") }
        if perplexity != nil, optimizations != nil {
            throw ValidationError("--perplexity measures both modes; leave --optimizations out")
        }
        if limits, optimizations != nil {
            throw ValidationError("--limits measures no model; leave --optimizations out")
        }
        if perplexity != nil, rounds != nil {
            throw ValidationError("--perplexity measures once; leave --rounds out")
        }
        guard limits || perplexity != nil else { return }
        let ofSteps = [("--batch-sizes", batchSizes), ("--contexts", contexts), ("--lengths", lengths)]
        if let (option, _) = ofSteps.first(where: { $0.1 != nil }) {
            let instead = limits ? "--limits" : "--perplexity"
            throw ValidationError("\(instead) measures no steps; leave \(option) out")
        }
    }

    package func run() throws {
        var settings = shared
        if let optimizations { settings.settings.append("tt.optimizations=\(optimizations)") }
        if let threads { settings.settings.append("engine.threads=\(threads)") }
        let configuration = try settings.configuration()
        let benchmark = try MachineBenchmark(
            configuration.engine, model: configuration.model, in: configuration.catalogue)
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
        let rounds = rounds ?? Defaults.rounds
        if limits { return try benchmark.limits(rounds: rounds) }
        if let perplexity { return try benchmark.perplexity(path: perplexity, progress: progress) }
        return try benchmark.measure(
            MachineBenchmark.Steps(
                batchSizes: (batchSizes ?? Defaults.batchSizes).numbers,
                contexts: (contexts ?? Defaults.contexts).numbers,
                promptLengths: (lengths ?? Defaults.lengths).numbers, rounds: rounds),
            progress: progress)
    }
}
