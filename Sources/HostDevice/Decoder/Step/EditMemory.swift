// The memory of a step's logit edits, which stages read at fixed addresses.

import Sampling

/// Holds the masks, changes and token lists of a step's rows. It grows to the largest step and is used again.
struct EditMemory: ~Copyable {
    private var words = UnsafeMutableBufferPointer<UInt32>.allocate(capacity: 0)
    private var changes = UnsafeMutableBufferPointer<LogitChange>.allocate(capacity: 0)
    private var usedWords = 0
    private var usedChanges = 0

    deinit {
        words.deallocate()
        changes.deallocate()
    }

    /// Forgets the last step, and makes room for the edits of `choices`.
    mutating func reserve(for choices: ArraySlice<OutputChoice>, vocabulary: Int) {
        let panels = LogitTile.count(vocabulary: vocabulary)
        var (wordCount, changeCount) = (0, 0)
        for choice in choices {
            if case .score(_, let request) = choice { wordCount += request.tokens.count }
            guard case .draw(let draw) = choice, !draw.edits.isEmpty || draw.logprobs != nil else { continue }
            let arrays = [draw.edits.constraint != nil, draw.edits.allowed != nil].count { $0 }
            wordCount += arrays * panels + (draw.edits.changes.isEmpty ? 0 : panels + 1)
            wordCount += draw.logprobs?.tokens.count ?? 0
            changeCount += draw.edits.changes.count
        }
        if wordCount > words.count {
            words.deallocate()
            words = .allocate(capacity: wordCount + wordCount / 4)
        }
        if changeCount > changes.count {
            changes.deallocate()
            changes = .allocate(capacity: changeCount + changeCount / 4)
        }
        (usedWords, usedChanges) = (0, 0)
    }

    /// A row's edits as plain data, valid until the next `reserve`.
    mutating func rowEdits(_ edits: LogitEdits, vocabulary: Int) -> RowEdits {
        var row = RowEdits(penalties: edits.penalties)
        row.constraint = edits.constraint.map { UnsafePointer(add($0.words, vocabulary)) }
        row.allowed = edits.allowed.map { UnsafePointer(add($0.words, vocabulary)) }
        guard !edits.changes.isEmpty else { return row }
        let place = changes.baseAddress! + usedChanges
        edits.changes.withUnsafeBufferPointer { place.initialize(from: $0.baseAddress!, count: $0.count) }
        usedChanges += edits.changes.count
        row.changes = UnsafePointer(place)
        let starts = take(LogitTile.count(vocabulary: vocabulary) + 1)
        var change = 0
        for panel in 0...LogitTile.count(vocabulary: vocabulary) {
            let first = Int32(panel * LogitTile.width)
            while change < edits.changes.count, place[change].token < first { change += 1 }
            starts[panel] = UInt32(change)
        }
        row.starts = UnsafeRawPointer(starts).assumingMemoryBound(to: Int32.self)
        return row
    }

    /// Tokens as plain data, valid until the next `reserve`.
    mutating func tokens(_ tokens: ArraySlice<Int32>) -> UnsafeBufferPointer<Int32> {
        let place = take(tokens.count)
        for (index, token) in tokens.enumerated() { place[index] = UInt32(bitPattern: token) }
        return UnsafeBufferPointer(
            start: UnsafeRawPointer(place).assumingMemoryBound(to: Int32.self), count: tokens.count)
    }

    private mutating func add(_ values: [UInt32], _ vocabulary: Int) -> UnsafeMutablePointer<UInt32> {
        precondition(values.count == LogitTile.count(vocabulary: vocabulary), "a mask of the model's vocabulary")
        let place = take(values.count)
        values.withUnsafeBufferPointer { place.initialize(from: $0.baseAddress!, count: $0.count) }
        return place
    }

    private mutating func take(_ count: Int) -> UnsafeMutablePointer<UInt32> {
        defer { usedWords += count }
        return words.baseAddress! + usedWords
    }
}
