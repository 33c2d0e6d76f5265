// Divides a step's attention among the threads by cost, so that all of them work on a single long context.

import CHostKernels
import Synchronization

/// Adjacent tokens of one sequence that attend to the same number of spans, with the query heads of one KV head.
struct AttentionUnit: BitwiseCopyable {
    /// The first token.
    let row: Int
    let tokens: Int
    let head: Int
    /// Positions up to the first token's, itself included.
    let length: Int
    /// The first of them that it attends to.
    let start: Int
    /// The number of its partial results, if several items share it.
    var division: Int?

    /// The end of the units.
    static let none = AttentionUnit(row: 0, tokens: 0, head: 0, length: 0, start: 0)

    /// Spans of positions; see `HK_SPAN`.
    var spans: Range<Int> { start / Int(HK_SPAN)..<(length + Int(HK_SPAN) - 1) / Int(HK_SPAN) }

    /// The approximate cost of spans `part`, in positions of one token.
    fileprivate func cost(_ part: Range<Int>) -> Int {
        let positions = min(part.upperBound * Int(HK_SPAN), length) - max(part.lowerBound * Int(HK_SPAN), start)
        return tokens * (positions + 32 * part.count)
    }
}

/// A unit and a span of it.
struct AttentionPlace: BitwiseCopyable, Equatable {
    let unit: Int
    let span: Int
}

/// Divides the units of a step, in order, into items of about equal cost; the same items for all layers.
///
/// Short units are never divided; each span of a long unit belongs to one item. The partial results of a divided unit
/// are joined in the order of the spans, so that the division does not change the result.
final class AttentionPlan {
    /// Items per thread: enough that threads finish at about the same time.
    private static let itemsOfThread = 16
    /// A unit is divided if it costs more than this number of items.
    private static let undivided = 4

    /// Number of items of every step; some may be empty.
    let itemCount: Int
    /// The items, for the threads.
    let items: AttentionItems
    /// Positions that a token attends to; `nil` for all before it.
    let window: Int?
    private let heads: Int
    private let neighbours: Int
    private let units: DeviceBuffer<AttentionUnit>
    private let starts: DeviceBuffer<AttentionPlace>
    private let partials: DeviceBuffer<Float>
    private let divisions: UnsafeMutableBufferPointer<AttentionDivision>

    /// A plan for up to `tokens` tokens, of which up to `neighbours` share loads, in sequences of up to `longest`
    /// tokens, each of which attends to `window` positions.
    ///
    /// - Throws: `HostDeviceError.outOfMemory`.
    init(
        tokens: Int, neighbours: Int, longest: Int, window: Int? = nil, threads: Int, geometry: DecoderGeometry
    ) throws(HostDeviceError) {
        self.window = window
        itemCount = threads * Self.itemsOfThread
        heads = geometry.keyValueHeads
        self.neighbours = neighbours
        units = try DeviceBuffer(count: tokens * heads + 1)
        starts = try DeviceBuffer(count: itemCount + 1)
        // No more units than this can cost more than `undivided` items each.
        let divided = itemCount / Self.undivided
        divisions = .allocate(capacity: divided)
        for index in 0..<divided { divisions.initializeElement(at: index, to: AttentionDivision()) }
        // A window may begin and end within a span.
        let spans = (min(longest, (window ?? longest) + Int(HK_SPAN)) + Int(HK_SPAN) - 1) / Int(HK_SPAN)
        let rowFloats = (geometry.headSize + 15) / 16 * 16 + Int(HK_PARTIAL_TOTALS)
        let floats = spans * neighbours * geometry.queryGroup * rowFloats
        partials = try DeviceBuffer(count: divided * floats)
        items = AttentionItems(
            units: UnsafePointer(units.base), starts: UnsafePointer(starts.base), divisions: divisions.baseAddress!,
            partials: partials.base, partialFloats: floats)
    }

    deinit {
        divisions.deinitialize()
        divisions.deallocate()
    }

    /// The rows of a thread's share of the items.
    func rows(of worker: Int, threads: Int) -> Range<Int> {
        let share = StagedWork.Stage(count: itemCount).share(of: worker, threads: threads)
        let (first, end) = (starts.base[share.lowerBound], starts.base[share.upperBound])
        guard first != end else { return 0..<0 }
        let isDivided = end.span > units.base[end.unit].spans.lowerBound
        let last = units.base[isDivided ? end.unit : end.unit - 1]
        return units.base[first.unit].row..<last.row + last.tokens
    }

    /// Plans the attention of `rows` tokens; allocates nothing.
    func prepare(_ tokens: UnsafePointer<StepToken>, rows: Int) {
        var (count, total, row) = (0, 0, 0)
        while row < rows {
            let length = Int(tokens[row].position) + 1
            let start = window.map { max(0, length - $0) } ?? 0
            // All tokens of a unit attend to the same spans.
            var most = min(neighbours, rows - row, Int(HK_SPAN) - (length - 1) % Int(HK_SPAN))
            if let window { most = min(most, (start / Int(HK_SPAN) + 1) * Int(HK_SPAN) + window - length) }
            var together = 1
            // Forks are outputs of one token: they have the same position.
            while together < most, tokens[row + together].tableOffset == tokens[row].tableOffset,
                Int(tokens[row + together].position) == length - 1 + together
            { together += 1 }
            for head in 0..<heads {
                let unit = AttentionUnit(row: row, tokens: together, head: head, length: length, start: start)
                units.base[count] = unit
                count += 1
                total += unit.cost(unit.spans)
            }
            row += together
        }
        units.base[count] = .none
        cut(count, total)
    }

    /// Assigns each unit, or each span of a long unit, to the item whose share of `total` contains its middle.
    private func cut(_ count: Int, _ total: Int) {
        var (begun, before, divided) = (0, 0, 0)
        /// Adds the work at `place`, which costs `cost`; returns its item.
        func add(_ place: AttentionPlace, _ cost: Int) -> Int {
            let item = min((2 * before + cost) * itemCount / (2 * total), itemCount - 1)
            before += cost
            while begun <= item {
                starts.base[begun] = place
                begun += 1
            }
            return item
        }
        for index in 0..<count {
            let unit = units.base[index]
            let cost = unit.cost(unit.spans)
            guard unit.spans.count > 1, cost * itemCount > total * Self.undivided else {
                _ = add(AttentionPlace(unit: index, span: unit.spans.lowerBound), cost)
                continue
            }
            var (shares, last) = (0, -1)
            for span in unit.spans {
                let item = add(AttentionPlace(unit: index, span: span), unit.cost(span..<span + 1))
                if item != last { shares += 1 }
                last = item
            }
            guard shares > 1 else { continue }
            units.base[index].division = divided
            divisions[divided].begin(shares)
            divided += 1
        }
        let end = AttentionPlace(unit: count, span: 0)
        while begun <= itemCount {
            starts.base[begun] = end
            begun += 1
        }
    }
}

/// The items of a plan, for the threads.
struct AttentionItems: BitwiseCopyable {
    fileprivate let units: UnsafePointer<AttentionUnit>
    /// The beginning of each item, and the end of the last one.
    fileprivate let starts: UnsafePointer<AttentionPlace>
    fileprivate let divisions: UnsafeMutablePointer<AttentionDivision>
    fileprivate let partials: UnsafeMutablePointer<Float>
    fileprivate let partialFloats: Int

    /// Calls the closure for each unit of an item, with the item's spans of it and the place that follows in the step.
    @inline(__always)
    func forEachUnit(
        of item: Int, _ body: (_ unit: AttentionUnit, _ part: Range<Int>, _ next: AttentionPlace) -> Void
    ) {
        var place = starts[item]
        let end = starts[item + 1]
        while place != end {
            let unit = units[place.unit]
            let part = place.span..<(place.unit < end.unit ? unit.spans.upperBound : end.span)
            place =
                part.upperBound < unit.spans.upperBound
                ? AttentionPlace(unit: place.unit, span: part.upperBound)
                : AttentionPlace(unit: place.unit + 1, span: units[place.unit + 1].spans.lowerBound)
            body(unit, part, place)
        }
    }

    /// A place's unit; `.none` after the last one.
    subscript(place: AttentionPlace) -> AttentionUnit { units[place.unit] }

    /// The address of a division's partial results; see `hk_attention`.
    func partials(_ division: Int) -> UnsafeMutablePointer<Float> { partials + division * partialFloats }

    /// Ends an item's part of a divided unit; returns whether all parts have ended.
    func endShare(_ division: Int) -> Bool { divisions[division].endShare() }
}

/// Counts the items that share a unit.
private struct AttentionDivision: ~Copyable {
    private var shares = 0
    private let pending = Atomic<Int>(0)

    mutating func begin(_ shares: Int) {
        self.shares = shares
        pending.store(shares, ordering: .relaxed)
    }

    /// Ends a share; after the last one the count restarts for the next layer.
    func endShare() -> Bool {
        guard pending.subtract(1, ordering: .acquiringAndReleasing).newValue == 0 else { return false }
        pending.store(shares, ordering: .relaxed)
        return true
    }
}
