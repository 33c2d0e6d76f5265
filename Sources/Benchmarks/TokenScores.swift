// The log probabilities that a model gives to known tokens.

import Glibc
import Platform

/// The scores of windows of tokens. Windows are independent, and the first token of each is not scored.
struct TokenScores {
    /// The sum of the negative log probabilities of the scored tokens, in nats.
    private(set) var negativeLogLikelihood = 0.0
    /// The most probable token at the position of each scored one, window by window.
    private(set) var best: [[Int32]]

    /// The number of scored tokens.
    var count: Int { best.reduce(0) { $0 + $1.count } }
    /// The exponential of the mean negative log probability.
    var perplexity: Double { exp(negativeLogLikelihood / Double(count)) }

    /// Scores `windows`, several at once as the rows of decode steps. The tokens of the windows are fed instead of
    /// sampled ones.
    ///
    /// - Parameters:
    ///   - model: must have a cache with these `blocks`. They are divided among the rows; each share must hold any
    ///     window.
    ///   - rows: the number of windows to score at once.
    init(
        of windows: [ArraySlice<Int32>], by model: any TTModel, rows: Int, blocks: Range<Int32>
    ) throws(DeviceFault) {
        best = Array(repeating: [], count: windows.count)
        let windows = windows.map(Array.init)
        for begin in stride(from: 0, to: windows.count, by: rows) {
            try score(begin..<min(begin + rows, windows.count), windows, model, rows: rows, blocks)
        }
    }

    private mutating func score(
        _ group: Range<Int>, _ windows: [[Int32]], _ model: any TTModel, rows: Int, _ blocks: Range<Int32>
    ) throws(DeviceFault) {
        let blocksOfRow = blocks.count / rows
        var table = PageTable(rows: group.count, width: blocksOfRow)
        for row in 0..<group.count {
            table.setRow(row, to: blocks.dropFirst(row * blocksOfRow).prefix(blocksOfRow))
        }
        let sampling = Array(repeating: RowSampling.onHost, count: group.count)
        let first = try model.prefillForward(
            PrefillBatch(
                tokens: group.map { [windows[$0][0]] }, startPositions: Array(repeating: 0, count: group.count),
                pageTable: table, slots: Array(0..<group.count), sampling: sampling))
        add(first, of: group, windows, position: 0)
        for position in 1..<max(1, group.map { windows[$0].count - 1 }.max()!) {
            // The logits after a window's last token are not scored: such rows are padding.
            let isOn = group.map { position < windows[$0].count - 1 }
            try model.decodeForward(
                DecodeBatch(
                    tokens: zip(group, isOn).map { $1 ? windows[$0][position] : 0 },
                    positions: isOn.map { $0 ? Int32(position) : -1 }, pageTable: table, sampling: sampling),
                plan: .reloadEverything)
            add(try model.readDecodeOutput(), of: group, windows, position: position)
        }
    }

    /// Scores the tokens after `position`.
    private mutating func add(_ output: StepOutput, of group: Range<Int>, _ windows: [[Int32]], position: Int) {
        for (window, row) in zip(group, output.rows) {
            guard case .logits(let logits) = row, position + 1 < windows[window].count else { continue }
            let distribution = LogSoftmax(logits)
            negativeLogLikelihood -= distribution.logProbability(of: windows[window][position + 1])
            best[window].append(distribution.best)
        }
    }
}

/// The log probabilities of logits, in double precision.
private struct LogSoftmax {
    /// The most probable token; the first one if there are several.
    let best: Int32
    private let logits: [Float]
    private let logSum: Double

    init(_ logits: [Float]) {
        var best = 0
        for token in logits.indices where logits[token] > logits[best] { best = token }
        let highest = Double(logits[best])
        logSum = highest + log(logits.reduce(0) { $0 + exp(Double($1) - highest) })
        self.best = Int32(best)
        self.logits = logits
    }

    func logProbability(of token: Int32) -> Double { Double(logits[Int(token)]) - logSum }
}
