// Requests may have many megabytes each: so many are read or deleted at once as memory and the log are meant for them,
// and always at least one.

import GRDB
import StoreContract

extension Database {
    /// Bytes of requests at a time, about.
    private static let budget: Int64 = 32 << 20

    /// How many of up to `limit` jobs to take at once. `jobs` is a query of their ids, with a ? for each of `values` and
    /// then one for the limit.
    func withinBodyBudget(_ limit: Int, jobs: String, _ values: any SQLValue...) throws -> Int {
        let sizes = try rows("SELECT length(body) FROM job_bodies WHERE job_id IN (\(jobs))", all: values + [limit]) {
            $0.int64(0)
        }
        guard sizes.reduce(0, +) > Self.budget else { return limit }
        // In whichever order they come: those of the greatest size fit at least.
        return max(1, Int(Self.budget / (sizes.max() ?? 1)))
    }
}
