// The measured peak rates of the threads, the kernels' instructions and the memory.

import CHostKernels

/// The peak rates that steps are compared with.
public struct HostLimits: Sendable, Equatable {
    /// The peak rates of some threads together; a multiply-add is two operations.
    public struct Rates: Sendable, Equatable {
        /// Threads that shared the work.
        public let threads: Int
        /// Operations per second of products with int8 activations, in registers.
        public let int8OperationsPerSecond: Double
        /// Operations per second of products with float activations, in registers.
        public let floatOperationsPerSecond: Double
        /// Bytes per second read sequentially from memory.
        public let readBytesPerSecond: Double
    }

    /// One thread alone.
    public let oneThread: Rates
    /// All threads of the device.
    public let allThreads: Rates

    fileprivate init(oneThread: Rates, allThreads: Rates) {
        self.oneThread = oneThread
        self.allThreads = allThreads
    }

    /// Measures `rounds` times, at least once, and takes the median of each rate.
    ///
    /// - Throws: `HostDeviceError.outOfMemory`.
    public init(of device: HostMeshDevice, rounds: Int) throws(HostDeviceError) {
        let measurement = try LimitMeasurement(of: device)
        for _ in 0..<rounds { measurement.measure() }
        self = measurement.medians
    }
}

/// Measures a device's limits repeatedly.
struct LimitMeasurement {
    private let oneThread: RateMeasurement
    private let allThreads: RateMeasurement

    /// - Throws: `HostDeviceError.outOfMemory`.
    init(of device: HostMeshDevice) throws(HostDeviceError) {
        let buffer = try ReadBuffer(device.pool)
        oneThread = RateMeasurement(ThreadPool(threadCount: 1), device.kernels, buffer)
        allThreads =
            device.pool.threadCount > 1 ? RateMeasurement(device.pool, device.kernels, buffer) : oneThread
    }

    /// The median of each rate; each must have been measured at least once.
    var medians: HostLimits { HostLimits(oneThread: oneThread.medians, allThreads: allThreads.medians) }

    /// Measures each rate once more.
    func measure() {
        oneThread.measure()
        if allThreads !== oneThread { allThreads.measure() }
    }

    /// Drops all measurements.
    func forget() {
        oneThread.forget()
        allThreads.forget()
    }
}

/// The memory to read: far larger than the caches of today's processors, if the machine has as much.
private struct ReadBuffer {
    private static let mostBytes = 512 << 20
    /// Words that a thread reads at a time: a megabyte.
    static let pieceWords = 1 << 18

    let words: DeviceBuffer<UInt32>
    var pieces: Int { words.count / Self.pieceWords }

    /// - Throws: `HostDeviceError.outOfMemory`.
    init(_ pool: ThreadPool) throws(HostDeviceError) {
        let available = AvailableMemory.forCache() ?? Self.mostBytes
        let pieces = max(8, min(Self.mostBytes, available / 2) >> 20)
        let words = try DeviceBuffer<UInt32>(count: pieces * Self.pieceWords)
        pool.forEach(pieces) { _, part in
            (words.base + part.lowerBound * Self.pieceWords).update(repeating: 1, count: part.count * Self.pieceWords)
        }
        self.words = words
    }
}

/// Measures the rates of one pool's threads.
private final class RateMeasurement {
    /// Shares of each thread; each takes long compared with waking a thread and is short compared with the measurement.
    private static let shares = 16
    private static let shareSeconds = 0.001

    private let pool: ThreadPool
    private let kernels: KernelSet
    private let buffer: ReadBuffer
    /// Iterations of a share.
    private let (dotIterations, fmaIterations): (Int, Int)
    private var (dots, fmas, reads): ([Double], [Double], [Double]) = ([], [], [])

    init(_ pool: ThreadPool, _ kernels: KernelSet, _ buffer: ReadBuffer) {
        self.pool = pool
        self.kernels = kernels
        self.buffer = buffer
        dotIterations = Self.iterations(kernels.table.peak_dot)
        fmaIterations = Self.iterations(kernels.table.peak_fma)
    }

    var medians: HostLimits.Rates {
        HostLimits.Rates(
            threads: pool.threadCount, int8OperationsPerSecond: median(dots), floatOperationsPerSecond: median(fmas),
            readBytesPerSecond: median(reads))
    }

    func forget() { (dots, fmas, reads) = ([], [], []) }

    func measure() {
        dots.append(operations(dotIterations, kernels.table.peak_dot))
        fmas.append(operations(fmaIterations, kernels.table.peak_fma))
        reads.append(bytes())
    }

    private static func iterations(_ run: (_ iterations: Int) -> UInt64) -> Int {
        var iterations = 1 << 10
        while iterations < 1 << 24, seconds({ _ = run(iterations) }) < shareSeconds { iterations *= 2 }
        return iterations
    }

    private func operations(_ iterations: Int, _ run: (_ iterations: Int) -> UInt64) -> Double {
        var shares = [UInt64](repeating: 0, count: pool.threadCount * Self.shares)
        return shares.withUnsafeMutableBufferPointer { shares in
            let time = seconds {
                pool.forEach(shares.count) { _, part in for share in part { shares[share] = run(iterations) } }
            }
            return 2 * Double(shares.reduce(0, +)) / time
        }
    }

    private func bytes() -> Double {
        let (words, pieceWords) = (buffer.words, ReadBuffer.pieceWords)
        var sums = [UInt32](repeating: 0, count: buffer.pieces)
        return sums.withUnsafeMutableBufferPointer { sums in
            let time = seconds {
                pool.forEach(sums.count) { _, part in
                    let first = words.base + part.lowerBound * pieceWords
                    sums[part.lowerBound] = kernels.table.read_all(first, part.count * pieceWords)
                }
            }
            // Each word is 1, so the sum shows that all were read.
            precondition(sums.reduce(0, &+) == UInt32(words.count))
            return Double(4 * words.count) / time
        }
    }
}

private func median(_ numbers: [Double]) -> Double { numbers.sorted()[numbers.count / 2] }

/// Wall-clock seconds that `body` takes.
func seconds<Failure: Error>(_ body: () throws(Failure) -> Void) throws(Failure) -> Double {
    let began = ContinuousClock.now
    try body()
    return (ContinuousClock.now - began) / .seconds(1)
}
