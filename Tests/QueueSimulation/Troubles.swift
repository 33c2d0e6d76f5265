// What may go wrong in a schedule, and how its daemons are set.

import Settings
import TestSupport

/// What a schedule has, so that some schedules can be judged strictly.
struct Troubles {
    var kills = false
    var deviceFaults = false
    /// The device fails at every step.
    var brokenDevice = false
    var badOutputs = false
    var poison = false
    var store = false
    var models = false
    /// The daemon dies while it loads models.
    var loading = false

    // Where hosts share the queue:
    /// Calls are not made, or their answers are lost.
    var unreachable = false
    /// Machines are cut off for a while.
    var partitions = false
    /// Processes stand still for a while.
    var hangs = false
    var serverRestarts = false
    /// Clocks are hours off.
    var clocks = false
    /// People drain and remove hosts.
    var hosts = false
    /// Not every machine has every model.
    var missingModels = false

    /// Whether lives may end while they work, or be thought to have ended.
    var endLives: Bool { kills || unreachable || partitions || hangs || serverRestarts || hosts }

    /// What the seed chooses.
    init(isShared: Bool, using random: inout SplitMix64) {
        if !random.oneIn(4) {
            kills = random.oneIn(2)
            deviceFaults = random.oneIn(3)
            brokenDevice = random.oneIn(10)
            badOutputs = random.oneIn(3)
            poison = random.oneIn(3)
            store = random.oneIn(3)
            models = random.oneIn(4)
            loading = random.oneIn(8)
        }
        if isShared, !random.oneIn(6) {
            unreachable = random.oneIn(2)
            partitions = random.oneIn(2)
            hangs = random.oneIn(2)
            serverRestarts = random.oneIn(4)
            clocks = random.oneIn(4)
            hosts = random.oneIn(4)
            missingModels = random.oneIn(4)
        }
    }
}

extension DaemonSettings {
    /// Takes what the seed chooses.
    mutating func draw(using random: inout SplitMix64) {
        pollIntervalMS = Int64.random(in: 1...200, using: &random)
        commitIntervalMS = Int64.random(in: 0...100, using: &random)
        commitGroupSize = Int.random(in: 1...6, using: &random)
        metricsIntervalMS = 1000
        graceMS = random.oneIn(2) ? 0 : 3_600_000
        storeRetryMS = 50
        deadAfterMS = Int64.random(in: 300...3000, using: &random)
        maxCrashes = Int.random(in: 1...3, using: &random)
        maxBadOutputs = Int.random(in: 1...3, using: &random)
        maxModelErrors = Int.random(in: 1...3, using: &random)
        backoffMS = [0, 10, 300].randomElement(using: &random)!
        modelTurnMS = [0, 500, 1_000_000].randomElement(using: &random)!
    }
}
