// The incarnations of the daemon: how one begins, and the list of them.

public import Runtime

/// A daemon that starts, as it describes itself.
public struct NewIncarnation: Hashable, Sendable, Codable {
    /// Its process id.
    public var pid: Int32
    /// The host name.
    public var host: String
    /// The program's version.
    public var version: String
    /// The model it runs.
    public var model: String
    /// The device it runs on.
    public var device: String

    /// Makes the description of a daemon.
    public init(pid: Int32, host: String, version: String, model: String, device: String) {
        self.pid = pid
        self.host = host
        self.version = version
        self.model = model
        self.device = device
    }
}

/// An incarnation that has begun, and what it found.
public struct OpenedIncarnation: Hashable, Sendable {
    /// The number of the incarnation.
    public var incarnation: Incarnation
    /// What was done with the jobs that earlier incarnations left running.
    public var orphans: ReleaseReport

    /// For store implementations and tests.
    public init(incarnation: Incarnation, orphans: ReleaseReport) {
        self.incarnation = incarnation
        self.orphans = orphans
    }
}

/// An incarnation of another daemon that was declared dead.
public struct ReapedLife: Hashable, Sendable {
    /// Its number.
    public var incarnation: Incarnation
    /// The name of its machine.
    public var host: String
    /// What became of its jobs.
    public var jobs: ReleaseReport

    /// For store implementations and tests.
    public init(incarnation: Incarnation, host: String, jobs: ReleaseReport) {
        self.incarnation = incarnation
        self.host = host
        self.jobs = jobs
    }
}

/// One incarnation of the daemon, i.e. one run of its process.
public struct IncarnationSummary: Hashable, Sendable, Codable {
    /// Its number.
    public var id: Incarnation
    /// The process, as it described itself.
    public var daemon: NewIncarnation
    /// When it started.
    public var started: Milliseconds
    /// When it shut down in good order; nil if it still runs or crashed.
    public var stopped: Milliseconds?

    /// For store implementations and tests.
    public init(id: Incarnation, daemon: NewIncarnation, started: Milliseconds, stopped: Milliseconds?) {
        self.id = id
        self.daemon = daemon
        self.started = started
        self.stopped = stopped
    }
}

/// Whether a daemon holds the lease of the database now.
public enum DaemonPresence: Hashable, Sendable, Codable {
    case absent
    /// `pid` is nil between the moment at which the daemon takes the lock and the moment at which it writes its pid.
    case running(pid: Int32?)
    /// This user has no permission to find out.
    case unknown
}

/// What a store with several owners thinks of a life.
public enum LifeState: Hashable, Sendable {
    case alive
    /// A person wants its daemon to take no more jobs.
    case draining
    /// It was declared dead.
    case dead
}

/// A host of a queue that has several: the last life of a machine and state directory.
public struct HostSummary: Hashable, Sendable, Codable {
    /// Whether it works.
    public enum State: String, Hashable, Sendable, Codable, CaseIterable {
        /// Heard of lately.
        case running
        /// It takes no more jobs, since a person wants so.
        case draining
        /// Not heard of for a while, and not judged yet.
        case silent
        /// Declared dead.
        case dead
        /// It ended in good order.
        case stopped
    }

    /// Its last life.
    public var life: IncarnationSummary
    /// Whether it works.
    public var state: State
    /// The model that it has loaded; nil: none.
    public var loadedModel: String?
    /// Jobs that it has claimed.
    public var running: Int64
    /// Tokens generated per second, lately.
    public var tokensPerSecond: Double
    /// Milliseconds since it was last heard of.
    public var silentMS: Int64

    /// For store implementations and tests.
    public init(
        life: IncarnationSummary, state: State, loadedModel: String?, running: Int64, tokensPerSecond: Double,
        silentMS: Int64
    ) {
        self.life = life
        self.state = state
        self.loadedModel = loadedModel
        self.running = running
        self.tokensPerSecond = tokensPerSecond
        self.silentMS = silentMS
    }
}
