// The differences between platforms that the common rules need to know.

/// A platform's name, and which settings apply to it.
public struct PlatformTraits: Sendable, Equatable {
    /// The name that `device:` selects it by, for example `host`.
    public var name: String
    /// Whether it has chips that are opened as a mesh: the hardware keys of the `tt:` section apply.
    public var hasChips: Bool
    /// Whether this machine's processors compute: `threads` and `bind_threads` apply.
    public var computesOnProcessors: Bool
    /// Whether `kv_cache_dtype` applies; if not, the model's class decides.
    public var choosesKVCacheDType: Bool

    /// The traits of the platform called `name`.
    public init(name: String, hasChips: Bool, computesOnProcessors: Bool, choosesKVCacheDType: Bool) {
        self.name = name
        self.hasChips = hasChips
        self.computesOnProcessors = computesOnProcessors
        self.choosesKVCacheDType = choosesKVCacheDType
    }
}
