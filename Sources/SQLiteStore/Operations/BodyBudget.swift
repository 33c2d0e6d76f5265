// A request may have many megabytes, so the number of requests that are read or deleted at once is limited by their
// size, to bound memory and the log. It is always at least one.

import GRDB
import StoreContract

extension Database {
    /// The approximate number of bytes of requests at once.
    private static let budget: Int64 = 32 << 20

    /// The number of jobs, at most `limit`, to process at once. `jobs` is a query for their ids, with a ? for each of
    /// `values` and a last one for the limit.
    func withinBodyBudget(_ limit: Int, jobs: String, _ values: any SQLValue...) throws -> Int {
        let sizes = try rows("SELECT length(body) FROM job_bodies WHERE job_id IN (\(jobs))", all: values + [limit]) {
            $0.int64(0)
        }
        guard sizes.reduce(0, +) > Self.budget else { return limit }
        // The order of the jobs is not known here, so all are taken to be as large as the largest.
        return max(1, Int(Self.budget / (sizes.max() ?? 1)))
    }
}
