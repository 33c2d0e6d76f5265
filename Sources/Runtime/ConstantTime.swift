// Comparison of secrets.

/// Whether both are the same, in a time that depends on their lengths only, so that nobody learns where they differ.
package func isEqualInConstantTime(_ left: String, _ right: String) -> Bool {
    let (left, right) = (Array(left.utf8), Array(right.utf8))
    guard left.count == right.count else { return false }
    var difference: UInt8 = 0
    for (a, b) in zip(left, right) { difference |= a ^ b }
    return difference == 0
}
