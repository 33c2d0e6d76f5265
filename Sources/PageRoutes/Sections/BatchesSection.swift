// The list of batches, the newest first, page by page.

import ResultExport
import Runtime
import StoreContract

struct BatchesSection: Sendable, Hashable {
    /// The most batches of a page.
    static let limit = 50

    let rows: [BatchFacts]
    let isEmpty: Bool
    /// The batch before which the next page begins; nil on the last one.
    let next: String?
    /// Whether newer ones are on other pages.
    let isLaterPage: Bool

    /// - Parameter batches: one more than a page has, if there are so many.
    init(_ batches: [BatchDescription], view: PageView, token: String, now: Milliseconds) {
        rows = batches.prefix(Self.limit).map { BatchFacts($0, view: view, token: token, now: now) }
        isEmpty = rows.isEmpty
        next = batches.count > Self.limit ? rows.last?.id : nil
        isLaterPage = view.before != nil
    }
}
