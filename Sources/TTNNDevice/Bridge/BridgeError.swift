// What can go wrong between ttbatch and the bridge.

public import Platform

/// A request to the bridge that was not answered as asked.
enum BridgeError: Error, CustomStringConvertible {
    /// No answer in time.
    case deadlineMissed(seconds: Int)
    /// The program ends, and does not want the answer any more.
    case givenUp
    /// The bridge is gone.
    case ended
    /// An answer that is not what the protocol says.
    case malformed(String)
    /// The bridge says that it would fail again in the same way.
    case refused(String)
    /// The device or the model failed; the bridge is there and nobody knows the device's state.
    case failed(String)
    /// A system call failed.
    case system(String)

    /// Whether the bridge can be spoken to: its answer was one.
    var leavesConnection: Bool {
        switch self {
        case .refused, .failed: true
        case .deadlineMissed, .givenUp, .ended, .malformed, .system: false
        }
    }

    /// One line for a person.
    var description: String {
        switch self {
        case .deadlineMissed(let seconds): "no progress within \(seconds) s"
        case .givenUp: "given up, because ttbatch was told to stop"
        case .ended: "the bridge process is gone"
        case .malformed(let what): "the bridge answered with nonsense: \(what)"
        case .refused(let message), .failed(let message): message
        case .system(let what): what
        }
    }
}

/// Why Tenstorrent hardware cannot be used as it was asked for.
public enum TTNNError: PlatformError, Equatable {
    /// The interpreter or the bridge cannot be started.
    case cannotStart(python: String, reason: String)
    /// The bridge refuses: a setting, a missing class, too little memory.
    case refused(operation: String, reason: String)

    /// What the bridge refuses depends on settings and versions.
    public var cause: DeviceFault.Cause? {
        if case .refused = self { .settings } else { nil }
    }

    /// One line for a person.
    public var description: String {
        switch self {
        case .cannotStart(let python, let reason):
            "the bridge cannot be started with \(python): \(reason); set bridge.python to the interpreter of the tt-metal "
                + "environment"
        case .refused(let operation, let reason): "\(operation): \(reason)"
        }
    }
}
