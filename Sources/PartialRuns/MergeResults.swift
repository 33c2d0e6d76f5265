// `ttbatch merge PROMPTS PART… -o OUT`: the results of all parts of a file, in its order.

package import ArgumentParser
import PromptFiles
import Terminal

package struct MergeResults: ParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "merge",
        abstract: "Put the results of the parts of a file together.",
        discussion: """
            The parts are what `ttbatch run --shard` has written, or any files of results. Every prompt must have one result: \
            else nothing is written, and the exit code is 7 where some are missing, 8 where a prompt has two, and 3 where a \
            result is of no prompt.
            """)

    @Argument(help: ArgumentHelp("The prompt file.", valueName: "prompts"))
    var prompts: String

    @Argument(help: ArgumentHelp("Files of results.", valueName: "part"))
    var parts: [String]

    @Option(
        name: .shortAndLong, parsing: .unconditional,
        help: ArgumentHelp("Write to a file instead of stdout.", valueName: "file"))
    var output: String?

    package init() {}

    package func validate() throws {
        try OptionText.check(paths: [prompts] + parts)
        guard prompts != "-", !parts.contains("-") else {
            throw ValidationError("-: the prompts and the parts must be files")
        }
        if let output, let clash = ([prompts] + parts).first(where: { OutputFile.isSame($0, output) }) {
            throw ValidationError("-o \(output) would replace \(clash); choose another name")
        }
    }

    package func run() throws {
        var index = ResultIndex()
        for part in parts { try add(part, to: &index) }
        let (places, merged) = try index.results(inOrderOf: prompts)
        guard merged.missing == 0 else {
            throw Failure(
                .batchNotDone,
                "\(merged.missing) of \(merged.missing + merged.count) prompts have no result: \(merged.missingWords); "
                    + "run their parts to the end, and name all of them")
        }
        guard merged.count == index.count else {
            throw Failure(
                .invalidInput,
                "\(index.count - merged.count) results are of no prompt of \(prompts): are these its parts?")
        }
        try index.write(places, to: try OutputFile(path: output))
        StandardError.print("\(merged.count) results of \(parts.count) files: \(merged.words)")
    }

    private func add(_ part: String, to index: inout ResultIndex) throws {
        do {
            let paths = index.paths
            try index.add(part) { result, other in
                let customID = printable(result.customID)
                throw Failure(
                    .conflict,
                    (paths + [part])[other.file] == part
                        ? "\(part) has two results of the prompt \"\(customID)\""
                        : "\(part) and \(paths[other.file]) both have a result of the prompt \"\(customID)\"; give each part "
                            + "once")
            }
        } catch let error as PromptFileError {
            guard (try? ResultLines(path: part + ".partial")) != nil else { throw error }
            throw Failure(
                .batchNotDone,
                "\(error); there is \(part).partial, since its run has not come to its end: begin it again with --resume"
            )
        }
    }
}
