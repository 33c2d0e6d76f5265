// The contract of a job store, and its parts by role.

/// The queue of batches and jobs. Clients enqueue, one daemon runs the jobs, and any process may read.
///
/// Methods block, so call them from threads that may wait. Several threads may call them at once. The store has no
/// clock: the caller passes the time as `at`. What a method writes is durable when it returns, unless it says
/// otherwise.
///
/// A job goes through `pending → running → succeeded | failed | cancelled | expired`. A job that has ended never
/// changes again. The rules are in `docs/store.md`; the conformance suite checks each store against them.
public protocol JobStore: JobIntake, JobWork, BatchLifecycle, JobRepeating, JobReading, QueueObserving, KeyKeeping {}

/// A job store that a server can stand in front of.
public typealias ServedStore = JobStore & FileKeeping
