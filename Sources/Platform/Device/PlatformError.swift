// Errors of platforms, which tell whose fault they are.

/// An error that a platform throws while a device is opened or a model is loaded.
public protocol PlatformError: Error, CustomStringConvertible {
    /// Whose fault it is; nil where neither another try nor another model would help.
    var cause: DeviceFault.Cause? { get }
}
