// Attributes, items, slices, iteration and length.

extension Interpreter {
    /// `value.name`: an attribute or method first, then an item.
    func attribute(_ name: String, of value: Value) throws(JinjaError) -> Value {
        if case .undefined(let undefined) = value { throw undefined.error }
        if let found = try ownAttribute(name, of: value) { return found }
        if case .dict(let dict) = value, let found = dict[name] { return found }
        return .undefined(.attribute(name, typeName: describe(value)))
    }

    /// `value[key]`: an item first, then an attribute or method.
    func item(_ key: Value, of value: Value) throws(JinjaError) -> Value {
        if case .undefined(let undefined) = value { throw undefined.error }
        if let found = try ownItem(key, of: value) { return found }
        guard case .string(let name) = key else {
            return .undefined(.item(try representation(of: key).string, typeName: describe(value)))
        }
        if let found = try ownAttribute(name.string, of: value) { return found }
        return .undefined(.attribute(name.string, typeName: describe(value)))
    }

    private func describe(_ value: Value) -> String {
        if case .null = value { return "None" }
        return "\(value.typeName) object"
    }

    private func ownAttribute(_ name: String, of value: Value) throws(JinjaError) -> Value? {
        if name.hasPrefix("__"), name.hasSuffix("__") {
            return .undefined(.forbidden(attribute: name, typeName: value.typeName))
        }
        if MethodTable.isForbidden(name, on: value) {
            return .undefined(.forbidden(attribute: name, typeName: value.typeName))
        }
        if hasMethod(name, value) { return .object(try BoundMethod(value, name)) }
        switch value {
        case .object(let object): return try object.attribute(name, self)
        case .tuple(let items):
            return items.fieldNames.firstIndex(of: name).map { items.values[$0] }
        case .range(let range):
            switch name {
            case "start": return .int(range.start)
            case "stop": return .int(range.stop)
            case "step": return .int(range.step)
            default: return nil
            }
        default: return nil
        }
    }

    private func ownItem(_ key: Value, of value: Value) throws(JinjaError) -> Value? {
        switch value {
        case .dict(let dict):
            // An unhashable key is an error in Python; jinja2 makes the result undefined.
            if case .list = key { return nil }
            if case .dict = key { return nil }
            return try dict.value(for: key)
        case .list(let items), .tuple(let items):
            return key.asInteger.flatMap { position($0, in: items.values.count) }.map { items.values[$0] }
        case .range(let range):
            return key.asInteger.flatMap { position($0, in: range.count) }
                .map { .int(range.start + $0 * range.step) }
        case .string(let text):
            guard let index = key.asInteger, let position = position(index, in: text.count) else { return nil }
            try spend(text.utf8Count / 16)
            let start = text.offset(ofCodePoint: position)
            let character = text.slice(start..<start + text.widthOfCodePoint(at: start))
            return .string(character.marked(asMarkup: text.isMarkup))
        default: return nil
        }
    }

    /// A Python index (negative from the end) as an offset; nil if out of range.
    private func position(_ index: Int, in count: Int) -> Int? {
        let position = index < 0 ? index + count : index
        return position >= 0 && position < count ? position : nil
    }

    // MARK: Slices

    func evaluateSlice(
        of base: Expression, _ start: Expression?, _ stop: Expression?, _ step: Expression?
    ) throws(JinjaError) -> Value {
        let value = try evaluate(base)
        let bounds = (try sliceBound(start), try sliceBound(stop), try sliceBound(step))
        switch value {
        case .undefined(let undefined): throw undefined.error
        case .list(let items): return try .list(try slice(items.values, bounds))
        case .tuple(let items): return try .tuple(try slice(items.values, bounds))
        case .range(let range): return try .list(try slice(range.values, bounds))
        case .string(let text): return .string(try slice(text, bounds).marked(asMarkup: text.isMarkup))
        default: return .undefined(.item("a slice", typeName: describe(value)))
        }
    }

    private typealias Bounds = (start: Int?, stop: Int?, step: Int?)

    private func sliceBound(_ expression: Expression?) throws(JinjaError) -> Int? {
        guard let expression else { return nil }
        let value = try evaluate(expression)
        if case .null = value { return nil }
        guard let bound = value.asInteger else {
            if case .undefined(let undefined) = value { throw undefined.error }
            throw JinjaError(.type, "slice indices must be integers or None, not \(value.typeName)")
        }
        return bound
    }

    private func slice(_ values: [Value], _ bounds: Bounds) throws(JinjaError) -> [Value] {
        let indices = try sliceIndices(bounds, count: values.count)
        try spend(elements: indices.count)
        return indices.values.map { index in
            guard case .int(let position) = index else { return .null }
            return values[position]
        }
    }

    private func slice(_ text: Text, _ bounds: Bounds) throws(JinjaError) -> Text {
        try spend(text.utf8Count)
        let offsets = text.isASCII ? nil : text.offsets
        let count = offsets.map { $0.count - 1 } ?? text.utf8Count
        let range = try sliceIndices(bounds, count: count)
        if range.count == 0 { return Text() }
        func offset(_ index: Int) -> Int { offsets?[index] ?? index }
        if range.step == 1 { return text.slice(offset(range.start)..<offset(range.stop)) }
        var result = Text()
        var index = range.start
        for _ in 0..<range.count {
            result.append(text.slice(offset(index)..<offset(index + 1)))
            index += range.step
        }
        return result
    }

    /// Python's `slice.indices`.
    private func sliceIndices(_ bounds: Bounds, count: Int) throws(JinjaError) -> IntegerRange {
        // A step larger than the count has the same effect as the count.
        let step = min(max(bounds.step ?? 1, -count - 1), count + 1)
        if step == 0 { throw JinjaError(.value, "slice step cannot be zero") }
        let lowest = step > 0 ? 0 : -1
        let highest = step > 0 ? count : count - 1
        func clamp(_ bound: Int) -> Int {
            let position = bound < 0 ? max(bound, -count - 1) + count : bound
            return min(max(position, lowest), highest)
        }
        let start = bounds.start.map(clamp) ?? (step > 0 ? 0 : count - 1)
        let stop = bounds.stop.map(clamp) ?? (step > 0 ? count : -1)
        return IntegerRange(start: start, stop: stop, step: step)
    }

    // MARK: Iteration and length

    /// The elements over which iteration goes.
    func elements(of value: Value) throws(JinjaError) -> [Value] {
        switch value {
        case .undefined(.forbidden(let name, let type)):
            throw Undefined.forbidden(attribute: name, typeName: type).error
        case .undefined: return []
        case .list(let items), .tuple(let items): return items.values
        case .dict(let dict): return dict.keys
        case .view(let view):
            try spend(elements: view.dict.count)
            return try view.values()
        case .iterator(let iterator): return iterator.takeAll()
        case .range(let range):
            try spend(elements: range.count)
            return range.values
        case .string(let text):
            try spend(elements: text.utf8Count)
            return text.characters.map { .string($0) }
        default: throw JinjaError(.type, "'\(value.typeName)' object is not iterable")
        }
    }

    /// Python's `len`.
    func length(of value: Value) throws(JinjaError) -> Int {
        switch value {
        case .undefined: return 0
        case .list(let items), .tuple(let items): return items.values.count
        case .dict(let dict): return dict.count
        case .view(let view): return view.dict.count
        case .range(let range): return range.count
        case .string(let text): return text.count
        default: throw JinjaError(.type, "object of type '\(value.typeName)' has no len()")
        }
    }
}

extension Text {
    /// Bytes of the code point that starts at a UTF-8 offset.
    func widthOfCodePoint(at offset: Int) -> Int {
        withUTF8 { bytes in
            let lead = bytes[offset]
            return lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4
        }
    }
}
