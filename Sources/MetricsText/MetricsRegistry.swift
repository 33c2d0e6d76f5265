// Keeps the series of all families, behind the interface of swift-metrics: whoever counts knows nothing of the page.

package import CoreMetrics
import Synchronization

/// All series. Making one takes a lock; counting in it does not.
package final class MetricsRegistry: MetricsFactory {
    private struct Key: Hashable {
        let family: String
        let labels: [MetricLabel]
    }

    /// The objects are counters, gauges and histograms.
    private struct Entry {
        let series: any AnyObject & Sendable
        let value: @Sendable () -> MetricValue
    }

    private let families: [MetricFamily]
    private let kinds: [String: MetricFamily.Kind]
    private let entries = Mutex<[Key: Entry]>([:])

    /// A registry without series. What is counted in other families than these is not kept.
    package init(_ families: [MetricFamily] = MetricFamily.all) {
        self.families = families
        kinds = Dictionary(uniqueKeysWithValues: families.map { ($0.name, $0.kind) })
    }

    /// The families that have series, in the order of the table; samples in the order of their labels.
    package func samples() -> [MetricSamples] {
        let values = entries.withLock { entries in entries.map { ($0.key, $0.value.value) } }
        let byFamily = Dictionary(grouping: values) { $0.0.family }
        return families.compactMap { family in
            guard let series = byFamily[family.name] else { return nil }
            let samples = series.map { key, value in MetricSample(key.labels, value()) }
            return MetricSamples(
                family.name, MetricSamples.Kind(family.kind), family.help,
                samples.sorted { $0.labels.lexicographicallyPrecedes($1.labels) })
        }
    }

    /// The series with these labels; a new one if there is none yet.
    private func series<Series: AnyObject & Sendable>(
        _ family: String, _ dimensions: [(String, String)], value: @escaping @Sendable (Series) -> MetricValue,
        make: () -> Series
    ) -> Series {
        let key = Key(family: family, labels: dimensions.map { MetricLabel($0.0, $0.1) })
        return entries.withLock { entries in
            if let known = entries[key]?.series as? Series { return known }
            let series = make()
            entries[key] = Entry(series: series, value: { value(series) })
            return series
        }
    }

    private func forget(_ series: AnyObject) {
        entries.withLock { entries in
            if let key = entries.first(where: { $0.value.series === series })?.key { entries[key] = nil }
        }
    }
}

// MARK: - swift-metrics

extension MetricsRegistry {
    /// A counter of the table.
    package func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
        guard kinds[label] == .counter else { return NOOPMetricsHandler.instance }
        return series(label, dimensions, value: \.value) { CounterSeries() }
    }

    /// A gauge of the table.
    package func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler {
        guard kinds[label] == .gauge else { return NOOPMetricsHandler.instance }
        return series(label, dimensions, value: \.value) { GaugeSeries() }
    }

    /// A histogram of the table, or a gauge if it does not aggregate.
    package func makeRecorder(
        label: String, dimensions: [(String, String)], aggregate: Bool
    ) -> any RecorderHandler {
        switch kinds[label] {
        case .histogram(let bounds) where aggregate:
            series(label, dimensions, value: \.value) { HistogramSeries(bounds: bounds) }
        case .gauge where !aggregate: series(label, dimensions, value: \.value) { GaugeSeries() }
        default: NOOPMetricsHandler.instance
        }
    }

    /// A histogram of the table, in seconds.
    package func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
        guard case .histogram(let bounds) = kinds[label] else { return NOOPMetricsHandler.instance }
        return series(label, dimensions, value: \.value) { HistogramSeries(bounds: bounds) }
    }

    /// The page shows it no more.
    package func destroyCounter(_ handler: any CounterHandler) { forget(handler) }
    /// The page shows it no more.
    package func destroyMeter(_ handler: any MeterHandler) { forget(handler) }
    /// The page shows it no more.
    package func destroyRecorder(_ handler: any RecorderHandler) { forget(handler) }
    /// The page shows it no more.
    package func destroyTimer(_ handler: any TimerHandler) { forget(handler) }
}

extension MetricSamples.Kind {
    fileprivate init(_ kind: MetricFamily.Kind) {
        switch kind {
        case .counter: self = .counter
        case .gauge: self = .gauge
        case .histogram: self = .histogram
        }
    }
}
