// What is counted, one object for each set of labels. All of it is atomic, since engines count between their steps and must
// not wait for a scrape.

import CoreMetrics
import Synchronization

/// A number that only grows.
final class CounterSeries: CounterHandler {
    private let count = Atomic<Int64>(0)

    func increment(by amount: Int64) { count.wrappingAdd(amount, ordering: .relaxed) }

    func reset() { count.store(0, ordering: .relaxed) }

    var value: MetricValue { .number(Double(count.load(ordering: .relaxed))) }
}

/// A state.
final class GaugeSeries: MeterHandler, RecorderHandler {
    private let state = AtomicDouble()

    func set(_ value: Int64) { state.set(Double(value)) }
    func set(_ value: Double) { state.set(value) }
    func increment(by amount: Double) { state.add(amount) }
    func decrement(by amount: Double) { state.add(-amount) }
    func record(_ value: Int64) { state.set(Double(value)) }
    func record(_ value: Double) { state.set(value) }

    var value: MetricValue { .number(state.value) }
}

/// How many values were up to each bound.
final class HistogramSeries: RecorderHandler, TimerHandler {
    private let bounds: [Double]
    private let counts: [AtomicCount]
    private let sum = AtomicDouble()

    /// - Parameter bounds: grow; values above the last one are counted too.
    init(bounds: [Double]) {
        self.bounds = bounds
        counts = (0...bounds.count).map { _ in AtomicCount() }
    }

    func record(_ value: Int64) { record(Double(value)) }

    func record(_ value: Double) {
        // A value that is no number would spoil the sum for ever.
        guard value.isFinite else { return }
        counts[place(of: value)].count.wrappingAdd(1, ordering: .relaxed)
        sum.add(value)
    }

    func recordNanoseconds(_ duration: Int64) { record(Double(duration) / 1e9) }

    var value: MetricValue {
        .histogram(bounds: bounds, counts: counts.map { $0.count.load(ordering: .relaxed) }, sum: sum.value)
    }

    /// The first bucket whose bound is not below `value`.
    private func place(of value: Double) -> Int {
        var (low, high) = (0, bounds.count)
        while low < high {
            let middle = (low + high) / 2
            if bounds[middle] < value { low = middle + 1 } else { high = middle }
        }
        return low
    }
}

private final class AtomicCount: Sendable {
    let count = Atomic<Int64>(0)
}

/// A `Double` to which several threads add.
private final class AtomicDouble: Sendable {
    private let bits = Atomic<UInt64>(0)

    var value: Double { Double(bitPattern: bits.load(ordering: .relaxed)) }

    func set(_ value: Double) { bits.store(value.bitPattern, ordering: .relaxed) }

    func add(_ amount: Double) {
        var seen = bits.load(ordering: .relaxed)
        while true {
            let sum = (Double(bitPattern: seen) + amount).bitPattern
            let (isDone, now) = bits.weakCompareExchange(expected: seen, desired: sum, ordering: .relaxed)
            if isDone { return }
            seen = now
        }
    }
}
