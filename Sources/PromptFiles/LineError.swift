// A problem of a line of a file, printed in the format of editors and compilers.

public import OpenAIFormats

/// A problem of a line of a file. It prints in the format of compilers: `prompts.jsonl:3:17: …`, or with the field
/// instead of the column: `prompts.jsonl:3: body.temperature: -1 is below 0; use 0 (greedy) to 2`.
public struct LineError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The file's name as the user wrote it; `<stdin>` for standard input.
    public var file: String
    /// The line number, from 1.
    public var line: Int
    /// What is wrong with the line.
    public var problem: RequestProblem

    /// Makes the error of a line.
    public init(file: String, line: Int, problem: RequestProblem) {
        self.file = file
        self.line = line
        self.problem = problem
    }

    /// The error in one line, in a format that editors can jump to.
    public var description: String {
        switch problem.place {
        case .wholeLine: "\(file):\(line): \(problem.message)"
        case .column(let column): "\(file):\(line):\(column): \(problem.message)"
        case .field(let path): "\(file):\(line): \(path): \(problem.message)"
        }
    }
}
