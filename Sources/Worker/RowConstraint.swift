// The constraint of a row: made anew when the row joins the batch, with the tokens that it had generated before.

import Platform
import Sampling

/// A constraint, or why there is none any more.
struct RowConstraint {
    private var constraint: Result<any TokenConstraint, ConstraintFault>

    /// The constraint of a text that begins with `tokens`.
    init(_ grammar: any TokenGrammar, _ tokens: some Sequence<Int32>) {
        constraint = Result { () throws(ConstraintFault) in try grammar.makeConstraint() }
        for token in tokens { accept(token) }
    }

    /// The tokens that may come next, at least one.
    func nextTokens() throws(ConstraintFault) -> TokenMask {
        let mask = try constraint.get().nextTokens()
        guard mask.words.contains(where: { $0 != 0 }) else { throw ConstraintFault("its grammar allows no token") }
        return mask
    }

    /// Adds the text's next token. A fault shows with the next `nextTokens`.
    mutating func accept(_ token: Int32) {
        guard case .success(let following) = constraint else { return }
        do throws(ConstraintFault) { try following.accept(token) } catch { constraint = .failure(error) }
    }

    /// Whether the text could end here.
    var state: ConstraintState {
        guard case .success(let following) = constraint else { return .open }
        return following.mustEnd ? .mustEnd : following.mayEnd ? .mayEnd : .open
    }
}
