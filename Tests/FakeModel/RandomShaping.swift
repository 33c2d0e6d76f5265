// Random changes to logits, for requests of tests with random schedules.

public import Sampling

extension LogitShaping {
    /// Changes of every kind, none in half of the cases; at least half of the tokens stay possible.
    public static func random(
        vocabulary: Int, using random: inout some RandomNumberGenerator
    ) -> LogitShaping {
        guard Bool.random(using: &random) else { return .none }
        var shaping = LogitShaping()
        func tokens(_ most: Int, _ random: inout some RandomNumberGenerator) -> [Int32] {
            (0..<Int.random(in: 1...most, using: &random)).map { _ in
                Int32.random(in: 0..<Int32(vocabulary), using: &random)
            }
        }
        if Bool.random(using: &random) {
            shaping.penalties = Penalties(
                repetition: [1, 0.8, 1.3].randomElement(using: &random)!,
                frequency: [0, -0.5, 1.1].randomElement(using: &random)!,
                presence: [0, -1, 0.7].randomElement(using: &random)!)
        }
        if Bool.random(using: &random) {
            for token in tokens(5, &random) { shaping.bias[token] = Float.random(in: -4...4, using: &random) }
        }
        if Int.random(in: 0..<4, using: &random) == 0 {
            shaping.allowed = Array(Set((0..<Int32(vocabulary)).shuffled(using: &random).prefix(vocabulary / 2 + 1)))
                .sorted()
        }
        if Bool.random(using: &random) { shaping.badWords = (0..<3).map { _ in tokens(2, &random) } }
        return shaping
    }
}
