// Filters that sort or group: case-insensitive by default, as in jinja2.

enum SortingFilters {
    static let functions: [String: FilterFunction] = [
        "sort": sort, "dictsort": dictSort, "unique": unique, "min": extreme("min", sign: -1),
        "max": extreme("max", sign: 1), "groupby": groupBy,
    ]

    /// The sort key of a value.
    private static func key(_ value: Value, caseSensitive: Value?) -> Value {
        if case .string(let text) = value, !(caseSensitive?.isTrue ?? false) { return .string(text.lowercased()) }
        return value
    }

    @Sendable private static func sort(
        _ interpreter: Interpreter, _ value: Value, _ arguments: Arguments
    ) throws(JinjaError) -> Value {
        let bound = try arguments.bind("sort", ["reverse", "case_sensitive", "attribute"])
        let elements = try interpreter.elements(of: value)
        return try .list(
            try interpreter.sorted(elements, descending: bound[0]?.isTrue ?? false) { element throws(JinjaError) in
                try sortKey(bound[2], of: element, caseSensitive: bound[1], interpreter)
            })
    }

    /// `attribute` may contain several paths, separated by commas.
    private static func sortKey(
        _ attribute: Value?, of element: Value, caseSensitive: Value?, _ interpreter: Interpreter
    ) throws(JinjaError) -> Value {
        guard case .string(let paths)? = attribute, paths.string.contains(",") else {
            return key(try interpreter.path(attribute, of: element), caseSensitive: caseSensitive)
        }
        var keys: [Value] = []
        for path in paths.string.split(separator: ",") {
            let value = try interpreter.path(.string(String(path)), of: element)
            keys.append(key(value, caseSensitive: caseSensitive))
        }
        return try .list(keys)
    }

    @Sendable private static func dictSort(
        _ interpreter: Interpreter, _ value: Value, _ arguments: Arguments
    ) throws(JinjaError) -> Value {
        let bound = try arguments.bind("dictsort", ["case_sensitive", "by", "reverse"])
        if case .undefined(let undefined) = value { throw undefined.error }
        guard case .dict(let dict) = value else {
            throw JinjaError(.type, "dictsort needs a mapping, not '\(value.typeName)'")
        }
        let by = try bound[1].map { value throws(JinjaError) in try interpreter.string(value).string } ?? "key"
        guard by == "key" || by == "value" else {
            throw JinjaError(.value, "dictsort sorts by 'key' or 'value', not '\(by)'")
        }
        let pairs = try interpreter.sorted(
            Array(zip(dict.keys, dict.values)), descending: bound[2]?.isTrue ?? false
        ) { pair in key(by == "key" ? pair.0 : pair.1, caseSensitive: bound[0]) }
        var result: [Value] = []
        for pair in pairs { result.append(try .tuple([pair.0, pair.1])) }
        return try .list(result)
    }

    @Sendable private static func unique(
        _ interpreter: Interpreter, _ value: Value, _ arguments: Arguments
    ) throws(JinjaError) -> Value {
        let bound = try arguments.bind("unique", ["case_sensitive", "attribute"])
        var seen: Set<DictKey> = []
        var result: [Value] = []
        for element in try interpreter.elements(of: value) {
            try interpreter.spend(elements: 1)
            let key = key(try interpreter.path(bound[1], of: element), caseSensitive: bound[0])
            if seen.insert(try DictKey(key)).inserted { result.append(element) }
        }
        return try .iterator(result)
    }

    private static func extreme(_ name: String, sign: Int) -> FilterFunction {
        { interpreter, value, arguments throws(JinjaError) in
            let bound = try arguments.bind(name, ["case_sensitive", "attribute"])
            var best: (element: Value, key: Value)?
            for element in try interpreter.elements(of: value) {
                let key = key(try interpreter.path(bound[1], of: element), caseSensitive: bound[0])
                if let best, (try interpreter.order(key, best.key, "<") ?? 0) * sign <= 0 { continue }
                best = (element, key)
            }
            return best?.element ?? .undefined(.missing("the sequence is empty, it has no \(name)"))
        }
    }

    @Sendable private static func groupBy(
        _ interpreter: Interpreter, _ value: Value, _ arguments: Arguments
    ) throws(JinjaError) -> Value {
        let bound = try arguments.bind("groupby", ["attribute", "default", "case_sensitive"], required: 1)
        func grouper(_ element: Value) throws(JinjaError) -> Value {
            try interpreter.path(bound[0], of: element, fallback: bound[1])
        }
        let elements = try interpreter.sorted(try interpreter.elements(of: value)) { element throws(JinjaError) in
            key(try grouper(element), caseSensitive: bound[2])
        }
        var groups: [(name: Value, key: Value, members: [Value])] = []
        for element in elements {
            let name = try grouper(element)
            let key = key(name, caseSensitive: bound[2])
            if let last = groups.indices.last, try interpreter.equal(groups[last].key, key) {
                groups[last].members.append(element)
            } else {
                groups.append((name, key, [element]))
            }
        }
        var result: [Value] = []
        for group in groups {
            result.append(
                .tuple(try Items([group.name, try .list(group.members)], fieldNames: ["grouper", "list"])))
        }
        return try .list(result)
    }
}

extension Interpreter {
    /// A stable merge sort by Python's `<` on the keys; equal elements keep their order in both directions.
    func sorted<Element>(
        _ elements: [Element], descending: Bool = false, by key: (Element) throws(JinjaError) -> Value
    ) throws(JinjaError) -> [Element] {
        try spend(elements: 2 * elements.count)
        var keyed: [(key: Value, element: Element)] = []
        for element in elements { keyed.append((try key(element), element)) }
        var width = 1
        while width < keyed.count {
            var merged: [(key: Value, element: Element)] = []
            merged.reserveCapacity(keyed.count)
            for start in stride(from: 0, to: keyed.count, by: 2 * width) {
                let middle = min(start + width, keyed.count)
                let end = min(start + 2 * width, keyed.count)
                var (left, right) = (start, middle)
                while left < middle, right < end {
                    let order = try order(keyed[right].key, keyed[left].key, "<") ?? 0
                    if descending ? order > 0 : order < 0 {
                        merged.append(keyed[right])
                        right += 1
                    } else {
                        merged.append(keyed[left])
                        left += 1
                    }
                }
                merged.append(contentsOf: keyed[left..<middle])
                merged.append(contentsOf: keyed[right..<end])
            }
            keyed = merged
            width *= 2
        }
        return keyed.map(\.element)
    }
}
