// The engine: takes requests, runs steps, and tells what each step did.

public import TTPlatform
public import TTWorker

/// Generates tokens for many requests at once by continuous batching, on one executor.
///
/// A plain state machine, driven by `step()`: no clocks, threads, I/O or randomness inside, so the same calls give the
/// same steps. It is used from one thread at a time. How requests are chosen is `Scheduler`'s.
public final class TTEngine {
    private let executor: any StepExecutor
    private let stopConditions: StopConditions
    private var scheduler: Scheduler
    private var counters: EngineStatistics
    private var nextID = 0
    /// The step that was begun before the caller has seen what the last one did.
    private var begun: Scheduler.Decision?
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
    /// Slots without a request.
    public var freeSlots: Int { scheduler.limits.maxNumSeqs - scheduler.running.count }

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
    /// Generation may end before `maxTokens`: with `.length` when prompt and generated tokens together reach the
    /// model's length, or the size of the whole KV pool where that is smaller.
    public func add(prompt: [Int32], sampling: SamplingParams) throws(RequestRefusal) -> RequestID {
        try scheduler.limits.admit(
            prompt: prompt, sampling: sampling, endOfGeneration: stopConditions.endOfGeneration)
        let id = RequestID(nextID)
        nextID += 1
        scheduler.add(EngineRequest(id: id, prompt: prompt, sampling: sampling))
        return id
    }

    /// Ends a request from outside: its user cancelled it, or its text reached a stop string.
    ///
    /// No event follows. Its slot and blocks are free for the next step that begins.
    /// - Returns: whether it was in flight.
    @discardableResult
    public func cancel(_ id: RequestID) -> Bool { scheduler.remove(id) != nil }

    /// Gives up every request, to be run again elsewhere or later, and frees all slots and blocks.
    ///
    /// After a device fault it is the way to get the requests back; the engine is then at its end, since the state of
    /// its executor is unknown. Otherwise it can be used on.
    /// - Returns: the requests that were in flight, oldest first.
    public func takeBackAll() -> [RequestID] {
        if begun != nil {
            begun = nil
            // The device must be at rest before it is used for something else; what it says is of no use.
            do throws(DeviceFault) { _ = try executor.finish() } catch { fault = error }
        }
        let ids = scheduler.requests.keys.sorted()
        for id in ids { scheduler.remove(id) }
        return ids
    }

    /// Runs one step; `nil` where nothing is in flight.
    ///
    /// Where the executor's steps go on by themselves, the next one is begun before this returns, so that the device works
    /// while the caller deals with the report. What the caller changes then is for the step after that; of a request that
    /// it cancels, the step under way gives no event.
    ///
    /// Once it has thrown, it throws the same fault at every call.
    public func step() throws(DeviceFault) -> StepReport? {
        try begin()
        guard let decision = begun else { return nil }
        begun = nil
        let sampled: [SampledToken]
        do throws(DeviceFault) {
            sampled = try executor.finish()
        } catch {
            fault = error
            throw error
        }
        precondition(sampled.map(\.id) == decision.step.work.ids, "an executor answers for each row of a step once")
        let wanted = sampled.filter { scheduler.requests[$0.id] != nil }
        count(decision, generated: wanted.count)
        var events = decision.preempted.filter { scheduler.requests[$0] != nil }.map(EngineEvent.preempted)
        if case .prefill(let rows) = decision.step.work {
            for row in rows where row.computedTokens > 0 && scheduler.requests[row.id] != nil {
                events.append(.cached(row.id, tokens: row.computedTokens))
            }
        }
        for token in wanted { apply(token, to: &events) }
        if executor.runsApart {
            // Its fault is the next call's: what this step did must be told.
            do throws(DeviceFault) { try begin() } catch {}
        }
        return StepReport(kind: decision.step.work.kind, events: events)
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

    /// Throws if anything that must always hold does not: every block owned or free, no row without a slot, and so on.
    public func checkIntegrity() throws(IntegrityViolation) {
        var prefilling: [RequestID] = []
        if case .prefill(let rows)? = begun?.step.work { prefilling = rows.map(\.id) }
        try scheduler.checkIntegrity(prefilling: prefilling)
    }
}

// MARK: - Results of a step

extension TTEngine {
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

    private func apply(_ sampled: SampledToken, to events: inout [EngineEvent]) {
        let id = sampled.id
        let token: Int32
        switch sampled.result {
        case .success(let sampled): token = sampled
        case .failure(let bad):
            scheduler.discard(id)
            events.append(.badOutput(id, bad))
            return
        }
        scheduler.append(token, to: id)
        let reason = stopConditions.finishReason(of: scheduler.requests[id]!)
        switch reason {
        case .endOfGeneration, .stop: events.append(.stopToken(id, token))
        case .length, nil: events.append(.token(id, token))
        }
        if let reason {
            scheduler.remove(id)
            events.append(.finished(id, reason))
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

    /// The requests that get a token.
    fileprivate var ids: [RequestID] {
        switch self {
        case .prefill(let rows): rows.map(\.id)
        case .decode(let rows): rows.map(\.id)
        }
    }
}
