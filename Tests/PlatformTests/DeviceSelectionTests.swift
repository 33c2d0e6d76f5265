// Choosing a platform and a mesh, and the fabric that belongs to it.

import FakeModel
import ModelFiles
import Platform
import Synchronization
import Testing

struct DeviceSelectionTests {
    let catalogue = PlatformCatalogue([
        StubPlatform(name: "ttnn", discovery: .absent(reason: "no board")),
        StubPlatform(name: "host", discovery: .found([DiscoveredDevice(name: "0", summary: "a processor")])),
    ])

    @Test func autoTakesTheFirstPlatformWithADevice() throws {
        #expect(try catalogue.choose(device("auto")).name == "host")
        #expect(try catalogue.choose(device("host")).name == "host")
    }

    /// A card that cannot be used does not stop the CPU, but is spoken of.
    @Test func autoTellsWhatItPassesOver() throws {
        let card = DiscoveredDevice(name: "0", summary: "a card")
        let catalogue = PlatformCatalogue([
            StubPlatform(name: "ttnn", discovery: .unusable([card], reason: "no driver")),
            StubPlatform(name: "host", discovery: .found([DiscoveredDevice(name: "0", summary: "a processor")])),
        ])
        let told = Mutex<[String]>([])
        let chosen = try catalogue.choose(device("auto")) { _, line in told.withLock { $0.append(line) } }
        #expect(chosen.name == "host")
        #expect(told.withLock { $0 } == ["ttnn is passed over: no driver"])
        #expect(throws: ConfigurationError.noDevice(reasons: ["ttnn: no driver"])) {
            try catalogue.choose(device("ttnn"))
        }
    }

    private func device(_ name: String) -> EngineConfiguration {
        var configuration = EngineConfiguration()
        configuration.device = name
        return configuration
    }

    @Test func whatCannotBeChosenSaysWhy() {
        #expect(throws: ConfigurationError.unknownDevice("gpu", known: ["ttnn", "host", "auto"])) {
            try catalogue.choose(device("gpu"))
        }
        #expect(throws: ConfigurationError.noDevice(reasons: ["ttnn: no board"])) {
            try catalogue.choose(device("ttnn"))
        }
        #expect(throws: ConfigurationError.noDevice(reasons: [])) { try PlatformCatalogue([]).choose(device("auto")) }
    }

    @Test(arguments: [
        ("N150", 1, 1), ("P100", 1, 1), ("P150", 1, 1), ("N300", 1, 2), ("P300", 1, 2), ("P150x2", 1, 2),
        ("N150x4", 1, 4), ("P150x4", 1, 4), ("P300x2", 1, 4), ("T3K", 1, 8), ("P150x8", 1, 8), ("TG", 8, 4),
        ("BH-Galaxy", 8, 4), ("(2,4)", 2, 4), ("( 4, 2 )", 4, 2),
    ])
    func meshNamesAndTuplesHaveTheirGrids(text: String, rows: Int, columns: Int) throws {
        #expect(try MeshSelection(parsing: .string(text)).shape == MeshShape(rows: rows, columns: columns))
    }

    @Test func listsAreGridsToo() throws {
        #expect(try MeshSelection(parsing: .list([.integer(2), .integer(4)])).shape == MeshShape(rows: 2, columns: 4))
    }

    @Test(arguments: [
        ConfigurationValue.string("N151"), .string("(2,)"), .string("(2,4,1)"), .string("(0,1)"), .string("2,4"),
        .list([.integer(2)]), .list([.integer(2), .string("4")]), .integer(8), .null,
    ])
    func otherMeshesAreRefusedWithTheKnownNames(value: ConfigurationValue) {
        let error = #expect(throws: ConfigurationError.self) { try MeshSelection(parsing: value) }
        #expect(error?.description.contains("P150x8") == true)
    }

    @Test func aMeshLargerThanWhatIsThereIsRefused() throws {
        #expect(try MeshSelection.resolve(nil, availableDevices: 4) == MeshShape(rows: 1, columns: 4))
        #expect(try MeshSelection.resolve(.named(.t3k), availableDevices: 8).deviceCount == 8)
        let error = #expect(throws: ConfigurationError.self) {
            try MeshSelection.resolve(.named(.t3k), availableDevices: 4)
        }
        #expect(error?.description.hasPrefix("the mesh (1, 8) needs 8 devices and 4 are available") == true)
    }

    @Test func theFabricFollowsTheMesh() {
        let galaxy = MeshName.galaxy.shape
        #expect(FabricConfig.resolve(.grid, shape: MeshName.n150.shape, architecture: .wormhole) == nil)
        #expect(FabricConfig.resolve(nil, shape: MeshName.t3k.shape, architecture: .wormhole) == .line)
        #expect(FabricConfig.resolve(.grid, shape: MeshName.t3k.shape, architecture: .wormhole) == .grid)
        #expect(FabricConfig.resolve(nil, shape: galaxy, architecture: .wormhole) == .ring)
        #expect(FabricConfig.resolve(nil, shape: galaxy, architecture: .blackhole) == .torusXY)
    }

    @Test func blackholeDoesNotDispatchFromARow() throws {
        #expect(try DispatchCoreAxis.check(.row, architecture: .wormhole) == .row)
        #expect(try DispatchCoreAxis.check(.col, architecture: .blackhole) == .col)
        #expect(throws: ConfigurationError.self) { try DispatchCoreAxis.check(.row, architecture: .blackhole) }
    }
}

private struct StubPlatform: DevicePlatform {
    let name: String
    let discovery: PlatformDiscovery
    var traits: PlatformTraits {
        PlatformTraits(name: name, hasChips: false, computesOnProcessors: true, choosesKVCacheDType: true)
    }

    func discover(_ configuration: EngineConfiguration) -> PlatformDiscovery { discovery }

    func openMeshDevice(
        _ configuration: EngineConfiguration, for model: ModelConfig, as replica: Replica, user: DeviceUser
    ) throws -> any MeshDevice {
        FakeMeshDevice()
    }
}
