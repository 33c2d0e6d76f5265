// Checks grammars before anything runs, without a model; each distinct one once.

import JSONText
public import Sampling
import Synchronization

/// Finds out whether grammars can be enforced.
public final class GrammarChecker: Sendable {
    private let state = Mutex(State())

    private struct State {
        var vocabulary: Result<ConstraintVocabulary, ConstraintsUnavailable>?
        /// What is wrong with the grammars seen lately.
        var known: [GrammarSource: [GrammarProblem]] = [:]
    }

    private static let most = 4096

    /// A checker that has seen nothing.
    public init() {}

    /// What is wrong with a grammar; nothing if it can be enforced.
    ///
    /// - Throws: `ConstraintsUnavailable`.
    public func problems(of source: GrammarSource) throws(ConstraintsUnavailable) -> [GrammarProblem] {
        if let known = state.withLock({ $0.known[source] }) { return known }
        let problems = Self.check(source, try vocabulary())
        state.withLock { state in
            if state.known.count >= Self.most { state.known.removeAll() }
            state.known[source] = problems
        }
        return problems
    }

    private func vocabulary() throws(ConstraintsUnavailable) -> ConstraintVocabulary {
        let made = state.withLock { state in
            let made = state.vocabulary ?? Result { () throws(ConstraintsUnavailable) in try .bytes() }
            state.vocabulary = made
            return made
        }
        return try made.get()
    }

    private static func check(_ source: GrammarSource, _ vocabulary: ConstraintVocabulary) -> [GrammarProblem] {
        if case .calls(let functions, _) = source.kind {
            let problems = functions.enumerated().flatMap { index, function in
                check(GrammarSource(.json(function.parameters)), vocabulary).map {
                    GrammarProblem("[\(index)].function.parameters\($0.path)", $0.complaint, $0.remedy)
                }
            }
            guard problems.isEmpty else { return problems }
        }
        guard case .json(let text) = source.kind else {
            return fault(of: source, vocabulary).map { [GrammarProblem("", $0)] } ?? []
        }
        let schema: JSONValue
        do { schema = try JSONValue(parsing: Array(text.utf8)) } catch {
            return [GrammarProblem("", "is no JSON: \(error)")]
        }
        let walk = SchemaWalk(schema)
        guard walk.problems.isEmpty else { return walk.problems }
        guard let reason = fault(of: source, vocabulary) else { return [] }
        return [GrammarProblem(place(of: walk, vocabulary), "cannot be enforced: \(reason)")]
    }

    /// The innermost schema that cannot be enforced by itself, if there is one.
    private static func place(of walk: SchemaWalk, _ vocabulary: ConstraintVocabulary) -> String {
        var definitions: [JSONValue.Member] = []
        if case .object(let members)? = walk.schemas.first?.schema {
            definitions = members.filter { ["$defs", "definitions", "$schema"].contains($0.key) }
        }
        var found = ""
        // A schema that cannot be enforced is within others that cannot be either.
        for (path, schema) in walk.schemas.prefix(500) where !path.isEmpty && path.hasPrefix(found) {
            guard case .object(let members) = schema else { continue }
            let others = definitions.filter { own in !members.contains { $0.key == own.key } }
            if fault(of: GrammarSource(.json(JSONValue.object(others + members).text)), vocabulary) != nil {
                found = path
            }
        }
        return found
    }

    /// Why a grammar cannot be compiled, in one line; nil if it can.
    private static func fault(of source: GrammarSource, _ vocabulary: ConstraintVocabulary) -> String? {
        do throws(ConstraintFault) {
            _ = try vocabulary.compile(source).makeConstraint().nextTokens()
            return nil
        } catch {
            // llguidance shows where it stopped over several lines.
            let words = error.description.split(whereSeparator: \.isWhitespace).joined(separator: " ")
            return words.count > 240 ? words.prefix(240) + "…" : words
        }
    }
}
