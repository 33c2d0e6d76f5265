// What made a result, besides its request: the model, the device and the settings that change numbers.

/// Everything besides a request that decides about its tokens. Two records with the same members have the same
/// fingerprint, and make the same result from the same request.
public struct SystemRecord: Hashable, Sendable {
    /// The values by what they are of: `version`, `device`, `sha256`, …
    public let members: [String: String]

    /// Makes a record of `members`.
    public init(_ members: [String: String]) { self.members = members }

    /// `fp_` and 16 hexadecimal digits: what results call the record. It is FNV-1a over the members, sorted by their keys.
    public var fingerprint: String {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        func take(_ text: String) {
            for byte in text.utf8 { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01b3 }
            // No text has this byte.
            hash = (hash ^ 0xFF) &* 0x0000_0100_0000_01b3
        }
        for (key, value) in members.sorted(by: { $0.key < $1.key }) {
            take(key)
            take(value)
        }
        let digits = String(hash, radix: 16)
        return "fp_" + String(repeating: "0", count: 16 - digits.count) + digits
    }
}
