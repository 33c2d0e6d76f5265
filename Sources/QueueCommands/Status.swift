// `ttbatch status`: prints the state of the whole system; with --metrics, the metrics of the night.

package import ArgumentParser
import JSONText
import Runtime
import StoreContract
import Terminal

package struct Status: ParsableCommand {
    package static let configuration = CommandConfiguration(abstract: "Show the whole system: daemon, queue, metrics.")

    @Flag(help: "Print every interval of metrics of the latest daemon.")
    package var metrics = false

    @Flag(help: "One JSON object; with --metrics one for each interval.")
    package var json = false

    @OptionGroup var shared: SharedOptions

    package init() {}

    package func run() throws {
        let store = try shared.queueForReading()
        let status = try store.systemStatus()
        if metrics {
            try printMetrics(of: status.latestIncarnation, store)
        } else if json {
            StandardOutput.print(try object(status, store))
        } else {
            for line in definitionLines(facts(status, store)) { StandardOutput.print(line) }
            if let cluster = status.cluster {
                StandardOutput.print("")
                for line in HostWords.table(cluster.hosts) { StandardOutput.print(line) }
            }
            guard let incarnation = status.latestIncarnation else { return }
            let now = TimeSource.system.now
            let summary = try store.metricsSummary(
                status.cluster == nil ? .incarnation(incarnation.id) : .period(from: now + (-Self.dayMS), to: now + 1))
            guard summary.intervals > 0 else { return }
            StandardOutput.print(status.cluster == nil ? "\nof \(incarnation.id):" : "\nof all hosts in the last day:")
            for line in MetricsDescription.lines(summary) { StandardOutput.print(line) }
        }
    }

    private static let dayMS: Int64 = 86_400_000

    private func facts(_ status: SystemStatus, _ store: any JobReading) -> [(String, String)] {
        var facts = [("database", store.location)]
        if let cluster = status.cluster { return facts + self.facts(cluster) + [queueFact(status)] }
        switch status.daemon {
        case .absent: facts.append(("daemon", "not running"))
        case .unknown: facts.append(("daemon", "unknown: \(store.location)-daemon.lock may not be read by this user"))
        case .running(let pid): facts.append(("daemon", "running" + (pid.map { ", process \($0)" } ?? "")))
        }
        if let last = status.latestIncarnation {
            var words =
                "\(last.id), model \(last.daemon.model), began \(Quantity.time(milliseconds: last.started.rawValue))"
            if let stopped = last.stopped {
                words += ", ended \(Quantity.time(milliseconds: stopped.rawValue))"
            } else if status.daemon == .absent {
                words += ", died"
            }
            facts.append(("incarnation", words))
        }
        return facts + [queueFact(status)]
    }

    private func facts(_ cluster: ClusterStatus) -> [(String, String)] {
        let living = cluster.hosts.filter { [.running, .draining].contains($0.state) }
        let rate = living.reduce(0) { $0 + $1.tokensPerSecond }
        return [
            ("server", cluster.server), ("durable", cluster.durability),
            (
                "daemons",
                living.isEmpty
                    ? "none is running" : "\(living.count) running, \(Quantity.rate(rate)) generated tokens/s"
            ),
        ]
    }

    private func queueFact(_ status: SystemStatus) -> (String, String) {
        (
            "queue",
            (status.paused.map { "paused since \(Quantity.time(milliseconds: $0.rawValue)): " } ?? "")
                + "\(status.openBatches) open batches, \(status.pendingJobs) jobs pending, \(status.runningJobs) running"
                + (status.drafts > 0 ? ", \(status.drafts) files being enqueued" : "")
        )
    }

    private func object(_ status: SystemStatus, _ store: any JobReading) throws -> JSONValue {
        var (isRunning, pid): (JSONValue, JSONValue) = (.null, .null)
        switch status.daemon {
        case .absent: isRunning = .bool(false)
        case .unknown: break
        case .running(let number):
            isRunning = .bool(true)
            pid = number.map { .int(Int64($0)) } ?? .null
        }
        let cluster: JSONValue? = status.cluster.map { cluster in
            [
                "hosts": .array(cluster.hosts.map(HostWords.object)), "server": .string(cluster.server),
                "synchronous_commit": .string(cluster.synchronousCommit),
                "synchronous_standby_names": .string(cluster.synchronousStandbys),
            ]
        }
        return [
            "database": .string(store.location), "daemon_running": isRunning, "daemon_pid": pid,
            "incarnation": status.latestIncarnation.map { .int($0.id.rawValue) } ?? .null,
            "model": status.latestIncarnation.map { .string($0.daemon.model) } ?? .null,
            "paused_ms": status.paused.map { .int($0.rawValue) } ?? .null,
            "open_batches": .int(status.openBatches), "drafts": .int(status.drafts),
            "pending_jobs": .int(status.pendingJobs), "running_jobs": .int(status.runningJobs),
            "latest_metrics": status.latestMetrics.map(MetricsDescription.json) ?? .null,
            "cluster": cluster ?? .null,
        ]
    }

    private func printMetrics(of incarnation: IncarnationSummary?, _ store: any JobReading) throws {
        guard let incarnation else { throw Failure(.notFound, "no daemon has run on \(store.location) yet") }
        let intervals = try store.metrics(.incarnation(incarnation.id), limit: 100_000)
        if json {
            for interval in intervals { StandardOutput.print(MetricsDescription.json(interval)) }
            return
        }
        var table = Table([
            ("BEGAN", .left), ("TOK/S", .right), ("PROMPT TOK/S", .right), ("OCCUPANCY", .right), ("KV", .right),
            ("QUEUE", .right), ("DONE", .right), ("FAILED", .right),
        ])
        for interval in intervals {
            let seconds = Double(interval.end - interval.start) / 1000
            let rate = { (count: Int64) in seconds > 0 ? Quantity.rate(Double(count) / seconds) : "-" }
            table.add([
                Quantity.time(milliseconds: interval.start.rawValue), rate(interval.generatedTokens),
                rate(interval.promptTokens),
                Quantity.share(Double(interval.decodeRows), of: Double(interval.decodeSteps * interval.slots)),
                Quantity.share(interval.kvBlocksMean, of: Double(interval.kvBlocksTotal)),
                "\(interval.queueDepth)", "\(interval.jobsSucceeded)", "\(interval.jobsFailed)",
            ])
        }
        for line in table.lines { StandardOutput.print(line) }
    }
}
