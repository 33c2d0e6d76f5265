// The prompts of nights, and what becomes of them when nothing is in the way.

import Foundation
import TestSupport

enum NightJobs {
    /// How a job ends.
    struct End: Sendable, Equatable {
        let text: String?
        let errorCode: String?

        init(_ result: ResultLine) { (text, errorCode) = (result.text, result.errorCode) }
    }

    static let ids = (0..<48).map { "job-\($0)" }
    /// A job that fails when it runs: no token is allowed.
    static let refused = "refused"

    /// A request whose tokens are drawn with a seed of its own: they are the same whatever else runs, and wherever.
    static func line(_ id: String) throws -> String {
        if id == refused { return try Pool.line(id) }
        let number = ids.firstIndex(of: id)!
        return try requestLine(
            id,
            [
                "prompt": "The number \(id) is", "max_tokens": 3 + number * 7 % 60, "temperature": 1, "seed": number,
                "ignore_eos": true,
            ])
    }

    /// The results of an undisturbed run on one host.
    static func expected() throws -> [String: End] {
        let workspace = try Workspace()
        let file = try workspace.write("night.jsonl", lines: try (ids + [refused]).map(line))
        return try ResultLine.byID(try workspace.run("run", file).lines).mapValues(End.init)
    }
}
