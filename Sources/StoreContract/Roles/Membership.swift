// Several daemons on one store: who lives, and who judges that.

public import Runtime

/// Keeps the lives of the daemons of several hosts. A store with one owner has none.
///
/// A life that was declared dead stays so: nothing of it is accepted any more, and its jobs belong to others. Its daemon begins
/// another one.
public protocol Membership: Sendable {
    /// Says that a life goes on; its daemon does so again and again. Returns what the store thinks of it.
    ///
    /// - Parameters:
    ///   - limit: after how many milliseconds without a word a life may be declared dead.
    ///   - now: for tests; nil: by the store's own clock, so that nobody is judged by his own.
    func renew(
        _ life: Incarnation, within limit: Int64, at now: Milliseconds?
    ) throws(JobStoreError) -> LifeState

    /// What changes when another server takes over from the one that kept the queue: it may not have what that one had acknowledged
    /// last.
    func serverHistory() throws(JobStoreError) -> String

    /// Declares those dead that have not been heard of for `limit` milliseconds, and makes their jobs pending. Nobody is judged
    /// by a life that has not been heard of itself for that long, without a gap: what was silent may be the store.
    ///
    /// One death counts against no job; a job that was in flight when a second life ended is a suspect, as in
    /// `openIncarnation`.
    func reapDead(
        by life: Incarnation, within limit: Int64, maxCrashes: Int, at now: Milliseconds?
    ) throws(JobStoreError) -> [ReapedLife]

    /// Whether other lives have jobs in flight: those of these batches, or any if it is nil. They may come back.
    func othersHoldJobs(than life: Incarnation, among: Set<BatchID>?) throws(JobStoreError) -> Bool

    /// Says that a life works on some batches only: of others it does not say that their model cannot be used, nor keeps it anybody
    /// from saying so.
    func noteScoped(_ life: Incarnation) throws(JobStoreError)

    /// The daemons that live, and those that died or were stopped lately: the last life of each.
    func hosts() throws(JobStoreError) -> [HostSummary]

    /// Whether the daemon of a life, and those that come after it on its host, take jobs.
    /// - Throws: `.hostNotFound`.
    func setDraining(_ isDraining: Bool, of life: Incarnation) throws(JobStoreError)

    /// Declares a life dead, whatever was heard of it, makes its jobs pending, and forgets its host.
    /// - Throws: `.hostNotFound`.
    func remove(_ life: Incarnation, maxCrashes: Int, at now: Milliseconds) throws(JobStoreError) -> ReapedLife
}

extension Membership {
    /// Nobody takes over.
    public func serverHistory() throws(JobStoreError) -> String { "" }
}
