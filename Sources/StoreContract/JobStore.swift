// The contract of a job store: the roles that it plays for those who use it.

/// The queue of batches and jobs: written by who enqueues, worked off by one daemon, read by anybody.
///
/// Methods block; call them from threads that may wait. They may be called from several threads at once. The store has
/// no clock: `at` is the caller's time. What is written is durable when the method returns, unless it says otherwise.
///
/// The life of a job is `pending → running → succeeded | failed | cancelled | expired`; a job that has ended never changes
/// again. The rules are in `docs/store.md`, and the conformance suite checks each store against them.
public protocol JobStore: JobIntake, JobWork, BatchLifecycle, JobReading {}
