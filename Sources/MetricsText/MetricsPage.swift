// The text of a scrape: Prometheus' text format, or OpenMetrics for whoever asks for it.
//
// Sources: Prometheus' "Exposition formats" (text format 0.0.4), OpenMetrics 1.0.

/// A format of the page.
package enum MetricsFormat: Sendable, Equatable {
    /// Prometheus' text format 0.0.4.
    case prometheus
    /// OpenMetrics 1.0: a counter's family has no `_total`, and the page has an end.
    case openMetrics

    /// What `accept` prefers; without a preference Prometheus' format.
    package init(accept: String?) {
        var (openMetrics, plain) = (0.0, 0.0)
        for part in (accept ?? "").lowercased().split(separator: ",") {
            let words = part.split(separator: ";").map { $0.filter { $0 != " " } }
            func parameter(_ name: String) -> String? {
                words.dropFirst().first { $0.hasPrefix(name + "=") }.map { String($0.dropFirst(name.count + 1)) }
            }
            let weight = parameter("q").flatMap(Double.init) ?? 1
            switch words.first {
            case "application/openmetrics-text" where ["1.0.0", nil].contains(parameter("version")):
                openMetrics = max(openMetrics, weight)
            case "text/plain" where ["0.0.4", nil].contains(parameter("version")): plain = max(plain, weight)
            default: break
            }
        }
        self = openMetrics > plain ? .openMetrics : .prometheus
    }

    /// The type that the answer names.
    package var contentType: String {
        switch self {
        case .prometheus: "text/plain; version=0.0.4; charset=utf-8"
        case .openMetrics: "application/openmetrics-text; version=1.0.0; charset=utf-8"
        }
    }

    /// The page.
    package func page(_ families: [MetricSamples]) -> String {
        var writer = PageWriter(format: self)
        for family in families where !family.samples.isEmpty { writer.write(family) }
        return writer.page + (self == .openMetrics ? "# EOF\n" : "")
    }
}

/// Writes families one after another.
private struct PageWriter {
    let format: MetricsFormat
    var page = ""

    mutating func write(_ family: MetricSamples) {
        let isShort = format == .openMetrics && family.kind == .counter
        let name = isShort ? family.name.withoutTotal : family.name
        page += "# HELP \(name) \(escaped(family.help, quotes: format == .openMetrics))\n"
        page += "# TYPE \(name) \(family.kind.rawValue)\n"
        for sample in family.samples {
            switch sample.value {
            case .number(let value): line(family.name, sample.labels, number(value))
            case .histogram(let bounds, let counts, let sum):
                var total: Int64 = 0
                for (index, count) in counts.enumerated() {
                    total += count
                    let bound = index < bounds.count ? "\(bounds[index])" : "+Inf"
                    line(family.name + "_bucket", sample.labels + [MetricLabel("le", bound)], "\(total)")
                }
                line(family.name + "_sum", sample.labels, number(sum))
                line(family.name + "_count", sample.labels, "\(total)")
            }
        }
    }

    private mutating func line(_ name: String, _ labels: [MetricLabel], _ value: String) {
        page += name
        if !labels.isEmpty {
            page += "{"
            for (index, label) in labels.enumerated() {
                if index > 0 { page += "," }
                page += "\(label.name)=\"\(escaped(label.value, quotes: true))\""
            }
            page += "}"
        }
        page += " \(value)\n"
    }

    private func escaped(_ text: String, quotes: Bool) -> String {
        var result = ""
        // By scalars: a carriage return before a line feed is one character with it.
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\"" where quotes: result += "\\\""
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }

    private func number(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value > 0 ? "+Inf" : "-Inf" }
        return Int64(exactly: value).map { "\($0)" } ?? "\(value)"
    }
}

extension String {
    fileprivate var withoutTotal: String { hasSuffix("_total") ? String(dropLast(6)) : self }
}
