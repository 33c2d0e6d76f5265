// A device as the engine sees it: something with a mesh shape that models run on.

public import ModelFiles

/// An opened device (TT contract §2.6).
///
/// A device is used from one thread at a time, the one that runs the engine; it is closed after its models are gone.
public protocol MeshDevice: AnyObject {
    /// Which platform it belongs to, and what its settings mean there.
    var platform: PlatformTraits { get }
    /// The grid that was opened.
    var meshShape: MeshShape { get }
    /// Generation of its chips; `nil` where it has none.
    var chipArchitecture: ChipArchitecture? { get }
    /// A line for people: processor or board, threads or chips.
    var summary: String { get }
    /// Architectures that have a model for this device.
    var models: ModelRegistry<Self> { get }
    /// Bytes of memory that are free now and may be used for the KV cache once the weights are loaded; `nil` where the
    /// table of tokens (TT contract §2.4) alone decides, as on boards with their own memory.
    var availableKVCacheBytes: Int? { get }
    /// Which steps run as traces where the configuration does not say; `nil` for the contract's default.
    var defaultTraceMode: TraceMode? { get }
    /// Tokens that all rows together may have, by the boards' memory (TT contract §2.4); `nil` where the free memory of
    /// `availableKVCacheBytes` decides.
    ///
    /// - Parameters:
    ///   - model: the model to be loaded.
    ///   - maxModelLen: its longest sequence, tokens.
    ///   - maxNumSeqs: rows of the device batch.
    /// - Throws: the platform's own error where the model's class refuses to say.
    func maxTokensAllUsers(of model: ModelConfig, maxModelLen: Int, maxNumSeqs: Int) throws -> Int?
    /// Settings that the device could not heed as they were given; for the operator.
    var warnings: [ConfigurationWarning] { get }
    /// Releases the device; idempotent.
    func close()
}

extension MeshDevice {
    /// The contract's table decides.
    public var availableKVCacheBytes: Int? { nil }
    /// The contract's default.
    public var defaultTraceMode: TraceMode? { nil }
    /// Free memory decides.
    public func maxTokensAllUsers(of model: ModelConfig, maxModelLen: Int, maxNumSeqs: Int) throws -> Int? { nil }
    /// No Tenstorrent chips.
    public var chipArchitecture: ChipArchitecture? { nil }
    /// All settings were heeded.
    public var warnings: [ConfigurationWarning] { [] }
}

/// A device that failed while it ran. The jobs on it are put back; what is done then depends on the cause.
public struct DeviceFault: Error, Equatable, CustomStringConvertible {
    /// What the device was doing, for example `decode step`.
    public var operation: String
    /// What went wrong, for a person.
    public var reason: String
    /// Whose fault it is.
    public var cause: Cause

    /// Whose fault a fault is.
    public enum Cause: Sendable, Equatable {
        /// The device's, or that of a row in its batch: it may go well on a device that was opened again.
        case device
        /// The model's: its file is damaged or lost, or it does not fit into what memory is free. Another model would run.
        case model
        /// The settings' and versions': it would go wrong in the same way on a device that was opened again.
        case settings
    }

    /// A fault of `operation` because of `reason`; of a model's fault, `reason` names the file.
    public init(operation: String, reason: String, cause: Cause = .device) {
        self.operation = operation
        self.reason = reason
        self.cause = cause
    }

    /// One line for a person.
    public var description: String {
        cause == .model ? "\(reason) (found in \(operation))" : "device fault in \(operation): \(reason)"
    }
}
