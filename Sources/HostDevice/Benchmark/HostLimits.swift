// The most that the threads, the kernels' instructions and the memory can do, measured.

import CHostKernels

/// What steps are measured against.
public struct HostLimits: Sendable, Equatable {
    /// What some threads reach together; a multiply-add is two operations.
    public struct Rates: Sendable, Equatable {
        /// Threads that shared the work.
        public let threads: Int
        /// Operations a second of products with int8 activations, in registers.
        public let int8OperationsPerSecond: Double
        /// Operations a second of products with float activations, in registers.
        public let floatOperationsPerSecond: Double
        /// Bytes a second read from memory in their order.
        public let readBytesPerSecond: Double

        fileprivate func best(_ other: Rates) -> Rates {
            Rates(
                threads: threads,
                int8OperationsPerSecond: max(int8OperationsPerSecond, other.int8OperationsPerSecond),
                floatOperationsPerSecond: max(floatOperationsPerSecond, other.floatOperationsPerSecond),
                readBytesPerSecond: max(readBytesPerSecond, other.readBytesPerSecond))
        }
    }

    /// One thread alone.
    public let oneThread: Rates
    /// All threads of the device.
    public let allThreads: Rates
    /// Bytes of the buffer that was read.
    public let bufferBytes: Int

    /// Measures for a second or two; the best of some repeats counts.
    ///
    /// - Throws: `HostDeviceError.outOfMemory`.
    public init(of device: HostMeshDevice) throws(HostDeviceError) { self = try LimitMeasurement(of: device).measure() }

    fileprivate init(oneThread: Rates, allThreads: Rates, bufferBytes: Int) {
        self.oneThread = oneThread
        self.allThreads = allThreads
        self.bufferBytes = bufferBytes
    }

    /// The best of two measurements of one device.
    func best(_ other: HostLimits) -> HostLimits {
        HostLimits(
            oneThread: oneThread.best(other.oneThread), allThreads: allThreads.best(other.allThreads),
            bufferBytes: bufferBytes)
    }
}

/// Measures a device's limits any number of times on one buffer, whose first touch takes longer than the reads.
struct LimitMeasurement {
    private static let repeats = 7
    /// Far beyond the caches of today's processors, where there is as much memory.
    private static let mostBufferBytes = 512 << 20

    private let device: HostMeshDevice
    private let buffer: DeviceBuffer<UInt32>

    /// - Throws: `HostDeviceError.outOfMemory`.
    init(of device: HostMeshDevice) throws(HostDeviceError) {
        self.device = device
        let available = AvailableMemory.forCache() ?? Self.mostBufferBytes
        let megabytes = max(8, min(Self.mostBufferBytes, available / 2) >> 20)
        let buffer = try DeviceBuffer<UInt32>(count: megabytes << 18)
        device.pool.forEach(megabytes) { _, part in
            (buffer.base + part.lowerBound << 18).update(repeating: 1, count: part.count << 18)
        }
        self.buffer = buffer
    }

    func measure() -> HostLimits {
        let oneThread = rates(ThreadPool(threadCount: 1))
        return HostLimits(
            oneThread: oneThread, allThreads: device.pool.threadCount == 1 ? oneThread : rates(device.pool),
            bufferBytes: 4 * buffer.count)
    }

    private func rates(_ pool: ThreadPool) -> HostLimits.Rates {
        let kernels = device.kernels
        return HostLimits.Rates(
            threads: pool.threadCount,
            int8OperationsPerSecond: operations(pool, kernels.table.peak_dot),
            floatOperationsPerSecond: operations(pool, kernels.table.peak_fma),
            readBytesPerSecond: reads(pool))
    }

    private func operations(_ pool: ThreadPool, _ run: (_ iterations: Int) -> UInt64) -> Double {
        // A share is long beside what waking a thread takes.
        var iterations = 1 << 10
        while iterations < 1 << 24, seconds({ _ = run(iterations) }) < 0.005 { iterations *= 2 }
        var shares = [UInt64](repeating: 0, count: pool.threadCount * 4)
        return shares.withUnsafeMutableBufferPointer { shares in
            (0..<Self.repeats).map { _ in
                let time = seconds {
                    pool.forEach(shares.count) { _, part in for share in part { shares[share] = run(iterations) } }
                }
                return 2 * Double(shares.reduce(0, +)) / time
            }.max()!
        }
    }

    private func reads(_ pool: ThreadPool) -> Double {
        let kernels = device.kernels
        let pieces = buffer.count >> 18
        var sums = [UInt32](repeating: 0, count: pieces)
        return sums.withUnsafeMutableBufferPointer { sums in
            (0..<Self.repeats).map { _ in
                let time = seconds {
                    pool.forEach(pieces) { _, part in
                        let first = buffer.base + part.lowerBound << 18
                        sums[part.lowerBound] = kernels.table.read_all(first, part.count << 18)
                    }
                }
                // Each word is 1: all were read.
                precondition(sums.reduce(0, &+) == UInt32(buffer.count))
                return Double(4 * buffer.count) / time
            }.max()!
        }
    }
}

/// Wall-clock seconds that `body` takes.
func seconds<Failure: Error>(_ body: () throws(Failure) -> Void) throws(Failure) -> Double {
    let began = ContinuousClock.now
    try body()
    return (ContinuousClock.now - began) / .seconds(1)
}
