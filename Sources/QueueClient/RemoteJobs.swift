// The queue of a daemon elsewhere: what can be read of it and done with its batches, by requests to its server.

import Foundation
import Intake
public import Runtime
public import StoreContract

/// A queue behind a server. Its errors are those of the queue, as if it were here, or name the server's address.
public final class RemoteJobs: JobReading, BatchControl {
    let server: ServerURL
    let connection: HTTPConnection
    private let patience: Patience?

    /// How long a server that does not answer is waited for, e.g. while it is started again.
    public struct Patience: Sendable {
        /// Seconds from its last answer.
        public let seconds: Double
        /// Called when the wait begins.
        public let say: @Sendable (String) -> Void

        /// Makes a patience.
        public init(seconds: Double, say: @escaping @Sendable (String) -> Void) {
            self.seconds = seconds
            self.say = say
        }
    }

    /// A queue behind `server`; nothing is asked yet.
    ///
    /// - Parameter patience: nil: an answer that does not come is an error at once.
    public init(_ server: ServerURL, key: ShownKey?, patience: Patience? = nil) {
        self.server = server
        self.patience = patience
        connection = HTTPConnection(server, key: key)
    }

    /// The server's address.
    public var location: String { server.description }

    /// Seldom enough that many may watch.
    public var pollSeconds: Double { 0.5 }
}

// MARK: - Reading

extension RemoteJobs {
    /// Whether a daemon works on the queue.
    public func daemonPresence() throws(JobStoreError) -> DaemonPresence { try get("queue/daemon") }

    /// Since when the whole queue is paused.
    public func pausedSince() throws(JobStoreError) -> Milliseconds? { try get("queue/paused") }

    /// One batch.
    public func batch(_ id: BatchID) throws(JobStoreError) -> BatchSummary { try get("batches/\(id.rawValue)") }

    /// The batch with a unique name.
    public func batch(named name: String) throws(JobStoreError) -> BatchID? { try get("names", [("name", name)]) }

    /// The reasons why jobs of a batch failed.
    public func failures(of batch: BatchID) throws(JobStoreError) -> [FailureGroup] {
        try get("batches/\(batch.rawValue)/failures")
    }

    /// The jobs of a batch that wait for a retry.
    public func anotherAttempt(of batch: BatchID) throws(JobStoreError) -> AnotherAttempt? {
        try get("batches/\(batch.rawValue)/another-attempt")
    }

    /// Batches, the latest first.
    public func batches(
        before: BatchID?, limit: Int, includingDrafts: Bool, of tenant: Tenant?
    ) throws(JobStoreError) -> [BatchSummary] {
        // Whose batches are seen depends on the key.
        var fields = [("limit", "\(limit)"), ("drafts", "\(includingDrafts)")]
        if let before { fields.append(("before", "\(before.rawValue)")) }
        return try get("batches", fields)
    }

    /// The latest completions of a batch.
    public func recentCompletions(of batch: BatchID, limit: Int) throws(JobStoreError) -> RecentCompletions? {
        try get("batches/\(batch.rawValue)/recent-completions", [("limit", "\(limit)")])
    }

    /// One page of results.
    public func results(
        _ query: ResultQuery, after position: Int64, limit: Int
    ) throws(JobStoreError) -> [JobResult] {
        let states = query.states.map(\.rawValue).sorted().joined(separator: ",")
        return try get(
            "batches/\(query.batch.rawValue)/results",
            [("order", query.order.rawValue), ("states", states), ("after", "\(position)"), ("limit", "\(limit)")])
    }

    /// The state of the whole system.
    public func systemStatus() throws(JobStoreError) -> SystemStatus { try get("status") }

    /// Metrics intervals.
    public func metrics(_ scope: MetricsScope, limit: Int) throws(JobStoreError) -> [MetricsInterval] {
        try get(scope.path, scope.fields + [("limit", "\(limit)")])
    }

    /// The sums over metrics intervals.
    public func metricsSummary(_ scope: MetricsScope) throws(JobStoreError) -> MetricsSummary {
        try get(scope.path + "/summary", scope.fields)
    }
}

extension MetricsScope {
    /// Where a server tells the metrics: those of a batch are its owner's to read.
    fileprivate var path: String {
        if case .batch(let id) = self { "batches/\(id.rawValue)/metrics" } else { "metrics" }
    }

    fileprivate var fields: [(String, String)] {
        switch self {
        case .batch: []
        case .incarnation(let incarnation): [("incarnation", "\(incarnation.rawValue)")]
        case .period(let from, let to): [("from", "\(from.rawValue)"), ("to", "\(to.rawValue)")]
        }
    }
}

// MARK: - Acting

extension RemoteJobs {
    /// Stops claims.
    public func pause(_ batch: BatchID?, at now: Milliseconds) throws(JobStoreError) {
        let _: Done = try post(batch.map { "batches/\($0.rawValue)/pause" } ?? "queue/pause")
    }

    /// Ends a pause.
    public func resume(_ batch: BatchID?) throws(JobStoreError) {
        let _: Done = try post(batch.map { "batches/\($0.rawValue)/resume" } ?? "queue/resume")
    }

    /// Cancels what has not ended.
    public func cancel(_ batch: BatchID, at now: Milliseconds) throws(JobStoreError) -> CancelReport {
        try post("batches/\(batch.rawValue)/cancel")
    }

    /// Enqueues jobs of a finished batch again.
    public func retry(
        _ batch: BatchID, states: Set<JobState>, errorCode: String?, at now: Milliseconds
    ) throws(JobStoreError) -> BatchID {
        var fields = [("states", states.map(\.rawValue).sorted().joined(separator: ","))]
        if let errorCode { fields.append(("error_code", errorCode)) }
        return try post("batches/\(batch.rawValue)/retry", fields)
    }

    /// The answer to what has no other.
    private struct Done: Decodable {}
}

// MARK: - Requests

extension RemoteJobs {
    /// Reads a value. A server that does not answer is asked again for as long as the patience lasts.
    private func get<Value: Decodable>(
        _ path: String, _ fields: [(String, String)] = []
    ) throws(JobStoreError) -> Value {
        var end: Date?
        while true {
            do throws(JobStoreError) {
                let answer: HTTPAnswer
                do throws(NoAnswer) { answer = try connection.send(.get, Self.path(path, fields)) } catch {
                    throw failure(error)
                }
                return try value(of: answer)
            } catch .unreachable(let server, let reason) {
                guard let patience, end.map({ $0 > Date() }) ?? true else {
                    throw .unreachable(server: server, reason: reason)
                }
                if end == nil {
                    end = Date(timeIntervalSinceNow: patience.seconds)
                    patience.say("\(server): \(reason); trying again for \(Int(patience.seconds)) s")
                }
                usleep(UInt32(pollSeconds * 1_000_000))
            }
        }
    }

    /// Asks for something to be done, once.
    private func post<Value: Decodable>(
        _ path: String, _ fields: [(String, String)] = []
    ) throws(JobStoreError) -> Value {
        let answer: HTTPAnswer
        do throws(NoAnswer) { answer = try connection.send(.post, Self.path(path, fields)) } catch {
            throw failure(error, lost: "whether it was done is not known: `ttbatch list` shows it")
        }
        return try value(of: answer)
    }

    /// A path of this program's routes, with its query.
    static func path(_ path: String, _ fields: [(String, String)]) -> String {
        let query = fields.map { "\($0.0)=\(escaped($0.1))" }.joined(separator: "&")
        return "/ttbatch/v1/" + path + (query.isEmpty ? "" : "?" + query)
    }

    private static func escaped(_ text: String) -> String {
        text.addingPercentEncoding(
            withAllowedCharacters: CharacterSet(
                charactersIn: "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~,/")) ?? ""
    }

    /// The error where no answer came.
    ///
    /// - Parameter lost: what to say if the request may have arrived.
    func failure(_ error: NoAnswer, lost: String? = nil) -> JobStoreError {
        switch error {
        case .notAsked(let reason): .unreachable(server: location, reason: "no answer: \(reason)")
        case .brokenOff(let reason):
            .unreachable(server: location, reason: "no answer: \(reason)" + (lost.map { "; \($0)" } ?? ""))
        case .noLibrary(let reason):
            .refused(
                server: location, reason: "libcurl is needed for it and cannot be loaded (\(reason)): install libcurl4")
        }
    }

    /// The value of an answer, or its error.
    func value<Value: Decodable>(of answer: HTTPAnswer) throws(JobStoreError) -> Value {
        guard answer.status == 200 else { throw fault(of: answer) }
        do { return try QueueJSON.value(of: answer.body) } catch {
            throw .refused(
                server: location, reason: "its answer cannot be read: is it a ttbatch of this version (/version)?")
        }
    }

    /// The error that an answer tells.
    func fault(of answer: HTTPAnswer) -> JobStoreError {
        let fault = try? QueueJSON.value(ServerFault.self, of: answer.body)
        if let error = fault?.storeError?.seen(at: location) { return error }
        // Another server, or a proxy in front of one, may say nothing that is meant for people.
        let reason = fault.map { $0.error.message } ?? "HTTP status \(answer.status)"
        return [408, 429, 503].contains(answer.status)
            ? .unreachable(server: location, reason: reason) : .refused(server: location, reason: reason)
    }
}
