// The engine: takes requests, runs steps, and reports the results of each step.

public import Platform
public import Sampling

/// Generates tokens for many requests at once by continuous batching, on one executor.
///
/// A state machine, driven by `step()`. It uses no clocks, threads, I/O or random numbers, so the same calls give the
/// same steps. It is used by one thread at a time. `Scheduler` chooses the requests of a step.
public final class TTEngine {
    private let executor: any StepExecutor
    private let stopConditions: StopConditions
    private var scheduler: Scheduler
    private var counters: EngineStatistics
    private var arrivals = 0
    /// The step that was begun before the caller received the report of the last one.
    private var begun: Scheduler.Decision?
    /// Requests that were cancelled since then. Their outputs must not go to later requests with the same ids.
    private var cancelledSinceBegin: Set<RequestID> = []
    private var fault: DeviceFault?

    /// An engine without requests.
    ///
    /// The executor's limits must have `maxNumBatchedTokens` ≥ `maxModelLen`; the platform's rules ensure this.
    /// - Parameters:
    ///   - endOfGeneration: the model's end-of-generation tokens.
    ///   - share: what online requests have for themselves; nil if there are none.
    public init(executor: any StepExecutor, endOfGeneration: Set<Int32>, share: OnlineShare? = nil) {
        let limits = executor.limits
        self.executor = executor
        stopConditions = StopConditions(
            endOfGeneration: endOfGeneration, maxSequenceLength: limits.maxSequenceLength)
        scheduler = Scheduler(limits: limits, share: share)
        counters = EngineStatistics(slots: limits.maxNumSeqs, kvBlocksTotal: scheduler.pool.totalCount)
    }

    /// Whether any request is in flight, or a step was begun.
    public var hasWork: Bool { !scheduler.requests.isEmpty || begun != nil }
    /// Whether the next step was begun already. With async steps, the device runs it while the caller handles the last
    /// report.
    public var hasBegun: Bool { begun != nil }
    /// Requests that wait for a slot or for blocks.
    public var waitingCount: Int { scheduler.waiting.count }
    /// Requests in the batch.
    public var runningCount: Int { scheduler.running.count }
    /// Requests in the batch: the suspects after a device fault.
    public var runningRequests: [RequestID] { scheduler.running }

    /// The counters, and the current gauges.
    public var statistics: EngineStatistics {
        var snapshot = counters
        snapshot.waiting = waitingCount
        snapshot.running = runningCount
        snapshot.kvBlocksUsed = scheduler.pool.usedCount
        return snapshot
    }

    /// Queues a request after all others, or refuses one that could never run.
    ///
    /// - Parameter id: the client's key, which no other request in flight has.
    ///
    /// Generation may end before `maxTokens`: with `.length` when prompt and generated tokens together reach the
    /// model's length, or the size of the whole KV cache where that is smaller.
    public func add(
        _ id: RequestID, priority: RequestPriority = .batch, prompt: [Int32], sampling: SamplingParams
    ) throws(RequestRefusal) {
        try add([id], priority: priority, prompt: prompt, sampling: [sampling])
    }

    /// Queues requests with one prompt, or refuses them all. Where the device can copy blocks, the prompt is prefilled
    /// once for those that fit into the batch together.
    ///
    /// - Parameters:
    ///   - ids: the client's keys, which no other request in flight has.
    ///   - sampling: the parameters of each.
    public func add(
        _ ids: [RequestID], priority: RequestPriority = .batch, prompt: [Int32], sampling: [SamplingParams]
    ) throws(RequestRefusal) {
        precondition(ids.count == sampling.count, "each request has its parameters")
        for (id, sampling) in zip(ids, sampling) {
            precondition(scheduler.requests[id] == nil, "\(id) is in flight already")
            try scheduler.limits.admit(
                prompt: prompt, sampling: sampling, endOfGeneration: stopConditions.endOfGeneration)
        }
        let group = ids.count > 1 ? arrivals : nil
        for (id, sampling) in zip(ids, sampling) {
            scheduler.add(
                EngineRequest(
                    id: id, arrival: arrivals, priority: priority, prompt: prompt, sampling: sampling,
                    promptGroup: group))
            arrivals += 1
        }
    }

    /// Ends a request because its user cancelled it or its text reached a stop string.
    ///
    /// No update follows. Its slot and blocks are free for the next step that is begun.
    /// - Returns: whether it was in flight.
    @discardableResult
    public func cancel(_ id: RequestID) -> Bool {
        guard scheduler.remove(id) != nil else { return false }
        if begun != nil { cancelledSinceBegin.insert(id) }
        return true
    }

    /// Removes every request, so that it can be run elsewhere or later, and frees all slots and blocks.
    ///
    /// After a device fault this returns the requests that were lost. The engine cannot be used after that, since the
    /// state of its executor is unknown. Without a fault it can still be used.
    /// - Returns: the requests that were in flight, oldest first.
    public func takeBackAll() -> [RequestID] {
        if begun != nil {
            begun = nil
            cancelledSinceBegin = []
            // The device must be idle before it is used for anything else; the output is dropped.
            do throws(DeviceFault) { _ = try executor.finish() } catch { fault = error }
        }
        return remove { _ in true }
    }

    /// Removes the requests of one client, as `cancel` does; the others continue.
    ///
    /// - Returns: the requests that were in flight, oldest first.
    public func takeBack(of client: ClientID) -> [RequestID] { remove { $0.client == client } }

    private func remove(where isMeant: (RequestID) -> Bool) -> [RequestID] {
        let ids = scheduler.requests.values.filter { isMeant($0.id) }.sorted { $0.arrival < $1.arrival }.map(\.id)
        for id in ids { cancel(id) }
        return ids
    }

    /// Runs one step; `nil` if no request is in flight.
    ///
    /// If the executor's steps are async, the next step is begun before this returns, so that the device works while
    /// the caller handles the report. Requests that the caller then adds or cancels change the step after that; for a
    /// cancelled request, the running step gives no update.
    ///
    /// Once it has thrown, every further call throws the same fault.
    public func step() throws(DeviceFault) -> StepReport? {
        try begin()
        guard let decision = begun else { return nil }
        begun = nil
        let result: StepResult
        do throws(DeviceFault) {
            result = try executor.finish()
        } catch {
            fault = error
            throw error
        }
        let report = report(decision, result)
        cancelledSinceBegin = []
        if executor.runsStepsAsync {
            // A fault is thrown by the next call, because this step's report must be returned.
            do throws(DeviceFault) { try begin() } catch {}
        }
        return report
    }

    /// Begins the next step, unless it was begun already.
    private func begin() throws(DeviceFault) {
        if let fault { throw fault }
        guard begun == nil, let decision = scheduler.schedule() else { return }
        do throws(DeviceFault) {
            try executor.begin(decision.step)
            begun = decision
        } catch {
            fault = error
            throw error
        }
    }

    /// Throws if an invariant does not hold: every block is in use or free, every row has a slot, and so on.
    public func checkIntegrity() throws(IntegrityViolation) {
        var prefilling: [PrefillRow] = []
        if case .prefill(let rows)? = begun?.step.work { prefilling = rows }
        try scheduler.checkIntegrity(prefilling: prefilling)
    }
}

// MARK: - Results of a step

extension TTEngine {
    /// Passes the outputs of a step to its requests; drops those of requests that were cancelled meanwhile.
    private func report(_ decision: Scheduler.Decision, _ result: StepResult) -> StepReport {
        var outputs = result.outputs[...]
        precondition(outputs.count == decision.step.work.rowCount, "an executor answers for each row of a step once")
        func isInFlight(_ id: RequestID) -> Bool {
            scheduler.requests[id] != nil && !cancelledSinceBegin.contains(id)
        }
        var report = StepReport(kind: decision.step.work.kind, preempted: decision.preempted.filter(isInFlight))
        switch decision.step.work {
        case .prefill(let rows):
            for row in rows {
                for id in row.ids {
                    guard let output = outputs.popFirst(), isInFlight(id) else { continue }
                    if let piece = decision.piece, piece.id == id {
                        if case .bad = output {
                        } else {
                            scheduler.advance(id, to: piece.end)
                            continue
                        }
                    }
                    let computed = decision.continued?.id == id ? decision.continued!.cached : row.computedTokens
                    let cachedTokens = id == row.id ? computed : row.tokens.count
                    var update = update(id, cachedTokens: cachedTokens, output)
                    update.promptLogprobs = result.promptLogprobs[id] ?? []
                    report.updates.append(update)
                }
            }
        case .decode(let rows):
            for (row, output) in zip(rows, outputs) where isInFlight(row.id) {
                report.updates.append(update(row.id, cachedTokens: 0, output))
            }
        }
        count(decision, generated: report.updates.count)
        return report
    }

    private func update(_ id: RequestID, cachedTokens: Int, _ output: RequestOutput) -> RequestUpdate {
        var update = RequestUpdate(id: id, cachedTokens: cachedTokens, output: output)
        switch output {
        case .bad: scheduler.discard(id)
        case .noToken: scheduler.remove(id)
        case .nothing:
            scheduler.complete(id)
            update.finishReason = .length
        case .token(let token):
            scheduler.append(token.id, to: id)
            update.finishReason = stopConditions.finishReason(
                of: scheduler.requests[id]!, mustEnd: token.constraint == .mustEnd)
            if update.finishReason != nil { scheduler.remove(id) }
        }
        return update
    }

    private func count(_ decision: Scheduler.Decision, generated: Int) {
        counters.generatedTokens += generated
        counters.preemptions += decision.preempted.count
        switch decision.step.work {
        case .prefill(let rows):
            counters.prefillSteps += 1
            for row in rows {
                let prefilled = row.tokens.count - row.computedTokens
                counters.prefilledTokens += prefilled
                if decision.continued?.id != row.id { counters.cachedTokens += row.computedTokens }
                // A row with generated tokens was preempted: its tokens are recomputed.
                if row.tokens.count > row.promptLength { counters.recomputedTokens += prefilled }
            }
        case .decode(let rows):
            counters.decodeSteps += 1
            counters.decodedRows += rows.count
        }
    }
}

extension ScheduledStep.Work {
    fileprivate var kind: StepReport.Kind {
        switch self {
        case .prefill: .prefill
        case .decode: .decode
        }
    }

    /// Rows that get an output.
    fileprivate var rowCount: Int {
        switch self {
        case .prefill(let rows): rows.reduce(0) { $0 + $1.ids.count }
        case .decode(let rows): rows.count
        }
    }
}
