// The speed of a queue that several hosts share: claimants that work side by side, each as a daemon of its own.

import Glibc
public import Runtime

/// A daemon that computes nothing.
public protocol Claimant: Sendable {
    /// Claims up to `limit` jobs; returns how many.
    func claim(_ limit: Int) throws -> Int
    /// Ends all that it has claimed; returns how many that were.
    func finish() throws -> Int
    /// What a daemon does every few seconds beside its work. Returns what others should know of it.
    func beat() throws -> [HostsEvent.Kind]
}

/// Something that a claimant did.
public struct HostsEvent: Sendable {
    /// What happened.
    public enum Kind: Sendable {
        /// A claim, and how many jobs it gave.
        case claim(jobs: Int)
        /// The end of jobs, and how many.
        case finish(jobs: Int)
        /// The life of a claimant began; jobs of its former life became pending.
        case opened(orphans: Int)
        /// Jobs of a dead claimant became pending.
        case reaped(jobs: Int)
        /// It was declared dead itself.
        case dead
        /// A call that failed; it is repeated.
        case failed(String)
    }

    /// What happened.
    public let kind: Kind
    /// The end of the call.
    public let at: Milliseconds
    /// How long it took, in milliseconds.
    public let took: Double
}

/// Lets claimants work.
public struct HostsBenchmark: Sendable {
    /// How many there are.
    public var claimants = 4
    /// The number of jobs in a claim and in a group of completions.
    public var group = 64
    /// Jobs per second of all of them; nil: as many as they can.
    public var rate: Double?
    /// How long they work.
    public var seconds = 60.0
    /// Milliseconds between heartbeats.
    public var beat = 2000

    private let open: @Sendable (Int) throws -> (claimant: any Claimant, orphans: Int)

    /// Makes a benchmark.
    ///
    /// - Parameter open: begins the life of a claimant, by its number.
    public init(open: @escaping @Sendable (Int) throws -> (claimant: any Claimant, orphans: Int)) { self.open = open }

    /// Calls `note` with everything that happens, on several threads.
    public func run(_ note: @escaping @Sendable (HostsEvent) -> Void) throws {
        let crew = try (0..<claimants).map { number in
            let began = ContinuousClock.now
            let (claimant, orphans) = try open(number)
            note(Self.event(.opened(orphans: orphans), since: began))
            return claimant
        }
        let start = ContinuousClock.now
        let end = start + .seconds(seconds)
        let isOver = Mailbox<Void>()
        for (number, claimant) in crew.enumerated() {
            let parts: [@Sendable () -> Void] = [
                { [self] in work(claimant, number, from: start, until: end, note) },
                { [self] in keep(claimant, until: end, note) },
            ]
            for part in parts {
                DetachedThread.start("claimant-\(number)") {
                    part()
                    isOver.send(())
                }
            }
        }
        var running = 2 * crew.count
        while running > 0 { running -= isOver.receiveWaiting().count }
    }

    /// Claims and ends jobs in turn. At a fixed rate, what an outage of more than a second has kept it from is not caught up.
    private func work(
        _ claimant: any Claimant, _ number: Int, from start: ContinuousClock.Instant,
        until end: ContinuousClock.Instant, _ note: (HostsEvent) -> Void
    ) {
        let pause = rate.map { Duration.seconds(Double(group * claimants) / $0) } ?? .zero
        var next = start + pause * Double(number) / Double(claimants)
        while ContinuousClock.now < end {
            Self.sleep(until: next)
            repeated(until: end, note) { .claim(jobs: try claimant.claim(group)) }
            // What a device would compute meanwhile.
            Self.sleep(until: next + pause / 2)
            repeated(until: end, note) { .finish(jobs: try claimant.finish()) }
            next = max(next + pause, ContinuousClock.now - .seconds(1))
        }
    }

    private func keep(
        _ claimant: any Claimant, until end: ContinuousClock.Instant, _ note: (HostsEvent) -> Void
    ) {
        while ContinuousClock.now < end {
            let began = ContinuousClock.now
            do {
                for kind in try claimant.beat() { note(Self.event(kind, since: began)) }
            } catch {
                note(Self.event(.failed("\(error)"), since: began))
            }
            Self.sleep(until: min(end, began + .milliseconds(beat)))
        }
    }

    private func repeated(
        until end: ContinuousClock.Instant, _ note: (HostsEvent) -> Void, _ call: () throws -> HostsEvent.Kind
    ) {
        repeat {
            let began = ContinuousClock.now
            do {
                return note(Self.event(try call(), since: began))
            } catch {
                note(Self.event(.failed("\(error)"), since: began))
                Self.sleep(until: .now + .milliseconds(100))
            }
        } while ContinuousClock.now < end
    }

    private static func event(_ kind: HostsEvent.Kind, since began: ContinuousClock.Instant) -> HostsEvent {
        HostsEvent(kind: kind, at: TimeSource.system.now, took: (ContinuousClock.now - began) / .milliseconds(1))
    }

    private static func sleep(until time: ContinuousClock.Instant) {
        let left = (time - .now) / .microseconds(1)
        if left > 0 { usleep(UInt32(left)) }
    }
}
