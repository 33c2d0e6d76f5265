// Which layers attend to a window, by a `config.json`.

import JSONText

extension KeyTranslation {
    /// Adds the windows of layers that have one.
    mutating func addWindows() throws(ModelFileError) {
        if case .whereNotRotated = configClass.windows { try addRotatedLayers() }
        let window = try text.size("sliding_window")
        let layers = try windowedLayers(hasWindow: window != nil)
        try checkUnrotatedLayers(layers, hasWindow: window != nil)
        guard layers.contains(true) else { return }
        guard let window else {
            throw .wrongValue(
                path: config.path, key: text.spelling("sliding_window"), found: "null",
                expected: "the window of "
                    + "layers that attend to one")
        }
        set("attention.sliding_window", window, from: "sliding_window")
        set("attention.sliding_window_pattern", .integers(layers.map { $0 ? 1 : 0 }), from: "layer_types")
    }

    /// Whether each layer attends to a window.
    private func windowedLayers(hasWindow: Bool) throws(ModelFileError) -> [Bool] {
        let given = try layerTypes()
        func all(_ value: Bool) -> [Bool] { Array(repeating: value, count: layers) }
        switch configClass.windows {
        case .none: return all(false)
        case .everyLayer:
            // The class does not look at the layers' types.
            if let given, hasWindow, given.contains(false) { throw unsupported("layer_types", "full_attention") }
            return all(hasWindow)
        case .fromLayer:
            guard try text.flag("use_sliding_window") ?? false, hasWindow else {
                if let given, given.contains(true) {
                    throw unsupported("layer_types", "sliding_attention without a window")
                }
                return all(false)
            }
            let first = try text.integer("max_window_layers") ?? 0
            return given ?? (0..<layers).map { $0 >= first }
        case .whereNotRotated:
            guard try text.flag("use_sliding_window") ?? false, hasWindow else { return all(false) }
            let rotated = try rotatedLayers()
            return given ?? rotated.map(!)
        case .butEvery(let usual, let isGiven):
            if let given { return given }
            guard hasWindow || configClass.modelType != "exaone4" else { return all(false) }
            let interval = isGiven ? try text.size("sliding_window_pattern") ?? usual : usual
            return (1...layers).map { $0 % interval != 0 }
        }
    }

    /// Whether each layer attends to a window by `layer_types`, if they are given.
    private func layerTypes() throws(ModelFileError) -> [Bool]? {
        guard let types = try text.strings("layer_types") else { return nil }
        guard types.count == layers else {
            throw text.wrongValue("layer_types", "\(types.count) strings", "one for each of \(layers) layers")
        }
        var windowed: [Bool] = []
        for type in types {
            switch type {
            case "full_attention", "attention": windowed.append(false)
            case "sliding_attention": windowed.append(true)
            default: throw unsupported("layer_types", Excerpt.quoted(type))
            }
        }
        return windowed
    }

    /// Cohere 2 and EXAONE 4 rotate only where there is a window, even if no layer has one.
    private func checkUnrotatedLayers(_ windowed: [Bool], hasWindow: Bool) throws(ModelFileError) {
        let rotatesAll = configClass.modelType == "exaone4" && !hasWindow
        guard ["cohere2", "exaone4"].contains(configClass.modelType), !rotatesAll, !windowed.contains(true) else {
            return
        }
        throw unsupported("layer_types", "full_attention only")
    }

    private mutating func addRotatedLayers() throws(ModelFileError) {
        set("rope.layers", .integers(try rotatedLayers().map { $0 ? 1 : 0 }), from: "no_rope_layers")
    }

    /// Whether each layer has a rotary embedding: `no_rope_layers` is 1 where there is one.
    private func rotatedLayers() throws(ModelFileError) -> [Bool] {
        guard let flags = try text.numbers("no_rope_layers") else {
            let interval = try text.requiredSize("no_rope_layer_interval")
            return (1...layers).map { $0 % interval != 0 }
        }
        guard flags.count == layers else {
            throw text.wrongValue("no_rope_layers", "\(flags.count) numbers", "one for each of \(layers) layers")
        }
        return flags.map { $0 != 0 }
    }
}
