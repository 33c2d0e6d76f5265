// A problem of a line of a file, printed as editors and compilers print theirs.

public import OpenAIFormats

/// A problem of a line of a file. Prints as editors and compilers do: `prompts.jsonl:3:17: …`, or with the field in
/// place of the column: `prompts.jsonl:3: body.temperature: -1 is below 0; use 0 (greedy) to 2`.
public struct LineError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The file's name as the user gave it; `<stdin>` for standard input.
    public var file: String
    /// The line, counted from 1.
    public var line: Int
    /// What is wrong with the line.
    public var problem: RequestProblem

    /// Puts a problem in its file and line.
    public init(file: String, line: Int, problem: RequestProblem) {
        self.file = file
        self.line = line
        self.problem = problem
    }

    /// The error in one line, as an editor can jump to it.
    public var description: String {
        switch problem.place {
        case .wholeLine: "\(file):\(line): \(problem.message)"
        case .column(let column): "\(file):\(line):\(column): \(problem.message)"
        case .field(let path): "\(file):\(line): \(path): \(problem.message)"
        }
    }
}
