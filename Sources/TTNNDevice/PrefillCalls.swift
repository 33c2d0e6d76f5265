// Divides a prefill step into calls to the model, and chooses the slots of each call.

import Platform

/// The rules of a model class's prefill, by which steps are divided.
struct PrefillRules: Equatable {
    /// The meaning of slots.
    var slots: PrefillSlots
    /// Maximum number of rows of one call.
    var largestCall: Int
    /// How rows are padded.
    var padding: PrefillPadding
    /// Padded length above which rows run in chunks, and alone; `nil` if it is not known.
    var chunk: Int?
    /// Whether prefill steps run as traces, which keep the set of slots that they were captured with.
    var isTraced: Bool
}

/// One call of `prefill_forward`.
struct PrefillCall: Equatable {
    /// Rows of the step, in the call's order.
    var rows: [Int]
    /// The call's slots, one for each row.
    var slots: [Int]
}

extension PrefillRules {
    /// Divides the step's rows into calls. Rows of the same padded length are batched if the class computes them in one
    /// pass.
    /// The cost of the rows that a class pads a pass with is counted, so rows whose slots are far apart may run alone.
    ///
    /// - Parameter onDevice: whether the device samples the rows' first tokens; slots then hold state.
    func calls(for batch: PrefillBatch, onDevice: Bool) -> [PrefillCall] {
        guard padding != .none else { return wholeCalls(batch) }
        var alone: [Int] = []
        var together: [Int: [Int]] = [:]
        for (row, tokens) in batch.tokens.enumerated() {
            let start = Int(batch.startPositions[row])
            let length = padding.length(of: tokens.count, from: start)
            if start > 0 || length > chunk ?? .max {
                alone.append(row)
            } else {
                together[length, default: []].append(row)
            }
        }
        var calls: [PrefillCall] = []
        for (length, rows) in together.sorted(by: { $0.key < $1.key }) {
            calls += passes(of: rows, length: length, slots: batch.slots, onDevice: onDevice)
        }
        return calls + alone.map { call([$0], batch.slots, onDevice) }
    }

    private func wholeCalls(_ batch: PrefillBatch) -> [PrefillCall] {
        let rows = Array(batch.tokens.indices)
        return stride(from: 0, to: rows.count, by: largestCall).map { first in
            let part = Array(rows[first..<min(first + largestCall, rows.count)])
            return PrefillCall(rows: part, slots: part.map { batch.slots[$0] })
        }
    }

    /// The calls for rows of the same padded length.
    private func passes(of rows: [Int], length: Int, slots: [Int], onDevice: Bool) -> [PrefillCall] {
        switch self.slots {
        case .own,
            .inOrder where !onDevice:
            return powersOfTwo(rows).map { call($0, slots, onDevice) }
        case .inOrder, .spanning:
            let sorted = rows.sorted { slots[$0] < slots[$1] }
            let count = rowsOfPass(sorted.map { slots[$0] }, length: length)
            return ([Array(sorted[..<count])] + sorted[count...].map { [$0] }).map { call($0, slots, onDevice) }
        }
    }

    /// The number of rows in the lowest slots that one pass should have, so that the total cost is lowest; 1 if each
    /// row costs least alone.
    private func rowsOfPass(_ slots: [Int], length: Int) -> Int {
        let single = length + Self.passCost
        var best = (count: 1, cost: slots.count * single)
        for count in slots.indices.dropFirst().map({ $0 + 1 }) where count <= largestCall {
            let last = slots[count - 1]
            // Traces, and classes with `inOrder` slots, need exactly the first slots.
            if isTraced || self.slots == .inOrder {
                guard last == count - 1, count.nonzeroBitCount == 1 else { continue }
            }
            let padded = last == 0 ? 1 : 1 << (Int.bitWidth - last.leadingZeroBitCount)
            let cost = padded * length + Self.passCost + (slots.count - count) * single
            if cost <= best.cost { best = (count, cost) }
        }
        return best.count
    }

    /// The fixed cost of a pass, in tokens: it reads the weights once.
    private static let passCost = 256

    /// Passes with powers of two rows: a class that pads rows to powers of two has none to pad, and a trace always has
    /// the same rows.
    private func powersOfTwo(_ rows: [Int]) -> [[Int]] {
        var parts: [[Int]] = []
        var left = rows[...]
        while !left.isEmpty {
            let most = min(left.count, largestCall)
            let count = 1 << (Int.bitWidth - 1 - most.leadingZeroBitCount)
            parts.append(Array(left.prefix(count)))
            left = left.dropFirst(count)
        }
        return parts
    }

    private func call(_ rows: [Int], _ slots: [Int], _ onDevice: Bool) -> PrefillCall {
        let numbers = self.slots == .inOrder && !onDevice
        return PrefillCall(rows: rows, slots: numbers ? Array(rows.indices) : rows.map { slots[$0] })
    }
}
