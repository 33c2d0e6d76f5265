// What tells platforms apart for the rules that hold on all of them.

/// A platform's name, and which settings mean something there.
public struct PlatformTraits: Sendable, Equatable {
    /// The name that `device:` selects it by, for example `host`.
    public var name: String
    /// It has chips that are opened as a mesh: the hardware keys of the `tt:` section hold.
    public var hasChips: Bool
    /// This machine's processors compute: `threads` and `bind_threads` hold.
    public var computesOnProcessors: Bool
    /// `kv_cache_dtype` holds; elsewhere the model's class decides.
    public var choosesKVCacheDType: Bool

    /// The traits of the platform called `name`.
    public init(name: String, hasChips: Bool, computesOnProcessors: Bool, choosesKVCacheDType: Bool) {
        self.name = name
        self.hasChips = hasChips
        self.computesOnProcessors = computesOnProcessors
        self.choosesKVCacheDType = choosesKVCacheDType
    }
}
