// What a render takes from outside the template and its variables: the time, the limits, which variables are data.

/// A point in time and the zone to show it in; `strftime_now` formats it.
public struct WallClockTime: Sendable, Hashable {
    /// Seconds since 1970-01-01 00:00 UTC.
    public var secondsSinceEpoch: Int
    /// Seconds to add to UTC to get local time.
    public var secondsFromUTC: Int

    /// A time, by default shown in UTC.
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

    /// The default limits: far above what any chat template needs.
    public init() {}
}

/// Everything a render needs besides the template and its variables.
public struct RenderEnvironment: Sendable {
    /// The clock behind `strftime_now`. Without one, `strftime_now` is undefined, as in an engine that lacks it.
    public var now: (@Sendable () -> WallClockTime)?
    /// Context variables whose strings (keys too) have origin `.data`; all others are `.template`.
    public var dataVariables: Set<String> = ["messages", "tools", "documents"]
    /// Bounds on a render.
    public var limits = RenderLimits()

    /// An environment with this clock and the default limits.
    public init(now: (@Sendable () -> WallClockTime)? = nil) {
        self.now = now
    }
}
