// Reads from the store what somebody looks at. What all look at is read once for all of them.

import HTTPExchange
import ResultExport
import Runtime
import Serving
import StoreContract
import Synchronization

/// What the page shows; parts that the view does not have are nil.
struct PageContent: Sendable {
    var head: HeadSection
    var now: NowSection?
    var night: NightSection?
    var batches: BatchesSection?
    var batch: BatchSection?
    var failures: FailuresSection?
    /// Only of a whole page; it does not change under the eyes of a reader.
    var samples: SamplesSection?
}

/// Reads the content of pages. Its methods block.
final class PageReader: Sendable {
    private let store: any JobStore
    private let live: LiveModel
    private let token: String
    private let showsPrompts: Bool
    private let clock: TimeSource
    private let cache = Mutex(Cache())

    /// What was read a moment ago for somebody else, or cannot have changed.
    private struct Cache {
        var queue: (read: Milliseconds, status: SystemStatus, newest: [BatchSummary])?
        var night: (read: Milliseconds, NightSection)?
        /// Failed jobs never change, so their number tells whether there are new ones.
        var failures: [BatchID: (failed: Int64, jobs: [JobResult])] = [:]
    }

    /// The charts change by at most one of their parts in this time.
    private static let nightMS: Int64 = 10_000
    /// Several who look at the same second share what is read.
    private static let queueMS: Int64 = 800

    init(
        store: any JobStore, live: LiveModel, token: FormToken, showsPrompts: Bool, clock: TimeSource = .system
    ) {
        self.store = store
        self.live = live
        self.token = token.text
        self.showsPrompts = showsPrompts
        self.clock = clock
    }

    /// What `view` shows.
    ///
    /// - Parameter isWhole: whether parts that do not change by themselves are read as well.
    /// - Throws: `.batchNotFound` for a batch that is no more, or not the caller's.
    func content(_ view: PageView, isWhole: Bool) throws(JobStoreError) -> PageContent {
        let now = clock.now
        let batches = VisibleBatches(store: store, tenant: view.tenant)
        let (status, newest) = try queue(now)
        let model = live.current
        var content = PageContent(head: HeadSection(status, model, view: view, token: token, now: now))
        if view.showsQueue {
            content.now = NowSection(
                status, open: newest.filter { $0.status == .inProgress }, replicas: model?.replicas ?? 1, now: now)
        }
        if let id = view.batch {
            let batch = try batches.one(id)
            let visible = view.showsQueue ? newest : try batches.newest(limit: BatchesSection.limit)
            let retriedAs = Self.retries(among: visible)
            content.batch = BatchSection(
                try BatchDescription(batch, store: store), retriedAs: retriedAs[id], view: view, token: token,
                now: now)
            content.failures = try failures([batch], retriedAs, view, now)
            if isWhole { content.samples = try samples(of: batch, view, now) }
            return content
        }
        if view.showsQueue { content.night = try night(now) }
        let isFirst = view.showsQueue && view.before == nil
        let page = isFirst ? newest : try batches.newest(before: view.before, limit: BatchesSection.limit + 1)
        var descriptions: [BatchDescription] = []
        for batch in page { descriptions.append(try BatchDescription(batch, store: store)) }
        content.batches = BatchesSection(descriptions, view: view, token: token, now: now)
        content.failures = try failures(
            Array(page.prefix(BatchesSection.limit)), Self.retries(among: page + newest), view, now)
        return content
    }

    private func queue(_ now: Milliseconds) throws(JobStoreError) -> (SystemStatus, [BatchSummary]) {
        if let known = cache.withLock({ $0.queue }), (0..<Self.queueMS).contains(now - known.read) {
            return (known.status, known.newest)
        }
        let status = try store.systemStatus()
        let newest = try VisibleBatches(store: store, tenant: nil).newest(limit: BatchesSection.limit + 1)
        cache.withLock { $0.queue = (now, status, newest) }
        return (status, newest)
    }

    /// What somebody has just done is seen at once.
    func forgetQueue() { cache.withLock { $0.queue = nil } }

    private func night(_ now: Milliseconds) throws(JobStoreError) -> NightSection {
        if let known = cache.withLock({ $0.night }), (0..<Self.nightMS).contains(now - known.read) { return known.1 }
        let history = try store.metricsHistory(
            from: now + -NightSection.lengthMS, to: now, parts: NightSection.parts)
        let night = NightSection(history, lives: try store.incarnations(limit: 100), now: now)
        cache.withLock { $0.night = (now, night) }
        return night
    }

    /// Which batches ran the jobs of others again, by those.
    private static func retries(among batches: [BatchSummary]) -> [BatchID: BatchID] {
        Dictionary(batches.compactMap { batch in batch.retryOf.map { ($0, batch.id) } }) { max($0, $1) }
    }

    private func failures(
        _ batches: [BatchSummary], _ retriedAs: [BatchID: BatchID], _ view: PageView, _ now: Milliseconds
    ) throws(JobStoreError) -> FailuresSection {
        var sources: [FailuresSection.Source] = []
        for batch in batches where batch.counts.failed > 0 {
            let jobs: [JobResult]
            let known = cache.withLock { $0.failures[batch.id] }
            if let known, known.failed == batch.counts.failed || known.jobs.count == FailuresSection.limit {
                jobs = known.jobs
            } else {
                jobs = try store.results(
                    ResultQuery(batch: batch.id, states: [.failed]), after: 0, limit: FailuresSection.limit)
                cache.withLock { cache in
                    if cache.failures.count > 200 { cache.failures = [:] }
                    cache.failures[batch.id] = (batch.counts.failed, jobs)
                }
            }
            sources.append(FailuresSection.Source(batch: batch, jobs: jobs, retriedAs: retriedAs[batch.id]))
        }
        return FailuresSection(sources, view: view, token: token, now: now)
    }

    private func samples(
        of batch: BatchSummary, _ view: PageView, _ now: Milliseconds
    ) throws(JobStoreError) -> SamplesSection {
        let jobs = try store.sampleOfJobs(of: batch.id, limit: SamplesSection.timed)
        var results: [(why: String, result: JobResult, prompt: String?)] = []
        let places = SamplesSection.places(
            of: jobs, rejected: batch.counts.rejected, finished: batch.counts.finished, seed: view.sample)
        for (why, place) in places {
            let query = ResultQuery(batch: batch.id, order: .completion)
            guard let result = try store.results(query, after: place - 1, limit: 1).first else { continue }
            let body = showsPrompts ? try store.requestBody(of: result.id) : nil
            results.append((why, result, body.flatMap(RequestText.prompt)))
        }
        return SamplesSection(
            batch, jobs: jobs, results: results, view: view, showsPrompts: showsPrompts, now: now)
    }
}
