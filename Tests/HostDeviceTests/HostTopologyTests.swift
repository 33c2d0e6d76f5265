// What hwloc says of machines that are described to it, and of this one.

import TTPlatform
import Testing

@testable import HostDevice

@Suite struct HostTopologyTests {
    static let free = ProcessorAllowance(affinity: nil, quota: nil)

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

    @Test func theHostIsAlwaysThere() throws {
        let platform = HostPlatform()
        #expect(platform.discover().devices.count == 1)
        let device = try platform.openMeshDevice(
            shape: MeshShape(rows: 1, columns: 1), configuration: EngineConfiguration())
        #expect(device.platformName == "host")
        #expect(device.meshShape.deviceCount == 1)
        #expect(device.models.architectures == ["TTLlamaForCausalLM"])
        #expect(device.summary.contains("thread"))
        device.close()
        device.close()
        #expect(throws: HostDeviceError.self) {
            try platform.openMeshDevice(
                shape: MeshShape(rows: 1, columns: 2), configuration: EngineConfiguration())
        }
    }
}
