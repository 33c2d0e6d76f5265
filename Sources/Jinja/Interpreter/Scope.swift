// Variables of one loop iteration, macro call, `with` block or captured body. The template's top level is not a Scope:
// its variables live in the interpreter, indexed by name.

final class Scope {
    let parent: Scope?
    /// Few enough that a search in order beats hashing.
    private var bindings: [(name: Int, value: Value)] = []

    init(parent: Scope?) { self.parent = parent }

    func set(_ name: Int, _ value: Value) {
        for index in bindings.indices where bindings[index].name == name {
            bindings[index].value = value
            return
        }
        bindings.append((name, value))
    }

    /// The value of `name` here, not in the parent.
    func own(_ name: Int) -> Value? {
        for binding in bindings where binding.name == name { return binding.value }
        return nil
    }

    func removeAll() { bindings = [] }
}
