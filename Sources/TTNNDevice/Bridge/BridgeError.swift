// Errors between ttbatch and the bridge.

public import Platform

/// Why a request to the bridge failed.
enum BridgeError: Error, CustomStringConvertible {
    /// No answer before the deadline.
    case deadlineMissed(seconds: Int)
    /// The program is stopping and no longer needs the answer.
    case givenUp
    /// The bridge has ended.
    case ended
    /// An answer that violates the protocol.
    case malformed(String)
    /// The bridge reports that a retry would fail in the same way.
    case refused(String)
    /// The device or the model failed; the bridge still runs, but the device's state is unknown.
    case failed(String)
    /// A system call failed.
    case system(String)

    /// Whether the connection can still be used, because the bridge has answered.
    var leavesConnection: Bool {
        switch self {
        case .refused, .failed: true
        case .deadlineMissed, .givenUp, .ended, .malformed, .system: false
        }
    }

    /// A one-line message.
    var description: String {
        switch self {
        case .deadlineMissed(let seconds): "no progress within \(seconds) s"
        case .givenUp: "given up, because ttbatch was told to stop"
        case .ended: "the bridge process is gone"
        case .malformed(let what): "the bridge gave an invalid answer: \(what)"
        case .refused(let message), .failed(let message): message
        case .system(let what): what
        }
    }
}

/// Why Tenstorrent hardware cannot be used as configured.
public enum TTNNError: PlatformError, Equatable {
    /// The interpreter or the bridge cannot be started.
    case cannotStart(python: String, reason: String)
    /// The bridge refuses: a setting, a missing class, too little memory.
    case refused(operation: String, reason: String)

    /// A refusal is caused by settings or versions.
    public var cause: DeviceFault.Cause? {
        if case .refused = self { .settings } else { nil }
    }

    /// A one-line message.
    public var description: String {
        switch self {
        case .cannotStart(let python, let reason):
            "the bridge cannot be started with \(python): \(reason); set bridge.python to the interpreter of the tt-metal "
                + "environment"
        case .refused(let operation, let reason): "\(operation): \(reason)"
        }
    }
}
