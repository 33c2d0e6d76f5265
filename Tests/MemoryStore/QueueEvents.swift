// What happens to jobs and lives in a queue in memory, in its order: for who checks that nothing happens that must not.

package import StoreContract

/// Something that was done to the queue, whoever heard of it.
package enum QueueEvent: Hashable, Sendable {
    /// A life has claimed a job.
    case claimed(ClaimTicket, by: Incarnation)
    /// A job has ended, by an attempt of a life; nil: by a person, or by its deadline.
    case ended(ClaimTicket, JobState, by: Incarnation?)
    /// A result of a life came too late, and was not stored.
    case refused(ClaimTicket, by: Incarnation)
    /// A job was taken from a life; `fails`: for good.
    case released(ClaimTicket, by: Incarnation, Cause, fails: Bool)
    /// A life was declared dead, by another one or by a person.
    case declaredDead(Incarnation)
    /// The machine of a life has begun another one.
    case superseded(Incarnation)

    /// Why a job was taken from a life.
    package enum Cause: Hashable, Sendable {
        /// It gave the job back.
        case ownWish
        /// Its device or the job's model failed, which counts against the job.
        case deviceFault
        case badOutput
        /// Its machine has begun another life.
        case restart
        /// It was declared dead.
        case declaredDead

        init(_ reason: ReleaseReason, _ death: OwnerDeath) {
            switch (death, reason) {
            case (.restart, _): self = .restart
            case (.declared, _): self = .declaredDead
            case (.none, .stopping): self = .ownWish
            case (.none, .crash): self = .deviceFault
            case (.none, .badOutput): self = .badOutput
            }
        }
    }
}

/// Whether a life has ended that had a job, and how that is known.
enum OwnerDeath: Hashable {
    case none
    /// Its machine has begun another one, which judges by the lives before.
    case restart
    /// It was declared dead. A job that had another life end is a suspect then.
    case declared(maxCrashes: Int)
}
