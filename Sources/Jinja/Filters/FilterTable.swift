// All filters by name. Each family is registered in a file of its own.

/// A filter: the interpreter, the value before the bar, and the arguments in parentheses.
typealias FilterFunction = @Sendable (Interpreter, Value, Arguments) throws(JinjaError) -> Value

enum FilterTable {
    static let functions: [String: FilterFunction] = {
        var all: [String: FilterFunction] = [:]
        for family in [
            StringFilters.functions, NumberFilters.functions, SequenceFilters.functions, SelectionFilters.functions,
            SortingFilters.functions, ["tojson": JSONFilter.tojson],
        ] { all.merge(family) { _, new in new } }
        return all
    }()
}
