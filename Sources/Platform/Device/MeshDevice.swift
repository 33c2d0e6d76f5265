// The device interface: an opened mesh that models run on, and the faults that it reports.

public import ModelFiles

/// An opened device (TT contract §2.6).
///
/// A device is used by one thread at a time, the thread that runs the engine. It is closed after its models are
/// released.
public protocol MeshDevice: AnyObject {
    /// The device's platform, and which settings apply to it.
    var platform: PlatformTraits { get }
    /// The grid that was opened.
    var meshShape: MeshShape { get }
    /// Generation of its chips; `nil` if it has none.
    var chipArchitecture: ChipArchitecture? { get }
    /// One line of description: processor or board, threads or chips.
    var summary: String { get }
    /// What of it decides about the bits of its results, in one line.
    var arithmetic: String { get }
    /// Architectures that have a model for this device.
    var models: ModelRegistry<Self> { get }
    /// Free bytes of memory, from which the KV cache is sized once the weights are loaded; `nil` if the table of tokens
    /// (TT contract §2.4) alone decides, as on boards with their own memory.
    var availableKVCacheBytes: Int? { get }
    /// Which steps run as traces if the configuration does not say; `nil` for the contract's default.
    var defaultTraceMode: TraceMode? { get }
    /// Maximum number of tokens of all rows together, by the boards' memory (TT contract §2.4); `nil` if the free
    /// memory of `availableKVCacheBytes` decides.
    ///
    /// - Parameters:
    ///   - model: the model to be loaded.
    ///   - maxModelLen: its longest sequence, in tokens.
    ///   - maxNumSeqs: rows of the device batch.
    /// - Throws: the platform's own error if the model's class fails to give the number.
    func maxTokensAllUsers(of model: ModelConfig, maxModelLen: Int, maxNumSeqs: Int) throws -> Int?
    /// Settings that the device could not apply as configured, for the operator.
    var warnings: [ConfigurationWarning] { get }
    /// Releases the device; idempotent.
    func close()
}

extension MeshDevice {
    /// All that the description tells.
    public var arithmetic: String { summary }
    /// `nil`: the contract's table decides.
    public var availableKVCacheBytes: Int? { nil }
    /// `nil`: the contract's default.
    public var defaultTraceMode: TraceMode? { nil }
    /// `nil`: free memory decides.
    public func maxTokensAllUsers(of model: ModelConfig, maxModelLen: Int, maxNumSeqs: Int) throws -> Int? { nil }
    /// `nil`: no Tenstorrent chips.
    public var chipArchitecture: ChipArchitecture? { nil }
    /// Empty: all settings were applied.
    public var warnings: [ConfigurationWarning] { [] }
}

/// The failure of a running device. Its jobs are requeued; what follows depends on the cause.
public struct DeviceFault: Error, Equatable, CustomStringConvertible {
    /// What the device was doing, for example `decode step`.
    public var operation: String
    /// What went wrong, for the operator.
    public var reason: String
    /// What caused it.
    public var cause: Cause

    /// What caused a fault.
    public enum Cause: Sendable, Equatable {
        /// The device, or a row in its batch: another attempt may succeed after the device was opened again.
        case device
        /// The model: its file is damaged or missing, or it does not fit into the free memory. Another model would run.
        case model
        /// The settings or versions: it would fail in the same way after the device was opened again.
        case settings
    }

    /// A fault during `operation` because of `reason`; if the cause is the model, `reason` names the file.
    public init(operation: String, reason: String, cause: Cause = .device) {
        self.operation = operation
        self.reason = reason
        self.cause = cause
    }

    /// A one-line message.
    public var description: String {
        cause == .model ? "\(reason) (found in \(operation))" : "device fault in \(operation): \(reason)"
    }
}
