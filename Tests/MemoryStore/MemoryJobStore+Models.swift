// Models that cannot be used, in memory: the failures counted for batches and lives, and what was being loaded by lives that died.

package import Runtime
package import StoreContract

extension MemoryJobStore {
    package func postpone(
        _ batch: BatchID, by life: Incarnation, limit: Int?, backoff: Backoff, because reason: String,
        at now: Milliseconds
    ) throws(JobStoreError) -> Int {
        try write { rows in
            guard let row = rows[batch] else { return 0 }
            if let trouble = rows[life]!.troubles[batch], trouble.failed == now { return trouble.times }
            let others = rows.claimable.filter { other in
                other.id != batch && other.new.model == row.new.model
                    && rows[life]!.troubles[other.id]?.notBefore == nil
            }
            for struck in others + (row.status == .inProgress ? [row] : []) {
                let times = (rows[life]!.troubles[struck.id]?.times ?? 0) + 1
                let delay = times < limit ?? .max ? backoff.delayMS(after: times) : 0
                rows[life]!.troubles[struck.id] = LifeRow.Trouble(
                    times: times, reason: reason, notBefore: delay > 0 ? now + delay : nil, isMissing: limit == nil,
                    isFinal: limit.map { times >= $0 } ?? false, failed: now)
            }
            return row.status == .inProgress ? rows[life]!.troubles[batch]!.times : 0
        }
    }

    package func unusableModel(of batch: BatchID, limit: Int) throws(JobStoreError) -> ModelTrouble? {
        guard queue.hasSeveralOwners else {
            return try self.batch(batch).modelTrouble.flatMap { $0.times >= limit ? $0 : nil }
        }
        return try read { rows in
            guard rows.isUnusable(batch) else { return nil }
            let final = rows.lives.compactMap { $0.troubles[batch] }.filter(\.isFinal)
            return final.max { $0.times < $1.times }.map {
                ModelTrouble(times: $0.times, reason: $0.reason, until: nil)
            }
        }
    }

    package func noteLoading(for batch: BatchID?, incarnation: Incarnation) throws(JobStoreError) {
        try write { $0[incarnation]!.loading = batch }
    }

    package func noteLoaded(_ model: String?, on device: String?, incarnation: Incarnation) throws(JobStoreError) {
        try write { $0[incarnation]!.loaded = model }
    }

    package func loadingThatKilled(before incarnation: Incarnation) throws(JobStoreError) -> BatchID? {
        try read { rows in
            let identity = rows[incarnation]!.identity
            let former = rows.lives.filter { $0.identity == identity && $0.summary.id < incarnation }.suffix(2)
            let batches = former.compactMap { $0.summary.stopped == nil ? $0.loading.flatMap { rows[$0] } : nil }
            return batches.count == 2 && batches[0].new.model == batches[1].new.model ? batches[1].id : nil
        }
    }
}

extension Rows {
    /// Whether a batch may be claimed by a life: its model was not found unusable there, or the jobs are to be failed.
    func isFor(_ life: Incarnation?, _ batch: BatchRow) -> Bool {
        guard let life, let trouble = self[life]?.troubles[batch.id] else { return true }
        return trouble.notBefore == nil && (!trouble.isFinal || isUnusable(batch.id))
    }

    /// Whether no daemon can use the model of a batch: one has tried as often as it does, and all that live have or do not have
    /// it.
    func isUnusable(_ batch: BatchID) -> Bool {
        let living = lives.filter { $0.isAlive && !$0.isDraining && (!$0.isScoped || $0.troubles[batch] != nil) }
            .map { $0.troubles[batch] }
        return living.allSatisfy { $0?.isFinal == true || $0?.isMissing == true }
            && living.contains { $0?.isFinal == true }
    }

    /// Whether a life leaves a batch to daemons that have its model loaded: they can do it, and it is not too much for them.
    func leavesToOthers(
        _ life: Incarnation?, _ batch: BatchRow, jobsWorthLoading: Int, at now: Milliseconds
    ) -> Bool {
        guard let life, let model = batch.new.model, !batch.isUrgent, self[life]?.loaded != model else { return false }
        let others = lives.count { other in
            other.summary.id != life && other.loaded == model && !other.isDraining && other.isAlive
                && other.heard.map { $0.seen > now + -$0.limit } == true && other.troubles[batch.id] == nil
        }
        return jobs(of: batch.id).count(where: \.isReady) <= jobsWorthLoading * others
    }

    /// What is told of a batch's model: the worst, and whose it is if others live.
    func modelTrouble(of batch: BatchID) -> ModelTrouble? {
        let troubled = lives.filter { $0.declaredDead == nil && $0.troubles[batch] != nil }
        let worst = troubled.reversed().max { $0.troubles[batch]!.times < $1.troubles[batch]!.times }
        return worst.map { life in
            let trouble = life.troubles[batch]!
            let isOneOfSeveral = lives.contains { $0.isAlive && $0.identity != life.identity }
            let reason = isOneOfSeveral ? "\(life.summary.daemon.host): \(trouble.reason)" : trouble.reason
            return ModelTrouble(times: trouble.times, reason: reason, until: trouble.notBefore)
        }
    }

    /// A job of the batch has run: the life can use the model, for all that ask for it.
    mutating func forgetModelTrouble(_ batch: BatchID, of life: Incarnation) {
        guard self[life]?.troubles.isEmpty == false else { return }
        let model = self[batch]!.new.model
        self[life]!.troubles = self[life]!.troubles.filter { self[$0.key]?.new.model != model }
    }

    /// Lets lives try a batch again; it joins the others of its priority, behind whose turns it has fallen.
    mutating func wake(_ batch: BatchRow, at now: Milliseconds) {
        var isWoken = false
        for index in lives.indices {
            guard let due = lives[index].troubles[batch.id]?.notBefore, due <= now else { continue }
            lives[index].troubles[batch.id]!.notBefore = nil
            isWoken = true
        }
        guard isWoken, !batch.isUrgent else { return }
        let turns = claimable.filter { $0.id != batch.id && $0.new.priority == batch.new.priority && !$0.isUrgent }
        batch.turn = max(batch.turn, turns.map(\.turn).min() ?? 0)
    }
}
