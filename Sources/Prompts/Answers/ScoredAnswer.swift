// The answer to a request that has texts scored: the most probable one, and how probable each is.

import Foundation
package import OpenAIFormats
package import Sampling

/// The scores of a request's texts behind one prompt.
package struct ScoredAnswer: Sendable, Equatable {
    /// The scores, in the order of the request.
    package let scores: [ScoredText]

    /// Scores texts by the logprobs of their tokens, one list for each text.
    package init(_ scoring: RequestBody.Scoring, _ logprobs: [[TokenLogprobs]]) {
        var scores = zip(scoring.texts, logprobs).map { text, positions in
            ScoredText(
                text: text, logprob: positions.reduce(0) { $0 + Double($1.own.logprob) }, tokens: positions.count,
                isGreedy: positions.allSatisfy { $0.top.first?.token == $0.own.token })
        }
        if scoring.classifies, let highest = scores.map(\.logprob).max() {
            // If all are excluded, none is more probable than another.
            let weights = scores.map { highest.isFinite ? exp($0.logprob - highest) : 1 }
            let sum = weights.reduce(0, +)
            for index in scores.indices { scores[index].probability = weights[index] / sum }
        }
        self.scores = scores
    }

    /// The most probable text; among equals the first.
    package var text: String {
        scores.indices.max { (scores[$0].logprob, -$0) < (scores[$1].logprob, -$1) }.map { scores[$0].text } ?? ""
    }

    /// The scores as JSON.
    package var json: String { scores.json }
}

extension OutputRules {
    /// The scores of the request's texts by the logprobs of their tokens; nil if it has none.
    package func scoredAnswer(_ logprobs: [[TokenLogprobs]]) -> ScoredAnswer? {
        scoring.map { ScoredAnswer($0, logprobs) }
    }
}
