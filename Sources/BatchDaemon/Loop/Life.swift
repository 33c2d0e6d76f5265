// One run of a daemon as its store knows it, and its heartbeat where the store has several owners.

package import Logging
package import Runtime
package import StoreContract
import Synchronization

/// An incarnation, and what the store last thought of it.
package final class Life: Sendable {
    /// Its number.
    package let incarnation: Incarnation
    private let state = Mutex(LifeState.alive)
    /// Whether another server has taken over, and nobody has looked yet what that means.
    private let isServerNew = Mutex(false)

    /// A life that has begun.
    package init(_ incarnation: Incarnation) { self.incarnation = incarnation }

    /// Whether it was declared dead: nothing that it does counts any more.
    package var isLost: Bool { state.withLock { $0 == .dead } }

    /// Whether it takes no more jobs.
    package var isDraining: Bool { state.withLock { $0 == .draining } }

    /// Notes that another server has taken over.
    func noteNewServer() { isServerNew.withLock { $0 = true } }

    /// Whether another server has taken over since the last call.
    func takeNewServer() -> Bool {
        isServerNew.withLock { isNew in
            defer { isNew = false }
            return isNew
        }
    }

    /// Notes what the store thinks; returns whether that is new. Death is final.
    @discardableResult
    package func note(_ new: LifeState) -> Bool {
        state.withLock { state in
            guard state != .dead, state != new else { return false }
            state = new
            return true
        }
    }
}

/// Says that a life goes on, and judges others.
///
/// It has a thread of its own, so that neither a long step of the device nor a slow statement keeps the daemon silent.
package final class Heartbeat: Sendable {
    /// How many heartbeats there are in the time after which who is silent may be declared dead.
    private static let beatsPerLimit: Int64 = 7

    private let life: Life
    private let membership: any Membership
    private let limitMS: Int64
    private let maxCrashes: Int
    private let stop: StopSignal
    private let log: Logger
    private let ending = StopSignal()
    /// The server's history at the last heartbeat.
    private let history = Mutex<String?>(nil)

    /// The heartbeat of `life`.
    ///
    /// - Parameters:
    ///   - limitMS: after how many milliseconds without one a life may be declared dead.
    ///   - maxCrashes: see `Membership.reapDead`.
    ///   - stop: is woken when the store thinks otherwise of the life.
    package init(
        of life: Life, _ membership: any Membership, limitMS: Int64, maxCrashes: Int, stop: StopSignal, log: Logger
    ) {
        self.life = life
        self.membership = membership
        self.limitMS = limitMS
        self.maxCrashes = maxCrashes
        self.stop = stop
        self.log = log
    }

    /// Starts the thread.
    package func start() {
        DetachedThread.start("heartbeat") { [self] in
            var backoff = StoreBackoff(consequence: "this daemon may be declared dead meanwhile", log: log)
            while ending.level == .none, !life.isLost {
                do throws(JobStoreError) {
                    try beat()
                    backoff.reset()
                } catch {
                    // What ends a daemon is found by whoever works with the store.
                    try? backoff.note(error)
                }
                ending.wait(seconds: Double(limitMS) / Double(Self.beatsPerLimit) / 1000)
            }
        }
    }

    /// Ends the thread, soon.
    package func end() { ending.request(.immediate) }

    /// Says once that the life goes on; returns whether it does.
    ///
    /// - Parameter now: for tests; nil: by the store's own clock.
    @discardableResult
    package func renew(at now: Milliseconds? = nil) throws(JobStoreError) -> Bool {
        let state = try membership.renew(life.incarnation, within: limitMS, at: now)
        guard ending.level == .none else { return false }
        if life.note(state) { tell(state) }
        return state != .dead
    }

    /// Says once that the life goes on, and judges others.
    ///
    /// - Parameter now: for tests; nil: by the store's own clock.
    package func beat(at now: Milliseconds? = nil) throws(JobStoreError) {
        guard try renew(at: now) else { return }
        try lookForNewServer()
        for dead in try membership.reapDead(by: life.incarnation, within: limitMS, maxCrashes: maxCrashes, at: now) {
            JobMetrics().count(failed: dead.jobs.failed, because: .crash(maxCrashes: maxCrashes))
            log.warning(
                """
                \(dead.incarnation) of \(dead.host) was not heard of for \(limitMS / 1000) s and is declared dead: \
                \(dead.jobs.requeued) jobs are back in the queue, \(dead.jobs.failed) failed
                """)
        }
    }

    /// What the former server had acknowledged last may be lost: what the store says that this life has is compared with what it has.
    private func lookForNewServer() throws(JobStoreError) {
        let now = try membership.serverHistory()
        let before = history.withLock { history in
            defer { history = now }
            return history
        }
        guard let before, before != now else { return }
        log.warning(
            """
            another server has taken over the queue (timeline \(now), before \(before)): results that were acknowledged last \
            may be lost, and run again
            """)
        life.noteNewServer()
        stop.wake()
    }

    private func tell(_ state: LifeState) {
        switch state {
        case .alive: log.info("\(life.incarnation) takes jobs again")
        case .draining: log.warning("\(life.incarnation) takes no more jobs, until `ttbatch hosts resume`")
        case .dead: log.warning("\(JobStoreError.declaredDead(life.incarnation))")
        }
        stop.wake()
    }
}
