// The engine: takes requests, runs steps, and tells what each step did.

public import Platform

/// Generates tokens for many requests at once by continuous batching, on one executor.
///
/// A plain state machine, driven by `step()`: no clocks, threads, I/O or randomness inside, so the same calls give the
/// same steps. It is used from one thread at a time. How requests are chosen is `Scheduler`'s.
public final class TTEngine {
    private let executor: any StepExecutor
    private let stopConditions: StopConditions
    private var scheduler: Scheduler
    private var counters: EngineStatistics
    private var arrivals = 0
    /// The step that was begun before the caller has seen what the last one did.
    private var begun: Scheduler.Decision?
    /// Requests that were cancelled since then: what the step gives them is not for a later request of the same id.
    private var cancelledSinceBegin: Set<RequestID> = []
    private var fault: DeviceFault?

    /// An engine without requests.
    ///
    /// The executor's limits must have `maxNumBatchedTokens` ≥ `maxModelLen`, as the platform sees to.
    /// - Parameter endOfGeneration: the model's end-of-generation tokens.
    public init(executor: any StepExecutor, endOfGeneration: Set<Int32>) {
        let limits = executor.limits
        self.executor = executor
        stopConditions = StopConditions(
            endOfGeneration: endOfGeneration, maxSequenceLength: limits.maxSequenceLength)
        scheduler = Scheduler(limits: limits)
        counters = EngineStatistics(slots: limits.maxNumSeqs, kvBlocksTotal: limits.kvCache.blockCount)
    }

    /// Whether any request is in flight, or a step that was begun for such.
    public var hasWork: Bool { !scheduler.requests.isEmpty || begun != nil }
    /// Whether the next step was begun already: devices that run by themselves do so while the caller deals with the last one.
    public var hasBegun: Bool { begun != nil }
    /// Requests that wait for a slot or for blocks.
    public var waitingCount: Int { scheduler.waiting.count }
    /// Requests in the batch.
    public var runningCount: Int { scheduler.running.count }
    /// Requests in the batch: those that a device fault may be due to.
    public var runningRequests: [RequestID] { scheduler.running }

    /// Counters and state at this moment.
    public var statistics: EngineStatistics {
        var snapshot = counters
        snapshot.waiting = waitingCount
        snapshot.running = runningCount
        snapshot.kvBlocksUsed = scheduler.pool.usedCount
        return snapshot
    }

    /// Queues a request behind all others, or refuses what could never run.
    ///
    /// - Parameter id: the client's key, which no other request in flight has.
    ///
    /// Generation may end before `maxTokens`: with `.length` when prompt and generated tokens together reach the
    /// model's length, or the size of the whole KV pool where that is smaller.
    public func add(_ id: RequestID, prompt: [Int32], sampling: SamplingParams) throws(RequestRefusal) {
        precondition(scheduler.requests[id] == nil, "\(id) is in flight already")
        try scheduler.limits.admit(
            prompt: prompt, sampling: sampling, endOfGeneration: stopConditions.endOfGeneration)
        scheduler.add(EngineRequest(id: id, arrival: arrivals, prompt: prompt, sampling: sampling))
        arrivals += 1
    }

    /// Ends a request from outside: its user cancelled it, or its text reached a stop string.
    ///
    /// No update follows. Its slot and blocks are free for the next step that begins.
    /// - Returns: whether it was in flight.
    @discardableResult
    public func cancel(_ id: RequestID) -> Bool {
        guard scheduler.remove(id) != nil else { return false }
        if begun != nil { cancelledSinceBegin.insert(id) }
        return true
    }

    /// Gives up every request, to be run again elsewhere or later, and frees all slots and blocks.
    ///
    /// After a device fault it is the way to get the requests back; the engine is then at its end, since the state of
    /// its executor is unknown. Otherwise it can be used on.
    /// - Returns: the requests that were in flight, oldest first.
    public func takeBackAll() -> [RequestID] {
        if begun != nil {
            begun = nil
            cancelledSinceBegin = []
            // The device must be at rest before it is used for something else; what it says is of no use.
            do throws(DeviceFault) { _ = try executor.finish() } catch { fault = error }
        }
        return remove { _ in true }
    }

    /// Gives up the requests of one client, as `cancel` does; others go on.
    ///
    /// - Returns: the requests that were in flight, oldest first.
    public func takeBack(of client: ClientID) -> [RequestID] { remove { $0.client == client } }

    private func remove(where isMeant: (RequestID) -> Bool) -> [RequestID] {
        let ids = scheduler.requests.values.filter { isMeant($0.id) }.sorted { $0.arrival < $1.arrival }.map(\.id)
        for id in ids { cancel(id) }
        return ids
    }

    /// Runs one step; `nil` where nothing is in flight.
    ///
    /// Where the executor's steps go on by themselves, the next one is begun before this returns, so that the device works
    /// while the caller deals with the report. What the caller changes then is for the step after that; of a request that
    /// it cancels, the step under way gives no update.
    ///
    /// Once it has thrown, it throws the same fault at every call.
    public func step() throws(DeviceFault) -> StepReport? {
        try begin()
        guard let decision = begun else { return nil }
        begun = nil
        let outputs: [RequestOutput]
        do throws(DeviceFault) {
            outputs = try executor.finish()
        } catch {
            fault = error
            throw error
        }
        let report = report(decision, outputs)
        cancelledSinceBegin = []
        if executor.runsStepsAsync {
            // Its fault is the next call's: what this step did must be told.
            do throws(DeviceFault) { try begin() } catch {}
        }
        return report
    }

    /// Begins the next step, unless that was done.
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

    /// Throws if anything that must always hold does not: every block in use or free, no row without a slot, and so on.
    public func checkIntegrity() throws(IntegrityViolation) {
        var prefilling: [RequestID] = []
        if case .prefill(let rows)? = begun?.step.work { prefilling = rows.map(\.id) }
        try scheduler.checkIntegrity(prefilling: prefilling)
    }
}

// MARK: - Results of a step

extension TTEngine {
    /// Gives the outputs of a step to its requests. Those of requests that were cancelled meanwhile are dropped.
    private func report(_ decision: Scheduler.Decision, _ outputs: [RequestOutput]) -> StepReport {
        precondition(outputs.count == decision.step.work.rowCount, "an executor answers for each row of a step once")
        func isInFlight(_ id: RequestID) -> Bool {
            scheduler.requests[id] != nil && !cancelledSinceBegin.contains(id)
        }
        var report = StepReport(kind: decision.step.work.kind, preempted: decision.preempted.filter(isInFlight))
        switch decision.step.work {
        case .prefill(let rows):
            for (row, output) in zip(rows, outputs) where isInFlight(row.id) {
                report.updates.append(update(row.id, cachedTokens: row.computedTokens, output))
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
        case .token(let token):
            scheduler.append(token.id, to: id)
            update.finishReason = stopConditions.finishReason(of: scheduler.requests[id]!)
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
                counters.cachedTokens += row.computedTokens
                // A row that has generated was in the batch before: what is prefilled of it is done again.
                if row.tokens.count > row.promptLength { counters.recomputedTokens += prefilled }
            }
        case .decode(let rows):
            counters.decodeSteps += 1
            counters.decodedRows += rows.count
        }
    }
}

extension ScheduledStep.Work {
    /// Which kind of step this is.
    fileprivate var kind: StepReport.Kind {
        switch self {
        case .prefill: .prefill
        case .decode: .decode
        }
    }

    /// Rows that get an output.
    fileprivate var rowCount: Int {
        switch self {
        case .prefill(let rows): rows.count
        case .decode(let rows): rows.count
        }
    }
}
