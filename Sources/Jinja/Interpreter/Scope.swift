// Variables of one loop iteration, macro call, `with` block or captured body. The top level of the template is not a
// `Scope`: the interpreter holds its variables, indexed by name.

final class Scope {
    let parent: Scope?
    /// There are so few that a linear search is faster than hashing.
    private var bindings: [(name: Int, value: Value)] = []

    init(parent: Scope?) { self.parent = parent }

    func set(_ name: Int, _ value: Value) {
        for index in bindings.indices where bindings[index].name == name {
            bindings[index].value = value
            return
        }
        bindings.append((name, value))
    }

    /// The value of `name` in this scope; the parent is not searched.
    func own(_ name: Int) -> Value? {
        for binding in bindings where binding.name == name { return binding.value }
        return nil
    }

    func removeAll() { bindings = [] }
}
