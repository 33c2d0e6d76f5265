// The head of the page: which daemon this is, on which device, with which model, and whether the queue is paused.

import ModelFiles
import Runtime
import Serving
import Settings
import StoreContract

struct HeadSection: Sendable, Hashable {
    let version: String
    /// `incarnation 3`; nil before the daemon has begun one.
    let incarnation: String?
    let since: ShownTime?
    /// `host, avx2`.
    let device: String
    /// `2 replicas`; nil for one.
    let replicas: String?
    let model: String?
    let context: String?
    /// Requests of callers that wait.
    let online: String?
    let isPaused: Bool
    let pausedSince: ShownTime?
    /// Whether there is a button to pause or resume the queue.
    let mayPause: Bool
    let token: String

    init(_ status: SystemStatus, _ model: OnlineModel?, view: PageView, token: String, now: Milliseconds) {
        let life = status.latestIncarnation
        version = life?.daemon.version ?? Version.current
        incarnation = life.map { "\($0.id)" }
        since = life.map { ShownTime($0.started, now: now) }
        device = model?.device ?? life.map { PageWords.name($0.daemon.device) } ?? "–"
        replicas = model.flatMap { $0.replicas > 1 ? "\($0.replicas) replicas" : nil }
        self.model = model.map { PageWords.name($0.shownName) }
        context = model.map { "\(PageWords.count(Int64($0.contextLength))) tokens" }
        let requests = model?.requests.count ?? 0
        online = view.showsQueue && requests > 0 ? PageWords.count(Int64(requests), "online request") : nil
        isPaused = view.showsQueue && status.paused != nil
        pausedSince = status.paused.map { ShownTime($0, now: now) }
        mayPause = view.mayPauseQueue
        self.token = token
    }
}
