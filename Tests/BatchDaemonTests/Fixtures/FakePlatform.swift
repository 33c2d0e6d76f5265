// A platform for the real daemon whose devices do what a test scripts.

import FakeModel
import ModelFiles
import Platform
import Synchronization

/// A step that a fake device is about to run.
struct DeviceStep {
    /// How many devices were opened before this one.
    var opening: Int
    /// Which replica it is.
    var replica: Int
    /// Steps that the device ran before.
    var number: Int
    /// The rows of a prefill step; none when it decodes.
    var prefilled: [[Int32]]
}

/// Opens fake devices that run the tiny model's file.
final class FakePlatform: DevicePlatform {
    typealias Script = @Sendable (DeviceStep) throws(DeviceFault) -> Void

    let traits = PlatformTraits.fake
    private let script: Script
    private let sharesPrefixes: Bool
    private let open: @Sendable (Replica) throws -> Void
    private let opened = Atomic(0)
    private let isBad = Mutex<@Sendable ([Int32]) -> Bool>({ _ in false })

    /// `script` is called before each step, and `open` before a device is opened; they may throw, or wait.
    init(
        sharesPrefixes: Bool = false, script: @escaping Script = { (_) throws(DeviceFault) in },
        open: @escaping @Sendable (Replica) throws -> Void = { _ in }
    ) {
        self.open = open
        self.sharesPrefixes = sharesPrefixes
        self.script = script
    }

    /// Devices opened so far.
    var openings: Int { opened.load(ordering: .acquiring) }

    /// Whether a prefilled row gets something that is no token; asked once for each row of a prefill step.
    var badPrompt: @Sendable ([Int32]) -> Bool {
        get { isBad.withLock(\.self) }
        set { isBad.withLock { $0 = newValue } }
    }

    func discover(_ configuration: EngineConfiguration) -> PlatformDiscovery {
        .found([DiscoveredDevice(name: "0", summary: "fake")])
    }

    func openMeshDevice(
        _ configuration: EngineConfiguration, for model: ModelConfig, as replica: Replica, user: DeviceUser
    ) throws -> any MeshDevice {
        try open(replica)
        let opening = opened.add(1, ordering: .acquiringAndReleasing).oldValue
        let capabilities = ModelCapabilities(
            supportsSampleOnDevice: true, deviceDraws: .sampleStream, prefixSharing: sharesPrefixes ? .anywhere : .none)
        return FakeMeshDevice(capabilities: capabilities, language: TinyModel.language) { [script, weak self] model in
            model.beforeStep = { [unowned model] number throws(DeviceFault) in
                var prefilled: [[Int32]] = []
                if case .prefill(let batch)? = model.calls.last { prefilled = batch.tokens }
                try script(
                    DeviceStep(opening: opening, replica: replica.index, number: number, prefilled: prefilled))
            }
            model.badPrefill = { [weak self] row in self?.badPrompt(row) ?? false }
        }
    }
}
