// Processors divided between replicas, on machines that are described to hwloc, and on this one.

import Foundation
import Platform
import Synchronization
import TestSupport
import Testing

@testable import HostDevice

@Suite struct ProcessorGroupTests {
    private func groups(
        _ machine: String, _ count: Int, quota: Int? = nil
    ) throws -> [ProcessorGroup] {
        try HostTopology(synthetic: machine, allowance: ProcessorAllowance(affinity: nil, quota: quota)).groups(count)
    }

    @Test func aGroupHasWholeCoresOfOnePackage() throws {
        let machine = "pack:2 [numa] l3:1 core:4 pu:2"
        // One processor of each core comes before its other hyper-thread.
        #expect(
            try groups(machine, 2).map(\.processors) == [[0, 2, 4, 6, 1, 3, 5, 7], [8, 10, 12, 14, 9, 11, 13, 15]])
        #expect(
            try groups(machine, 4).map(\.processors) == [
                [0, 2, 1, 3], [4, 6, 5, 7], [8, 10, 9, 11], [12, 14, 13, 15],
            ])
        #expect(try groups(machine, 8).map(\.processors) == (0..<8).map { [2 * $0, 2 * $0 + 1] })
        #expect(try groups(machine, 2).map(\.coreCount) == [4, 4])
        #expect(try groups(machine, 2).map(\.threadLimit) == [8, 8])
        #expect(try groups(machine, 2)[1].description == "processors 8-15")
    }

    /// Whatever the machine and the number: every processor belongs to one group. Groups do not cross packages where there
    /// is one at least for each, and the sizes of a package's groups differ by one core at most.
    @Test(arguments: [
        ("pack:2 [numa] core:3 pu:2", 6), ("core:7 pu:1", 7), ("pack:3 [numa] core:5 pu:1", 5),
        ("pack:1 core:1 pu:2", 2),
    ])
    func everyProcessorIsInOneGroup(machine: String, processorsOfPackage: Int) throws {
        let whole = try groups(machine, 1)[0]
        let packages = whole.processors.count / processorsOfPackage
        for count in 1...whole.coreCount {
            let groups = try groups(machine, count)
            #expect(groups.count == count)
            #expect(groups.flatMap(\.processors).sorted() == whole.processors.sorted(), "\(count)")
            guard count >= packages else { continue }
            var sizes: [Int: [Int]] = [:]
            for group in groups {
                let places = Set(group.processors.map { $0 / processorsOfPackage })
                #expect(places.count == 1, "\(count): \(group)")
                sizes[places.first!, default: []].append(group.coreCount)
            }
            #expect(sizes.values.allSatisfy { $0.min()! >= 1 && $0.max()! - $0.min()! <= 1 }, "\(count): \(sizes)")
        }
    }

    @Test func theQuotaIsDividedToo() throws {
        let groups = try groups("core:8 pu:2", 2, quota: 5)
        #expect(groups.map(\.coreCount) == [3, 2])
        #expect(groups.map(\.threadLimit) == [3, 2])
    }

    @Test func moreReplicasThanCoresAreRefused() throws {
        #expect(throws: HostDeviceError.tooManyReplicas(5, cores: 4)) { try groups("core:4 pu:2", 5) }
        #expect(throws: HostDeviceError.tooManyReplicas(4, cores: 3)) { try groups("core:4 pu:2", 4, quota: 3) }
        var configuration = EngineConfiguration()
        configuration.dataParallelSize = 1000
        let reason = try #require(HostPlatform().discover(configuration).reason)
        #expect(reason.contains("1000") && reason.contains("core"), "\(reason)")
    }

    /// On this machine: the calling thread and those of the pool stay on the replica's processors.
    @Test func threadsStayOnTheGroup() throws {
        let topology = try HostTopology()
        guard topology.allowedCoreCount >= 2 else { return }
        let group = try topology.groups(2)[1]
        let found = Mutex<Set<String>>([])
        let ended = onThread {
            guard let device = try? HostMeshDevice(threads: 4096, replica: Replica(index: 1, of: 2)) else { return }
            device.pool.forEach(64) { _, _ in
                let status = (read("/proc/thread-self/status") ?? "").split(separator: "\n")
                let list = status.first { $0.hasPrefix("Cpus_allowed_list:") }?.split(separator: "\t").last
                found.withLock { _ = $0.insert(list.map(String.init) ?? "unknown") }
            }
            found.withLock { _ = $0.insert("threads: \(device.pool.threadCount)") }
            device.close()
        }
        ended.wait()
        let list = group.description.split(separator: " ").last.map(String.init) ?? ""
        #expect(found.withLock { $0 } == [list, "threads: \(group.threadLimit)"])
    }
}
