// A binary heap of candidates, to select a few of very many without sorting them all.

/// A heap whose root is the last candidate in the order of `TokenSampler.Candidate.precedes`.
struct CandidateHeap {
    /// The candidates in heap order.
    private(set) var elements: [TokenSampler.Candidate] = []

    var count: Int { elements.count }

    /// The last candidate; the heap must not be empty.
    var root: TokenSampler.Candidate { elements[0] }

    mutating func reserve(_ capacity: Int) { elements.reserveCapacity(capacity) }

    mutating func insert(_ candidate: TokenSampler.Candidate) {
        elements.append(candidate)
        var child = elements.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard isAbove(elements[child], elements[parent]) else { return }
            elements.swapAt(child, parent)
            child = parent
        }
    }

    mutating func replaceRoot(_ candidate: TokenSampler.Candidate) {
        elements[0] = candidate
        siftDown(from: 0)
    }

    private func isAbove(_ left: TokenSampler.Candidate, _ right: TokenSampler.Candidate) -> Bool {
        TokenSampler.Candidate.precedes(right, left)
    }

    private mutating func siftDown(from start: Int) {
        var parent = start
        while true {
            var top = parent
            let left = 2 * parent + 1
            if left < elements.count, isAbove(elements[left], elements[top]) { top = left }
            if left + 1 < elements.count, isAbove(elements[left + 1], elements[top]) { top = left + 1 }
            if top == parent { return }
            elements.swapAt(parent, top)
            parent = top
        }
    }
}
