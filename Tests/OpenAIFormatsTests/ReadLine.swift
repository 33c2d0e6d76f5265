// Reads request lines that tests hold as text.

import JSONText
import OpenAIFormats

/// What a line holds.
struct ReadLine {
    let customID: String?
    let endpoint: Endpoint?
    /// nil where there are errors.
    let request: RequestBody?
    /// The body as it is stored.
    let body: String
    /// Each with its place; empty where the line is valid.
    let errors: [String]

    init(_ text: String) throws {
        self = try JSONParser().withDocument(of: text.utf8) { ReadLine(RequestLineReader($0, length: text.utf8.count)) }
    }

    private init(_ line: RequestLineReader) {
        customID = line.customID?.string
        endpoint = line.endpoint
        request = line.request
        body = String(decoding: line.body, as: UTF8.self)
        errors = line.problems.found.map { problem in
            switch problem.place {
            case .wholeLine: problem.message
            case .column(let column): "\(column): \(problem.message)"
            case .field(let path): "\(path): \(problem.message)"
            }
        }
    }
}

func errors(of line: String) throws -> [String] { try ReadLine(line).errors }
