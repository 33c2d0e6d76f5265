// What hwloc says of machines that are described to it, and of this one.

import Foundation
import ModelFiles
import Platform
import Synchronization
import TestSupport
import Testing

@testable import HostDevice

@Suite struct HostTopologyTests {
    static let free = ProcessorAllowance(affinity: nil, quota: nil)

    /// Whichever: the host opens the same for all.
    private static func model() throws -> ModelConfig {
        try ModelBundle(path: Locations.golden("tiny/tiny-q4_0.gguf").path).config
    }

    @Test func countsWhatASyntheticMachineHas() throws {
        let topology = try HostTopology(synthetic: "pack:2 [numa] l3:1 core:4 pu:2", allowance: Self.free)
        #expect(topology.packageCount == 2)
        #expect(topology.memoryNodeCount == 2)
        #expect(topology.coreCount == 8)
        #expect(topology.processorCount == 16)
        #expect(topology.allowedCoreCount == 8)
        #expect(topology.allowedProcessorCount == 16)
        // Cores come before hyper-threads.
        #expect(topology.allowedProcessors == [0, 2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13, 15])
        #expect(topology.details.contains { $0.contains("packages: 2") })
    }

    @Test func quotaLimitsThreads() throws {
        let allowance = ProcessorAllowance(affinity: nil, quota: 3)
        let topology = try HostTopology(synthetic: "core:4 pu:2", allowance: allowance)
        #expect(topology.allowedCoreCount == 3)
        #expect(topology.allowedProcessorCount == 3)
        #expect(ProcessorAllowance.quota(cpuMax: "150000 100000\n") == 2)
        #expect(ProcessorAllowance.quota(cpuMax: "max 100000\n") == nil)
        #expect(ProcessorAllowance.quota(cpuMax: "-1 100000") == nil)
        #expect(ProcessorAllowance.quota(cpuMax: "") == nil)
    }

    @Test func nonsenseIsRefused() {
        #expect(throws: HostDeviceError.self) { try HostTopology(synthetic: "core:none") }
    }

    @Test func availableMemoryIsRead() {
        #expect(AvailableMemory.machine("MemTotal: 9 kB\nMemAvailable:   1024 kB\n") == 1 << 20)
        #expect(AvailableMemory.machine("MemTotal: 9 kB\n") == nil)
        #expect((AvailableMemory.forCache() ?? 0) > 0)
    }

    @Test func replicasShareWhatAllTheirWeightsLeave() {
        #expect(AvailableMemory.share(of: 900, atOpening: 1000, .only) == 900)
        let shares = zip([900, 800, 700], Replica.all(3)).map {
            AvailableMemory.share(of: $0, atOpening: $0 + 100, $1)
        }
        #expect(shares == [233, 233, 233])
        #expect(AvailableMemory.share(of: 300, atOpening: 1000, Replica(index: 0, of: 2)) == 0)
        // Another process has freed some memory.
        #expect(AvailableMemory.share(of: 1200, atOpening: 1000, Replica(index: 0, of: 2)) == 600)
    }

    /// The page cache counts as used and is given back when memory runs short.
    @Test func memoryOfCgroupsIsWhatTheLimitsLeave() throws {
        let folder = try TemporaryFolder()
        let root = folder.path
        func write(_ group: String, _ files: [String: String]) throws {
            for (name, text) in files { try folder.write("\(group)/\(name)", text) }
        }
        try write("a", ["memory.max": "max\n", "memory.current": "5\n"])
        try write(
            "a/b",
            [
                "memory.max": "1000\n", "memory.current": "900\n",
                "memory.stat": "anon 100\ninactive_file 500\nactive_file 200\n",
            ])
        try write(
            "memory/c",
            [
                "memory.limit_in_bytes": "3000\n", "memory.usage_in_bytes": "2500\n",
                "memory.stat": "inactive_file 1\ntotal_inactive_file 700\ntotal_active_file 300\n",
            ])
        #expect(AvailableMemory.groups("0::/a/b\n", root: root) == [800])
        #expect(AvailableMemory.groups("4:cpu:/c\n7:freezer,memory:/c\n0::/a\n", root: root) == [1500])
        #expect(AvailableMemory.groups("0::/\n", root: root).isEmpty)
        try write("full", ["memory.max": "100\n", "memory.current": "120\n"])
        #expect(AvailableMemory.groups("0::/full\n", root: root) == [0])
    }

    @Test func moreThreadsThanProcessorsAreLoweredWithAWarning() throws {
        var configuration = EngineConfiguration()
        configuration.threads = 4096
        configuration.bindThreads = true
        let device = try HostPlatform().openMeshDevice(
            configuration, for: try Self.model(), as: .only, user: DeviceUser())
        defer { device.close() }
        #expect(device.warnings.map(\.key) == ["threads"])
        configuration.threads = 1
        let small = try HostPlatform().openMeshDevice(
            configuration, for: try Self.model(), as: .only, user: DeviceUser())
        defer { small.close() }
        #expect(small.warnings.isEmpty)
    }

    @Test func bindingIsToOneProcessorOfThePool() throws {
        let topology = try HostTopology()
        let lists = Mutex<[String]>([])
        let pool = ThreadPool(threadCount: 3) { worker in
            let processors = topology.allowedProcessors
            topology.bindCurrentThread(to: CollectionOfOne(processors[worker % processors.count]))
            let status = (read("/proc/thread-self/status") ?? "").split(separator: "\n")
            let list = status.first { $0.hasPrefix("Cpus_allowed_list:") }?.split(separator: "\t").last
            lists.withLock { $0.append(list.map(String.init) ?? "unknown") }
        }
        pool.stop()
        let allowed = topology.allowedProcessors
        let expected = [1, 2].map { "\(allowed[$0 % allowed.count])" }
        #expect(lists.withLock { $0.sorted() } == expected.sorted())
    }

    @Test func theHostIsAlwaysThere() throws {
        let platform = HostPlatform()
        var configuration = EngineConfiguration()
        #expect(platform.discover(configuration).devices.count == 1)
        let device = try #require(
            try platform.openMeshDevice(configuration, for: try Self.model(), as: .only, user: DeviceUser())
                as? HostMeshDevice)
        #expect(device.platform.name == "host")
        #expect(device.meshShape.deviceCount == 1)
        #expect(device.models.architectures == ModelDescription.classes.map { "TT" + $0 }.sorted())
        #expect(device.summary.contains("thread"))
        device.close()
        device.close()
        configuration.meshDevice = .named(.n300)
        #expect(throws: ConfigurationError.self) {
            try platform.openMeshDevice(
                configuration, for: try Self.model(), as: .only, user: DeviceUser())
        }
    }
}
