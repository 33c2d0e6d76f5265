// The perplexity of a model on a text, with full and with reduced precision.

import Foundation
import HostDevice
import ModelFiles
import Platform
import Tokenizers

extension MachineBenchmark {
    /// The number of tokens in a window, unless the model's longest sequence is shorter.
    private static let window = 512
    private static let rows = 32

    /// Measures the perplexity of the text at `path` in both modes, and how often both would choose the same token.
    ///
    /// The tokens of the text are split into windows of 512; the last one is shorter. A window has no context before
    /// it. All of its tokens but the first are scored.
    ///
    /// - Throws: the errors of `measure`; `TokenizerError`, `BenchmarkError.unreadable`, `BenchmarkError.tooShort`.
    public func perplexity(path: String, progress: (String) -> Void) throws -> [MeasuredTable] {
        guard let data = FileManager.default.contents(atPath: path), let text = String(data: data, encoding: .utf8)
        else { throw BenchmarkError.unreadable(path: path) }
        let entry = try self.entry
        let bundle = try ModelBundle(entry)
        let config = bundle.config
        let tokens = try Tokenizer(
            bundle.tokenizerFiles(), preTokenizer: bundle.options.preTokenizer
        ).encode(text, specials: .parsed)
        guard tokens.count > 1 else { throw BenchmarkError.tooShort(path: path, tokens: tokens.count) }
        let length = min(Self.window, config.contextLength)
        let windows = stride(from: 0, to: tokens.count, by: length).map {
            tokens[$0..<min($0 + length, tokens.count)]
        }
        progress("\(tokens.count) tokens in \(windows.count) windows of \(length): accuracy")
        let accuracy = try scores(windows, config, .accuracy, length)
        progress("performance")
        let performance = try scores(windows, config, .performance, length)
        return [
            .perplexity([(.accuracy, accuracy), (.performance, performance)], window: length),
            .agreement(accuracy, performance),
        ]
    }

    private func scores(
        _ windows: [ArraySlice<Int32>], _ config: ModelConfig, _ optimizations: Optimizations, _ length: Int
    ) throws -> TokenScores {
        var engine = self.engine
        engine.tt.optimizations = optimizations
        // The reference uses the highest precision that there is.
        if optimizations == .accuracy { engine.kvCacheDType = nil }
        engine.maxNumSeqs = Self.rows
        engine.maxModelLen = .tokens(length)
        engine.maxNumBatchedTokens = nil
        let checked = try TTPlatform.checkAndUpdateConfig(
            engine, model: config, platform: device.platform, deviceCount: device.meshShape.deviceCount)
        let model = try TTModelLoader.load(config, configuration: checked, device: device)
        let blocks = (length + checked.blockSize - 1) / checked.blockSize
        let cache = KVCacheShape(
            blockCount: Self.rows * blocks, blockSize: checked.blockSize,
            hasNullBlock: model.capabilities.needsNullBlock)
        try model.allocateKVCache(cache)
        return try TokenScores(of: windows, by: model, rows: Self.rows, blocks: cache.blocks(of: 0))
    }
}

extension MeasuredTable {
    fileprivate static func perplexity(_ scores: [(Optimizations, TokenScores)], window: Int) -> MeasuredTable {
        var table = MeasuredTable(
            "perplexity", "Perplexity",
            [
                Column("optimizations", "optimizations"), Column("window", "window"), Column("tokens", "tokens scored"),
                Column("negative_log_likelihood", "nats", .precise), Column("perplexity", "perplexity", .precise),
            ])
        for (optimizations, scores) in scores {
            table.add([
                .text(optimizations.rawValue), .count(window), .count(scores.count),
                .number(scores.negativeLogLikelihood), .number(scores.perplexity),
            ])
        }
        return table
    }

    fileprivate static func agreement(_ accuracy: TokenScores, _ performance: TokenScores) -> MeasuredTable {
        var table = MeasuredTable(
            "agreement", "Performance against accuracy",
            [
                Column("perplexity_ratio", "perplexity, ratio", .precise),
                Column("same_best_tokens", "same most probable token"), Column("same_best_share", "share", .share),
            ])
        let same = zip(accuracy.best.joined(), performance.best.joined()).count { $0 == $1 }
        table.add([
            .number(performance.perplexity / accuracy.perplexity), .count(same),
            .number(Double(same) / Double(accuracy.count)),
        ])
        return table
    }
}
