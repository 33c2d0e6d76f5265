// What transformers answers to one prompt, as Tests/Golden/README.md describes it.

import Foundation

/// Logits after a prompt and after each token that is given next.
package struct LogitsAnswer: Sendable {
    package let prompt: [Int]
    package let given: [Int]
    /// After the prompt's last token, then after each given one.
    package let steps: [Step]

    /// The logits of one step: all of them in every 16th step, some in the others.
    package struct Step: Sendable {
        package let best: Int
        /// The largest absolute value of all logits.
        package let largest: Float
        /// Token ids and their logits.
        package let logits: [(token: Int, logit: Float)]

        /// The largest difference to this step's logits, relative to the largest of them; infinite for a value that is
        /// not a number.
        package func error(of computed: [Float]) -> Float {
            let differences =
                logits.map { abs(computed[$0.token] - $0.logit) } + [abs(computed.lazy.map(abs).max()! - largest)]
            return differences.allSatisfy(\.isFinite) ? differences.max()! / largest : .infinity
        }
    }

    static func all(of index: ModelIndex, floats data: Data) throws -> [LogitsAnswer] {
        var rest = data.withUnsafeBytes { bytes in
            (0..<bytes.count / 4).map {
                Float(bitPattern: bytes.loadUnaligned(fromByteOffset: $0 * 4, as: UInt32.self))
            }
        }[...]
        func take(_ count: Int) throws -> [Float] {
            guard rest.count >= count else { throw CocoaError(.fileReadCorruptFile) }
            defer { rest = rest.dropFirst(count) }
            return Array(rest.prefix(count))
        }
        let answers = try index.prompts.indices.map { prompt in
            let best = index.best[prompt]
            let some = try best.map { _ in (logits: try take(index.columns.count), largest: try take(1)[0]) }
            let steps = try some.indices.map { step in
                let isWhole = step % index.wholeEvery == 0
                let logits = isWhole ? try take(index.vocabulary) : some[step].logits
                return Step(
                    best: best[step], largest: some[step].largest,
                    logits: Array(zip(isWhole ? Array(0..<index.vocabulary) : index.columns, logits)).map { ($0, $1) })
            }
            return LogitsAnswer(prompt: index.prompts[prompt], given: index.given[prompt], steps: steps)
        }
        guard rest.isEmpty else { throw CocoaError(.fileReadCorruptFile) }
        return answers
    }
}

/// `NAME.json`.
struct ModelIndex: Decodable {
    struct File: Decodable {
        let name: String
        let bytes: Int
    }

    let maxModelLength: Int
    let vocabulary: Int
    let prompts: [[Int]]
    let given: [[Int]]
    let columns: [Int]
    let wholeEvery: Int
    let best: [[Int]]
    let files: [File]
}
