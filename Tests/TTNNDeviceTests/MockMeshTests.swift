// The device's life with the real ttnn on mock clusters: everything that needs no kernel.

import FakeModel
import Foundation
import ModelFiles
import Platform
import Sampling
import Synchronization
import TestSupport
import Testing

@testable import TTNNDevice
@testable import TTNNSettings

/// The interpreter of an environment that has ttnn; `etc/test-ttnn` makes one.
private let interpreter = ProcessInfo.processInfo.environment["TTBATCH_TEST_TTNN_PYTHON"]

@Suite("Mock meshes", .enabled(if: interpreter != nil), .serialized)
struct MockMeshTests {
    private static let clusters = Locations.repository.appending(path: "Tests/MockMesh")
    private let lines = Lines()

    /// What the bridge and ttnn said.
    private final class Lines: Sendable {
        let all = Mutex<[String]>([])
    }

    private func open(
        _ cluster: String, _ variables: [String: String] = [:], chips: String? = nil,
        _ change: (inout EngineConfiguration) -> Void = { _ in }
    ) throws -> TTNNMeshDevice {
        var configuration = EngineConfiguration()
        change(&configuration)
        var settings = BridgeConfiguration()
        settings.python = interpreter ?? ""
        settings.modelClass = "mock_mesh_model:MockMeshModel"
        settings.stopGrace = 20
        settings.visibleDevices = chips
        var environment = ProcessInfo.processInfo.environment
        environment["TT_METAL_MOCK_CLUSTER_DESC_PATH"] = Self.clusters.appending(path: cluster + ".yaml").path
        environment["PYTHONPATH"] = Self.clusters.path
        environment["PYTHONDONTWRITEBYTECODE"] = "1"
        environment.merge(variables) { $1 }
        let user = DeviceUser(log: { [lines] level, line in lines.all.withLock { $0.append("\(level): \(line)") } })
        let device = try TTNNPlatform(settings, environment: environment).openMeshDevice(
            configuration, for: FakeMeshDevice.modelConfig(), as: .only, user: user)
        return try #require(device as? TTNNMeshDevice)
    }

    /// A model with Llama-3.1-8B's KV cache.
    private func model(on device: TTNNMeshDevice, rows: Int = 32, longest: Int = 2048) throws -> any TTModel {
        var config = try FakeMeshDevice.modelConfig()
        (config.layerCount, config.attentionHeadCount, config.keyValueHeadCount, config.headSize) = (32, 32, 8, 128)
        let factory = try #require(device.models["TTLlamaForCausalLM"])
        return try factory(
            ModelInitialization(
                config: config, maxBatchSize: rows, maxSequenceLength: longest, optimizations: .performance), device)
    }

    private var log: String { lines.all.withLock { $0.joined(separator: "\n") } }

    @Test func oneWormholeChipOpensClosesAndOpensAgain() throws {
        for _ in 0..<2 {
            let device = try open("wh_n150")
            #expect(device.meshShape.deviceCount == 1 && device.chipArchitecture == .wormhole)
            #expect(device.summary.hasPrefix("N150 (wormhole_b0), mesh (1, 1)"))
            device.close()
            device.close()
        }
        #expect(!log.contains("did not end in order"), "\(log)")
    }

    @Test func oneBlackholeChipOpens() throws {
        let device = try open("bh_p150")
        defer { device.close() }
        #expect(device.chipArchitecture == .blackhole && device.summary.hasPrefix("P150"))
        let error = #expect(throws: ConfigurationError.self) { try open("bh_p150") { $0.tt = dispatching(from: .row) } }
        #expect(error?.description.contains("Blackhole") == true)
    }

    private func dispatching(from axis: DispatchCoreAxis) -> TTConfig {
        var tt = TTConfig()
        tt.dispatchCoreAxis = axis
        return tt
    }

    @Test func dispatchCoresMayBeChosen() throws {
        for axis in DispatchCoreAxis.allCases {
            try open("wh_n150") { $0.tt = dispatching(from: axis) }.close()
        }
    }

    /// Blocks by the contract's rule for 32,768 and 65,536 tokens, with Llama-3.1-8B's heads and layers in bfloat8_b; tokens,
    /// page tables and outputs go up and down.
    @Test(arguments: [544, 1056])
    func theCacheIsAllocatedAndStepsMoveTensors(blocks: Int) throws {
        let device = try open("wh_n150")
        defer { device.close() }
        let model = try model(on: device)
        try model.allocateKVCache(KVCacheShape(blockCount: blocks, blockSize: 64))
        let table = PageTable(rows: 2, width: 32)
        let prefill = try model.prefillForward(
            PrefillBatch(
                tokens: [[1, 2, 3], [4]], startPositions: [0, 0], pageTable: table, slots: [0, 1],
                sampling: [.onHost, .onHost]))
        #expect(prefill.rows == Array(repeating: .logits(Array(repeating: 0, count: 61)), count: 2))
        for step in 0..<3 {
            let positions = (0..<32).map { Int32($0 < 2 ? 3 + step : -1) }
            try model.decodeForward(
                DecodeBatch(
                    tokens: Array(repeating: 0, count: 32), positions: positions,
                    pageTable: PageTable(rows: 32, width: 32),
                    sampling: Array(repeating: .onDevice(.greedy), count: 32)),
                plan: step == 0
                    ? .reloadEverything
                    : DecodePlan(inputs: .keep, reloadSamplingParams: false, resetSamplingState: false))
            #expect(try model.readDecodeOutput().rows.prefix(3) == [.token(0), .token(0), .padding])
        }
    }

    @Test func aCacheThatDoesNotFitNamesTheSizes() throws {
        let device = try open("wh_n150")
        defer { device.close() }
        let model = try model(on: device)
        let fault = #expect(throws: DeviceFault.self) {
            try model.allocateKVCache(KVCacheShape(blockCount: 4160, blockSize: 64))
        }
        #expect(fault?.cause == .settings)
        for words in [
            "4160 blocks of 64 tokens", "32 layers of 8 heads of 128", "Out of Memory", "num_blocks_override",
        ] {
            #expect(fault?.description.contains(words) == true, "\(String(describing: fault))")
        }
    }

    @Test func twoChipsOpenWithoutAFabric() throws {
        let device = try open("wh_n300") { $0.tt.fabricConfig = .disabled }
        #expect(device.meshShape.deviceCount == 2)
        device.close()
        let two = try open("wh_n300") {
            $0.tt.fabricConfig = .disabled
            $0.tt.numCommandQueues = 2
        }
        two.close()
    }

    /// There is no compiler here, so the fabric's kernel cannot be built.
    @Test func aFabricThatCannotBeBuiltIsAnErrorThatSaysSo() throws {
        let error = #expect(throws: TTNNError.self) { try open("wh_n300") }
        #expect(error?.description.contains("a mesh of (1, 2) cannot be opened with the fabric FABRIC_1D") == true)
        #expect(error?.description.contains("tt.fabric_config: DISABLED") == true)
        // Nothing is left behind: the next one opens.
        try open("wh_n300") { $0.tt.fabricConfig = .disabled }.close()
    }

    @Test func chipsThatAreNotConnectedAreNoMesh() throws {
        let error = #expect(throws: TTNNError.self) {
            try open("wh_n150x4") {
                $0.meshDevice = .named(.n150x4)
                $0.tt.fabricConfig = .disabled
            }
        }
        #expect(
            error?.description.contains("only 1 devices are available in the system mesh") == true,
            "\(String(describing: error))")
        #expect(error?.description.contains("bridge.visible_devices") == true)
        let one = try open("wh_n150x4", chips: "2")
        #expect(one.meshShape.deviceCount == 1)
        one.close()
        let named = try open("wh_n150x4", ["MESH_DEVICE": "N150", "TT_VISIBLE_DEVICES": "1"])
        #expect(named.meshShape.deviceCount == 1)
        named.close()
    }
}
