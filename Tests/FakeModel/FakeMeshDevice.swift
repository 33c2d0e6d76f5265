// A device for tests whose only model is the fake one.

public import Platform

/// A device that makes `FakeTTModel`s.
public final class FakeMeshDevice: MeshDevice {
    /// `fake`; every setting means something.
    public let platform = PlatformTraits.fake
    /// One chip.
    public let meshShape = MeshShape(rows: 1, columns: 1)
    /// One line of description.
    public let summary = "fake device"
    /// Has `TTLlamaForCausalLM`.
    public let models: ModelRegistry<FakeMeshDevice>
    /// What the device claims to have free for the KV cache.
    public var availableKVCacheBytes: Int?
    /// Settings that the device claims not to have applied.
    public var warnings: [ConfigurationWarning] = []
    /// The model that was made last.
    public private(set) weak var model: FakeTTModel?
    /// What happened to the device, for tests of the order of closing.
    public private(set) var events: [String] = []

    /// A device whose models have `capabilities` and speak `language`; each is given to `prepare` before it is used.
    public init(
        capabilities: ModelCapabilities = ModelCapabilities(
            supportsSampleOnDevice: true, deviceDraws: .sampleStream),
        language: FakeLanguage = FakeLanguage(), prepare: @escaping @Sendable (FakeTTModel) -> Void = { _ in }
    ) {
        var registry = ModelRegistry<FakeMeshDevice>()
        registry.register("TTLlamaForCausalLM") { initialization, device in
            let model = FakeTTModel(initialization, capabilities: capabilities, language: language)
            device.model = model
            prepare(model)
            return model
        }
        models = registry
    }

    /// Records whether the model was gone by then.
    public func close() {
        events.append(model == nil ? "closed after the model" : "closed before the model")
    }
}

extension PlatformTraits {
    /// A device of chips whose model decides for itself.
    public static let fake = PlatformTraits(
        name: "fake", hasChips: true, computesOnProcessors: false, choosesKVCacheDType: false)
}

extension DeviceFault {
    /// A fault for scripts.
    public static let scripted = DeviceFault(operation: "step", reason: "scripted")
}
