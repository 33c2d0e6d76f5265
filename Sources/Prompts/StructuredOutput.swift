// The grammars of requests: checked when a file is enqueued, and compiled for the model that runs them.

import Constraints
import OpenAIFormats
import Sampling
import Synchronization
import Tokenizers

/// A fault of a request's grammar.
package struct StructureProblem: Error, Sendable, CustomStringConvertible {
    /// The field: `response_format.json_schema.schema.properties.x.not`.
    package let path: String
    /// What is wrong, as a predicate.
    package let complaint: String
    /// What to do about it.
    package let remedy: String?

    package var description: String { "\(path): \(complaint)" + (remedy.map { "; \($0)" } ?? "") }
}

/// Checks and compiles the grammars of a model's requests; each distinct one once.
final class StructuredOutput: Sendable {
    private let tokenizer: Tokenizer
    private let checker = GrammarChecker()
    private let state = Mutex(State())

    private struct State {
        /// For each size of a model's vocabulary that was asked for: there is one.
        var vocabularies: [Int: Result<ConstraintVocabulary, ConstraintsUnavailable>] = [:]
        var grammars: [GrammarSource: GrammarReference] = [:]
    }

    private static let most = 256

    init(_ tokenizer: Tokenizer) { self.tokenizer = tokenizer }

    /// What is wrong with a request's grammar, found without the model.
    func problems(of structure: RequestBody.Structure) -> [StructureProblem] {
        do throws(ConstraintsUnavailable) {
            return try checker.problems(of: structure.source).map {
                StructureProblem(path: structure.path + $0.path, complaint: $0.complaint, remedy: $0.remedy)
            }
        } catch {
            return [StructureProblem(path: structure.path, complaint: error.description, remedy: nil)]
        }
    }

    /// The grammar, compiled for a model of `vocabularySize` tokens.
    func grammar(
        _ structure: RequestBody.Structure, vocabularySize: Int
    ) throws(StructureProblem) -> GrammarReference {
        if let known = state.withLock({ $0.grammars[structure.source] }) { return known }
        func problem(_ reason: String) -> StructureProblem {
            StructureProblem(path: structure.path, complaint: reason, remedy: nil)
        }
        let vocabulary: ConstraintVocabulary
        do { vocabulary = try self.vocabulary(vocabularySize).get() } catch { throw problem(error.description) }
        let grammar: any TokenGrammar
        do { grammar = try vocabulary.compile(structure.source) } catch { throw problem(error.description) }
        let reference = GrammarReference(grammar)
        state.withLock { state in
            if state.grammars.count >= Self.most { state.grammars.removeAll() }
            state.grammars[structure.source] = reference
        }
        return reference
    }

    /// The model's vocabulary; made when it is first needed.
    private func vocabulary(_ size: Int) -> Result<ConstraintVocabulary, ConstraintsUnavailable> {
        state.withLock { state in
            if let made = state.vocabularies[size] { return made }
            let tokens = (0..<Int32(size)).map { id -> [UInt8]? in
                guard Int(id) < tokenizer.vocabularySize, !tokenizer.isControl(id) else { return nil }
                return tokenizer.bytes(of: CollectionOfOne(id), skipSpecial: false)
            }
            let ends = tokenizer.endOfGenerationTokens.filter { $0 < Int32(size) }
            let made = Result { () throws(ConstraintsUnavailable) in
                try ConstraintVocabulary(tokens: tokens, endTokens: ends)
            }
            state.vocabularies[size] = made
            return made
        }
    }
}

/// The engine for structured output, as it is on this machine.
package enum StructuredOutputEngine {
    /// Its name and version.
    package static var name: String { "llguidance \(GuidanceLibrary.version)" }

    /// The path of its file, or why it cannot be used and what to do.
    package static func find() -> (path: String?, reason: String?) {
        do throws(ConstraintsUnavailable) { return (try GuidanceLibrary.shared().path, nil) } catch {
            return (nil, error.description)
        }
    }
}
