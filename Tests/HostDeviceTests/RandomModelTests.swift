// Every family that can be described: logits of random models against transformers, and their bits in any company.

import ModelFiles
import Platform
import RandomModels
import Testing

@testable import HostDevice

/// The steps of a random model's answers: its prompts together in a prefill, then the given tokens.
private struct AnsweringModel {
    let answers: [LogitsAnswer]
    private let loaded: LoadedModel

    init(
        _ model: RandomModel, path: String, _ optimizations: Optimizations = .accuracy, threads: Int = 1,
        blockSize: Int = 16
    ) throws {
        answers = model.answers
        loaded = try LoadedModel(
            path: path, optimizations, threads: threads, blockSize: blockSize, maxSequenceLength: model.maxModelLength)
    }

    /// Logits of `steps` decode steps of each prompt, and before them of the prefill; `rows` are the prompts that run
    /// together, in the order of their batch slots.
    func logits(rows: [Int], steps: Int, order: (Int) -> Int = { $0 }) throws -> [[[Float]]] {
        let table = loaded.table(rows: rows.count, order: order)
        let prompts = rows.map { answers[$0].prompt.map { Int32($0) } }
        let output = try loaded.model.prefillForward(
            PrefillBatch(
                tokens: prompts, startPositions: rows.map { _ in 0 }, pageTable: table,
                slots: Array(rows.indices), sampling: rows.map { _ in .onHost }))
        var logits = try output.rows.map { [try #require($0.logits)] }
        for step in 0..<steps {
            let tokens = rows.map { Int32(answers[$0].given[step]) }
            let positions = prompts.map { Int32($0.count + step) }
            for (row, result) in try loaded.decode(tokens, positions, table: table).enumerated() {
                logits[row].append(try #require(result))
            }
        }
        return logits
    }

    /// Logits after the prompt and `count` given tokens, prefilled at once, as after a preemption.
    func recomputed(prompt: Int, given count: Int) throws -> [Float] {
        let tokens = answers[prompt].prompt + answers[prompt].given[..<count]
        return try loaded.prefill(tokens.map { Int32($0) })
    }

    /// Logits of the same, after `start` tokens that another sequence has computed.
    func sharing(prompt: Int, given count: Int, start: Int) throws -> [Float] {
        let tokens = (answers[prompt].prompt + answers[prompt].given[..<count]).map { Int32($0) }
        let table = loaded.table(rows: 2)
        _ = try loaded.prefill(Array(tokens[..<(start + 3)]), table: table)
        var shared = PageTable(rows: 1, width: table.width)
        let blocks = start / loaded.blockSize
        shared.setRow(0, to: Array(table[0].prefix(blocks)) + Array(table[1].dropFirst(blocks)))
        let copied = BlockCopy(
            source: table[0][table[0].startIndex + blocks], target: table[1][table[1].startIndex + blocks])
        return try loaded.prefill(Array(tokens[start...]), start: start, copies: [copied], table: shared)
    }
}

@Suite struct RandomModelTests {
    /// Every container that holds the model gives the same answers.
    @Test(arguments: RandomModel.names)
    func logitsEqualTransformers(name: String) throws {
        let model = try RandomModel(name)
        for path in model.containers {
            let logits = try AnsweringModel(model, path: path).logits(rows: [0, 1, 2], steps: 64)
            var worst: Float = 0
            for (prompt, answer) in model.answers.enumerated() {
                for (step, expected) in answer.steps.enumerated() {
                    worst = max(worst, expected.error(of: logits[prompt][step]))
                }
            }
            let container = path == model.folder ? "folder" : String(path.dropFirst(model.folder.count + 1))
            #expect(worst < 2e-5, "\(name), \(container)")
            print("\(name), \(container): relative error \(worst)")
        }
    }

    @Test(arguments: RandomModel.names, Optimizations.allCases)
    func companyDoesNotChangeABit(name: String, optimizations: Optimizations) throws {
        let model = try RandomModel(name)
        let path = model.gguf ?? model.folder
        let steps = 40
        let expected = try AnsweringModel(model, path: path, optimizations).logits(rows: [0, 1, 2], steps: steps)
        // Other slots, threads, block sizes and places of blocks; and alone.
        let other = try AnsweringModel(model, path: path, optimizations, threads: 2, blockSize: 5)
        let mixed = try other.logits(rows: [2, 0, 1], steps: steps) { ($0 * 37 + 11) % 251 }
        #expect(mixed == [expected[2], expected[0], expected[1]])
        let alone = try AnsweringModel(model, path: path, optimizations, threads: 2)
        #expect(try alone.logits(rows: [1], steps: steps) == [expected[1]])
        // Preempted and recomputed; and after a beginning that another sequence has computed.
        #expect(try alone.recomputed(prompt: 0, given: 33) == expected[0][33])
        #expect(try alone.sharing(prompt: 1, given: 30, start: 21) == expected[1][30])
    }

    @Test(arguments: RandomModel.names)
    func int8ActivationsStayNear(name: String) throws {
        let model = try RandomModel(name)
        let path = model.gguf ?? model.folder
        let exact = try AnsweringModel(model, path: path).logits(rows: [0, 1, 2], steps: 8)
        let fast = try AnsweringModel(model, path: path, .performance).logits(rows: [0, 1, 2], steps: 8)
        for (one, other) in zip(exact.joined(), fast.joined()) {
            let error = zip(one, other).reduce(0.0) { $0 + Double(($1.0 - $1.1) * ($1.0 - $1.1)) }
            let size = one.reduce(0.0) { $0 + Double($1 * $1) }
            #expect((error / size).squareRoot() < 0.12)
        }
    }
}
