// The lives of the daemon: how one begins, and which there were.

public import Runtime

/// The daemon that starts.
public struct NewIncarnation: Hashable, Sendable {
    /// Its process id.
    public var pid: Int32
    /// Its host's name.
    public var host: String
    /// The program's version.
    public var version: String
    /// The model it runs.
    public var model: String
    /// The device it runs on.
    public var device: String

    /// Describes a daemon.
    public init(pid: Int32, host: String, version: String, model: String, device: String) {
        self.pid = pid
        self.host = host
        self.version = version
        self.model = model
        self.device = device
    }
}

/// A daemon's life that has begun, and what it found.
public struct OpenedIncarnation: Hashable, Sendable {
    /// The number of this life.
    public var incarnation: Incarnation
    /// What became of the jobs that earlier lives left running.
    public var orphans: ReleaseReport

    /// For stores, and for tests of what reads them.
    public init(incarnation: Incarnation, orphans: ReleaseReport) {
        self.incarnation = incarnation
        self.orphans = orphans
    }
}

/// One life of the daemon.
public struct IncarnationSummary: Hashable, Sendable {
    /// Its number.
    public var id: Incarnation
    /// The process.
    public var daemon: NewIncarnation
    /// When it began.
    public var started: Milliseconds
    /// When it ended in good order; nil if it runs or crashed.
    public var stopped: Milliseconds?

    /// For stores, and for tests of what reads them.
    public init(id: Incarnation, daemon: NewIncarnation, started: Milliseconds, stopped: Milliseconds?) {
        self.id = id
        self.daemon = daemon
        self.started = started
        self.stopped = stopped
    }
}

/// Whether a daemon owns the database now.
public enum DaemonPresence: Hashable, Sendable {
    case absent
    /// `pid` is nil in the instant between its taking the lock and writing its number.
    case running(pid: Int32?)
    /// This user may not ask.
    case unknown
}
