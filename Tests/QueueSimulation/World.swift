// What surrounds the daemon in a simulation: time, chance, the device, and the prompts.

import BatchDaemon
import Engine
import Foundation
import ModelFiles
import Platform
import Prompts
import Runtime
import Sampling
import StoreContract
import Synchronization
import TestSupport
import Tokenizers
import Worker

extension SplitMix64 {
    /// True once in `times`.
    mutating func oneIn(_ times: Int) -> Bool { Int.random(in: 0..<times, using: &self) == 0 }
}

/// A steady clock that only the simulation advances, and a wall clock that can be set.
final class SimulatedTime: Sendable {
    private let times = Mutex((wall: Int64(1_000_000), steady: Int64(0)))

    var wall: Milliseconds { times.withLock { Milliseconds(rawValue: $0.wall) } }
    var steady: Int64 { times.withLock(\.steady) }

    func pass(_ milliseconds: Int64) {
        times.withLock { times in
            times.wall += milliseconds
            times.steady += milliseconds
        }
    }

    func setWall(by milliseconds: Int64) { times.withLock { $0.wall = max(1, $0.wall + milliseconds) } }

    var clock: TimeSource { TimeSource({ self.wall }, steady: { self.steady }) }
}

/// The disk under the store.
final class SimulatedDisk: Sendable {
    private let full = Atomic(false)

    /// Whether nothing can be written, or read, at the moment.
    var isFull: Bool {
        get { full.load(ordering: .relaxed) }
        set { full.store(newValue, ordering: .relaxed) }
    }
}

/// A prompt, how long its answer may be, and what is wrong with it. Its job's body is its bytes.
struct SimulatedPrompt {
    static let endOfGeneration: Int32 = 0
    static let vocabularySize = 40
    /// Brings the device down whenever it is prefilled.
    static let poison: Int32 = 39
    /// Gets no token, ever.
    static let unanswerable: Int32 = 38

    let tokens: [Int32]
    let maxTokens: Int

    init(tokens: [Int32], maxTokens: Int) {
        self.tokens = tokens
        self.maxTokens = maxTokens
    }

    init(body: [UInt8]) {
        self.init(tokens: body.dropFirst().map { Int32($0) }, maxTokens: Int(body[0]))
    }

    var body: [UInt8] { [UInt8(maxTokens)] + tokens.map { UInt8($0) } }

    /// What a device answers that is in order.
    var answer: [Int32] {
        var sequence = tokens
        while sequence.count - tokens.count < maxTokens {
            sequence.append(Self.token(after: sequence))
            if sequence.last == Self.endOfGeneration { break }
        }
        return Array(sequence[tokens.count...])
    }

    /// A token that depends on every token before it.
    static func token(after sequence: [Int32]) -> Int32 {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for token in sequence { hash = (hash ^ UInt64(UInt32(bitPattern: token))) &* 0x100_0000_01B3 }
        return Int32((hash >> 32) % UInt64(vocabularySize))
    }

    /// The texts that it wants: up to three, or up to two of each of two equal prompts.
    var choices: Int { Int(tokens.last! % 3) + 1 }
    var prompts: Int { tokens.count % 5 == 0 ? 2 : 1 }

    var prepared: PreparedRequest {
        var output = OutputRules()
        output.returnsTokenIDs = true
        return PreparedRequest(
            prompts: Array(repeating: tokens, count: prompts),
            sampling: SamplingParams(token: .greedy, maxTokens: maxTokens), candidates: choices, choices: choices,
            output: output)
    }
}

/// A device that answers each row by its sequence, until it does not.
final class SimulatedDevice: StepExecutor {
    let limits: StepLimits
    /// Makes the next step fail.
    var fails = false
    /// Makes the next step fail, and it is the model's fault.
    var losesModel = false
    /// Makes one row of the next step get no token.
    var hasBadRow = false
    private(set) var steps = 0
    private(set) var faults = 0
    private(set) var badOutputs = 0
    private var rows: [RequestID: [Int32]] = [:]
    /// Makes the engine begin steps early.
    let runsStepsAsync: Bool
    private var begun: ScheduledStep?

    init(slots: Int, runsStepsAsync: Bool) {
        self.runsStepsAsync = runsStepsAsync
        limits = StepLimits(
            maxNumSeqs: slots, maxModelLen: 32, maxNumBatchedTokens: 64,
            kvCache: KVCacheShape(blockCount: 24, blockSize: 4), vocabularySize: SimulatedPrompt.vocabularySize,
            prefixSharing: .anywhere)
    }

    func begin(_ step: ScheduledStep) { begun = step }

    func finish() throws(DeviceFault) -> StepResult {
        guard let step = begun else { preconditionFailure("no step was begun") }
        begun = nil
        steps += 1
        for id in step.leaving { rows[id] = nil }
        let ids: [RequestID]
        switch step.work {
        case .prefill(let prefilled):
            for row in prefilled {
                for id in row.ids { rows[id] = row.tokens }
            }
            ids = prefilled.flatMap(\.ids)
            if prefilled.contains(where: { $0.tokens[0] == SimulatedPrompt.poison }) { fails = true }
        case .decode(let decoded): ids = decoded.map(\.id)
        }
        if losesModel {
            throw DeviceFault(operation: "simulated step", reason: "the model is lost", cause: .model)
        }
        if fails {
            faults += 1
            throw DeviceFault(operation: "simulated step", reason: "asked for")
        }
        let outputs: [RequestOutput] = ids.map { id in
            if rows[id]![0] == SimulatedPrompt.unanswerable || hasBadRow {
                hasBadRow = false
                badOutputs += 1
                return .bad(BadOutput("asked for"))
            }
            let token = SimulatedPrompt.token(after: rows[id]!)
            rows[id]!.append(token)
            return .token(token)
        }
        return StepResult(outputs)
    }
}

/// Text of the repository's tiny model. It is not checked, but producing it is part of the writer.
enum SimulatedText {
    static let tokenizer: Tokenizer = {
        let path = Locations.golden("tiny/tiny-f32.gguf").path
        do {
            return try Tokenizer(try GGUFFile(path: path).metadata)
        } catch {
            fatalError("\(error)")
        }
    }()
}
