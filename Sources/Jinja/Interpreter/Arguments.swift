// The evaluated arguments of a call, and their binding to parameter names as Python does it.

struct Arguments {
    var positional: [Value] = []
    var named: [(name: String, value: Value)] = []

    /// The values for `parameters` in order; nil for those that were not passed.
    /// - Parameter required: the number of parameters that must be passed.
    func bind(
        _ function: String, _ parameters: [String] = [], required: Int = 0
    ) throws(JinjaError) -> [Value?] {
        if positional.count > parameters.count {
            throw JinjaError(
                .type, "\(function)() takes at most \(parameters.count) arguments, \(positional.count) were given")
        }
        var values: [Value?] = positional
        values.append(contentsOf: repeatElement(nil, count: parameters.count - positional.count))
        for (name, value) in named {
            guard let position = parameters.firstIndex(of: name) else {
                throw JinjaError(.type, "\(function)() has no parameter named '\(name)'")
            }
            if values[position] != nil {
                throw JinjaError(.type, "\(function)() got two values for parameter '\(name)'")
            }
            values[position] = value
        }
        for position in 0..<required where values[position] == nil {
            throw JinjaError(.type, "\(function)() needs a value for '\(parameters[position])'")
        }
        return values
    }
}
