// What a scrape shows: families with the values of their series at one moment.

/// A label of a sample.
package struct MetricLabel: Sendable, Hashable, Comparable {
    /// Its name.
    package let name: String
    /// Its value; any text.
    package let value: String

    /// A label.
    package init(_ name: String, _ value: String) {
        self.name = name
        self.value = value
    }

    /// By name, then by value.
    package static func < (left: MetricLabel, right: MetricLabel) -> Bool {
        (left.name, left.value) < (right.name, right.value)
    }
}

/// The value of a series.
package enum MetricValue: Sendable, Equatable {
    /// Of a counter or a gauge.
    case number(Double)
    /// `counts[i]` values were above the bound before `bounds[i]` and not above this; the last count has no bound.
    case histogram(bounds: [Double], counts: [Int64], sum: Double)

    /// The value of two series together; histograms must have the same bounds.
    static func + (left: MetricValue, right: MetricValue) -> MetricValue {
        switch (left, right) {
        case (.number(let left), .number(let right)): return .number(left + right)
        case (.histogram(let bounds, let left, let sum), .histogram(let others, let right, let more)):
            precondition(bounds == others, "histograms of different bounds have no sum")
            return .histogram(bounds: bounds, counts: zip(left, right).map(+), sum: sum + more)
        default: preconditionFailure("a number and a histogram have no sum")
        }
    }
}

/// A series at one moment.
package struct MetricSample: Sendable, Equatable {
    /// Its labels.
    package var labels: [MetricLabel]
    /// Its value.
    package var value: MetricValue

    /// A sample.
    package init(_ labels: [MetricLabel] = [], _ value: MetricValue) {
        self.labels = labels
        self.value = value
    }

    /// The value of a label; nil if it has none of this name.
    func label(_ name: String) -> String? { labels.first { $0.name == name }?.value }
}

/// A family with its samples.
package struct MetricSamples: Sendable, Equatable {
    /// The types that a page names.
    package enum Kind: String, Sendable {
        case counter, gauge, histogram
    }

    /// Its name, with `_total` if it is a counter.
    package var name: String
    /// Its type.
    package var kind: Kind
    /// What it tells.
    package var help: String
    /// At least one.
    package var samples: [MetricSample]

    /// A family.
    package init(_ name: String, _ kind: Kind, _ help: String, _ samples: [MetricSample]) {
        self.name = name
        self.kind = kind
        self.help = help
        self.samples = samples
    }
}
