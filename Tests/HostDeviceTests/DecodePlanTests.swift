// Decode plans: what the device keeps, what it reloads, and what it refuses (TT contract §1.6).

import ModelFiles
import Platform
import Sampling
import Testing

@testable import HostDevice

@Suite struct DecodePlanTests {
    /// Kept traces are replayed step after step; without, each step's stages are made anew.
    @Test(arguments: [Optimizations.performance, .accuracy], [1, 3])
    func tracesChangeNoToken(_ optimizations: Optimizations, _ threads: Int) throws {
        let prompt = someTokens(37, seed: 4)
        let plain = try LoadedModel(tiny: "tiny-q4_1", optimizations, threads: threads)
        let traced = try LoadedModel(tiny: "tiny-q4_1", optimizations, threads: threads)
        try traced.model.warmUp(
            WarmUpPlan(
                decodeBatchSize: 8, pageTableWidth: 16, traceMode: true, samplePrefillOnDevice: true,
                sampleDecodeOnDevice: true))
        let expected = try plain.generate(prompt, count: 40)
        for _ in 0..<2 { #expect(try traced.generate(prompt, count: 40) == expected) }
    }

    static let keep = DecodePlan(inputs: .keep, reloadSamplingParams: false, resetSamplingState: false)
    static let sampled = TTSamplingParams(temperature: 0.9, topK: 40, topP: 0.95, seed: 11)
    static let prompts = [someTokens(20, seed: 3), someTokens(33, seed: 4), someTokens(6, seed: 5)]
    static let params: [RowSampling] = [.onDevice(sampled), .onDevice(.greedy), .onDevice(sampled)]

    /// Tokens of the three prompts over ten decode steps, all inputs reloaded in each.
    static func reloaded() throws -> [[Int32]] {
        let loaded = try LoadedModel(tiny: "tiny-q4_0")
        let table = loaded.table(rows: 3)
        var rows = try start(loaded, table)
        for step in 0..<10 {
            try loaded.model.decodeForward(
                DecodeBatch(
                    tokens: rows.map { $0[step] }, positions: prompts.map { Int32($0.count + step) }, pageTable: table,
                    sampling: params),
                plan: .reloadEverything)
            let output = try loaded.model.readDecodeOutput()
            for row in 0..<3 { rows[row].append(try #require(output.rows[row].token)) }
        }
        return rows
    }

    static func start(_ loaded: LoadedModel, _ table: PageTable) throws -> [[Int32]] {
        let output = try loaded.model.prefillForward(
            PrefillBatch(
                tokens: prompts, startPositions: [0, 0, 0], pageTable: table, slots: [0, 1, 2], sampling: params))
        return try output.rows.map { [try #require($0.token)] }
    }

    static func firstStep(_ loaded: LoadedModel, _ table: PageTable) throws -> [[Int32]] {
        var rows = try start(loaded, table)
        try loaded.model.decodeForward(
            DecodeBatch(
                tokens: rows.map { $0[0] }, positions: prompts.map { Int32($0.count) }, pageTable: table,
                sampling: params),
            plan: .reloadEverything)
        let output = try loaded.model.readDecodeOutput()
        for row in 0..<3 { rows[row].append(try #require(output.rows[row].token)) }
        return rows
    }

    static let nothing = DecodeBatch(tokens: [], positions: [], pageTable: PageTable(rows: 0, width: 1), sampling: [])

    @Test func keptInputsContinueAsReloadedOnes() throws {
        let loaded = try LoadedModel(tiny: "tiny-q4_0")
        var rows = try Self.firstStep(loaded, loaded.table(rows: 3))
        for _ in 1..<10 {
            try loaded.model.decodeForward(Self.nothing, plan: Self.keep)
            let output = try loaded.model.readDecodeOutput()
            for row in 0..<3 { rows[row].append(try #require(output.rows[row].token)) }
        }
        #expect(rows == (try Self.reloaded()))
    }

    @Test func aBatchThatContradictsItselfChangesNothing() throws {
        var state = DecodeState()
        var batch = DecodeBatch(
            tokens: [1, 2, 3], positions: [4, 5, 6], pageTable: PageTable(rows: 3, width: 1), sampling: Self.params)
        try state.apply(.reloadEverything, batch)
        let before = state
        batch.positions = [7]
        #expect(throws: DeviceFault.self) { try state.apply(.reloadEverything, batch) }
        #expect(state == before)
    }

    @Test func reloadedPageTableIsUsed() throws {
        let loaded = try LoadedModel(tiny: "tiny-q4_0")
        let table = loaded.table(rows: 3)
        // Row 1's 33 tokens fill two blocks and begin a third: give it another fourth one.
        var rows = try Self.firstStep(loaded, table)
        var moved = table
        moved.blocks[table.width + 3] = 200
        for _ in 1..<10 {
            let batch = DecodeBatch(tokens: [], positions: [], pageTable: moved, sampling: [])
            try loaded.model.decodeForward(
                batch,
                plan: DecodePlan(inputs: .reloadPageTable, reloadSamplingParams: false, resetSamplingState: false))
            let output = try loaded.model.readDecodeOutput()
            for row in 0..<3 { rows[row].append(try #require(output.rows[row].token)) }
        }
        #expect(rows == (try Self.reloaded()))
    }

    @Test func samplingParametersStayUntilReloaded() throws {
        let loaded = try LoadedModel(tiny: "tiny-q4_0")
        let table = loaded.table(rows: 3)
        let rows = try Self.firstStep(loaded, table)
        var batch = Self.nothing
        batch.sampling = [.onHost, .onHost, .onHost]
        try loaded.model.decodeForward(batch, plan: Self.keep)
        #expect(try loaded.model.readDecodeOutput().rows.allSatisfy { $0.token != nil })
        var plan = Self.keep
        plan.reloadSamplingParams = true
        try loaded.model.decodeForward(batch, plan: plan)
        #expect(try loaded.model.readDecodeOutput().rows.allSatisfy { $0.logits != nil })
        #expect(rows.count == 3)
    }

    @Test func deviceAndHostSampleTheSameToken() throws {
        let loaded = try LoadedModel(tiny: "tiny-q4_0")
        let prompt = Self.prompts[0]
        let logits = try loaded.prefill(prompt)
        let host = logits.withUnsafeBufferPointer {
            TokenSampler.sample($0, Self.sampled, position: prompt.count)
        }
        #expect(host == (try Self.reloaded())[0][0])
    }

    @Test func stepsOutOfOrderAreFaults() throws {
        let loaded = try LoadedModel(tiny: "tiny-q4_0")
        #expect(throws: DeviceFault.self) { try loaded.model.readDecodeOutput() }
        #expect(throws: DeviceFault.self) { try loaded.model.decodeForward(Self.nothing, plan: Self.keep) }
        _ = try Self.start(loaded, loaded.table(rows: 3))
        let batch = DecodeBatch(
            tokens: [1], positions: [20], pageTable: loaded.table(rows: 1), sampling: [.onHost])
        try loaded.model.decodeForward(batch, plan: .reloadEverything)
        #expect(throws: DeviceFault.self) { try loaded.model.decodeForward(batch, plan: .reloadEverything) }
        _ = try loaded.model.readDecodeOutput()
        // The host has the token: the device cannot continue by itself.
        #expect(throws: DeviceFault.self) { try loaded.model.decodeForward(Self.nothing, plan: Self.keep) }
    }

    @Test func impossibleInputsAreFaultsNotCrashes() throws {
        let loaded = try LoadedModel(tiny: "tiny-q4_0")
        #expect(throws: DeviceFault.self) { try loaded.prefill([Int32(loaded.config.vocabularySize)]) }
        #expect(throws: DeviceFault.self) { try loaded.prefill([-1]) }
        #expect(throws: DeviceFault.self) { try loaded.prefill([1], start: 256) }
        #expect(throws: DeviceFault.self) { try loaded.prefill([]) }
        #expect(throws: DeviceFault.self) { try loaded.prefill([1], table: loaded.table(rows: 1) { _ in 256 }) }
    }
}
