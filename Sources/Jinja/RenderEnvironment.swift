// The inputs of a render besides the template and its variables: the time, the limits, and which variables are data.

/// A point in time and the zone to show it in; `strftime_now` formats it.
public struct WallClockTime: Sendable, Hashable {
    /// Seconds since 1970-01-01 00:00 UTC.
    public var secondsSinceEpoch: Int
    /// Seconds to add to UTC to get local time.
    public var secondsFromUTC: Int

    /// Makes a time; its zone is UTC by default.
    public init(secondsSinceEpoch: Int, secondsFromUTC: Int = 0) {
        self.secondsSinceEpoch = secondsSinceEpoch
        self.secondsFromUTC = secondsFromUTC
    }
}

/// Bounds that keep a hostile template from hanging or exhausting the process. Reaching one is a `.limit` error.
public struct RenderLimits: Sendable, Hashable {
    /// Work units: about one for a loop step, a call, or a byte of text produced; 32 for an element of a new list.
    public var work = 100_000_000
    /// Bytes of text that one string, or the output, may hold.
    public var textBytes = 64 << 20

    /// The default limits, far above what any chat template needs.
    public init() {}
}

/// Everything a render needs besides the template and its variables.
public struct RenderEnvironment: Sendable {
    /// The clock for `strftime_now`. If it is nil, `strftime_now` is undefined, as in an engine that lacks it.
    public var now: (@Sendable () -> WallClockTime)?
    /// Context variables whose strings (keys too) have origin `.data`; all others are `.template`.
    public var dataVariables: Set<String> = ["messages", "tools", "documents"]
    /// The limits of a render.
    public var limits = RenderLimits()

    /// Makes an environment with the default limits.
    public init(now: (@Sendable () -> WallClockTime)? = nil) {
        self.now = now
    }
}
