// Errors of platforms, with their causes.

/// An error that a platform throws while a device is opened or a model is loaded.
public protocol PlatformError: Error, CustomStringConvertible {
    /// What caused it; nil if neither a retry nor another model would help.
    var cause: DeviceFault.Cause? { get }
}
