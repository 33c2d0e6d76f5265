// Perplexity against a direct computation: each prefix prefilled by itself.

import FakeModel
import Foundation
import HostDevice
import ModelFiles
import Platform
import TestSupport
import Testing
import Tokenizers

@testable import Benchmarks
@testable import Settings

@Suite struct PerplexityTests {
    /// The tiny model on the host with room for `rows` rows of 32 tokens in blocks of 16.
    private func model(_ device: any MeshDevice, rows: Int) throws -> any TTModel {
        let config = try config()
        var engine = EngineConfiguration()
        engine.maxNumSeqs = rows
        engine.maxModelLen = .tokens(32)
        engine.tt.optimizations = .accuracy
        let checked = try TTPlatform.checkAndUpdateConfig(engine, model: config, platform: device.platform)
        let model = try TTModelLoader.load(config, configuration: checked, device: device)
        try model.allocateKVCache(KVCacheShape(blockCount: 2 * rows, blockSize: 16))
        return model
    }

    private func config() throws -> ModelConfig { try ModelBundle(path: TinyModel.path).config }

    private func host() throws -> any MeshDevice {
        var engine = EngineConfiguration()
        engine.device = "host"
        return try HostPlatform().openMeshDevice(
            engine, for: try config(), as: .only, user: DeviceUser())
    }

    /// Σ −log p and the most probable tokens, by prefilling every prefix.
    private func direct(_ window: [Int32], _ model: any TTModel) throws -> (sum: Double, best: [Int32]) {
        var (sum, best) = (0.0, [Int32]())
        var table = PageTable(rows: 1, width: 2)
        table.setRow(0, to: [0, 1])
        for length in window.indices.dropFirst() {
            let output = try model.prefillForward(
                PrefillBatch(
                    tokens: [Array(window[..<length])], startPositions: [0], pageTable: table, slots: [0],
                    sampling: [.onHost]))
            guard case .logits(let logits) = output.rows[0] else { throw NoLogits() }
            let exponentials = logits.map { exp(Double($0)) }
            sum -= log(exponentials[Int(window[length])] / exponentials.reduce(0, +))
            best.append(Int32(logits.firstIndex(of: logits.max()!)!))
        }
        return (sum, best)
    }

    private struct NoLogits: Error {}

    @Test func windowsOfAllLengthsScoreAsPrefixesDo() throws {
        let device = try host()
        defer { device.close() }
        let tokens = (0..<90).map { Int32($0 * 37 % 256) }
        // Three rows at a time: a second group, a window of two tokens, and one of a single token that scores nothing.
        let windows = [tokens[0..<32], tokens[32..<64], tokens[64..<66], tokens[66..<67], tokens[67..<90]]
        let scores = try TokenScores(of: windows, by: try model(device, rows: 3), rows: 3, blocks: 0..<6)
        var sum = 0.0
        let reference = try model(device, rows: 1)
        for (window, best) in zip(windows, scores.best) {
            let expected = try direct(Array(window), reference)
            sum += expected.sum
            #expect(best == expected.best)
        }
        #expect(scores.count == 31 + 31 + 1 + 22)
        #expect(abs(scores.negativeLogLikelihood - sum) < 1e-9 * sum)
        #expect(abs(scores.perplexity - exp(sum / 85)) < 1e-6)
    }

    private func benchmark() throws -> MachineBenchmark {
        let sources = ConfigurationSources(
            file: nil, flags: [("model", TinyModel.path, "--model"), ("engine.threads", "1", "--threads")],
            environment: [:])
        let configuration = try Configuration(sources)
        return try MachineBenchmark(
            configuration.engine, model: configuration.model, in: configuration.catalogue)
    }

    @Test func bothModesSideBySide() throws {
        let folder = try TemporaryFolder()
        let text = try folder.write("text.txt", String(repeating: "The quick brown fox. ", count: 20))
        let tables = try benchmark().perplexity(path: text) { _ in }
        #expect(tables.map(\.name) == ["perplexity", "agreement"])
        #expect(tables[0].rows.map { $0[0] } == [.text("accuracy"), .text("performance")])
        guard case .count(let window) = tables[0].rows[0][1], case .count(let scored) = tables[0].rows[0][2],
            case .number(let ratio) = tables[1].rows[0][0], case .count(let same) = tables[1].rows[0][1]
        else {
            Issue.record("\(tables)")
            return
        }
        let tokens = try TinyModel.tokenizer.encode(
            String(repeating: "The quick brown fox. ", count: 20), specials: .parsed)
        #expect(window == TinyModel.contextLength)
        #expect(scored == tokens.count - (tokens.count + window - 1) / window)
        #expect(abs(ratio - 1) < 0.05)
        #expect((1...scored).contains(same))
    }

    @Test func textsThatCannotBeScored() throws {
        let folder = try TemporaryFolder()
        let benchmark = try benchmark()
        let short = try folder.write("short.txt", "")
        #expect(throws: BenchmarkError.tooShort(path: short, tokens: 0)) {
            try benchmark.perplexity(path: short) { _ in }
        }
        #expect(throws: BenchmarkError.unreadable(path: folder.path + "/none")) {
            try benchmark.perplexity(path: folder.path + "/none") { _ in }
        }
        let steps = MachineBenchmark.Steps(batchSizes: [1], contexts: [4], promptLengths: [257], rounds: 1)
        #expect(throws: BenchmarkError.tooLong(positions: 257, model: TinyModel.path, longest: 256)) {
            try benchmark.measure(steps) { _ in }
        }
    }
}
