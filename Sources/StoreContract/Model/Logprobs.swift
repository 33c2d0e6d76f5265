// The logprobs of a text as the bytes that stores keep.

public import Sampling

extension [ScoredPosition] {
    /// The positions as bytes, for stores.
    ///
    /// For each position: the numbers of its top and its requested tokens, and the rank or −1; then the own token, the
    /// top ones and the requested ones. For each token: its id, its logprob or NaN, the number of its bytes, and these.
    /// Numbers are 32-bit little-endian; counts of tokens and bytes are 16-bit.
    public var encoded: [UInt8] {
        var output: [UInt8] = []
        func append(_ value: some FixedWidthInteger) {
            Swift.withUnsafeBytes(of: value.littleEndian) { output.append(contentsOf: $0) }
        }
        for position in self {
            append(UInt16(clamping: position.top.count))
            append(UInt16(clamping: position.requested.count))
            append(position.rank ?? -1)
            for token in [position.own] + position.top + position.requested {
                append(token.token)
                append((token.logprob ?? .nan).bitPattern)
                append(UInt16(clamping: token.bytes.count))
                output.append(contentsOf: token.bytes.prefix(Int(UInt16.max)))
            }
        }
        return output
    }

    /// The positions of `encoded`; nil if the bytes are not such.
    public init?(encoded bytes: [UInt8]) {
        var place = 0
        func number<Value: FixedWidthInteger>(_ type: Value.Type) -> Value? {
            let size = MemoryLayout<Value>.size
            guard bytes.count - place >= size else { return nil }
            defer { place += size }
            return bytes.withUnsafeBytes {
                Value(littleEndian: $0.loadUnaligned(fromByteOffset: place, as: Value.self))
            }
        }
        func token() -> ScoredToken? {
            guard let id = number(Int32.self), let logprob = number(UInt32.self), let count = number(UInt16.self),
                bytes.count - place >= Int(count)
            else { return nil }
            defer { place += Int(count) }
            return ScoredToken(
                token: id, bytes: Array<UInt8>(bytes[place..<place + Int(count)]),
                logprob: Float(bitPattern: logprob).isNaN ? nil : Float(bitPattern: logprob))
        }
        func tokens(_ count: UInt16) -> [ScoredToken]? {
            var tokens: [ScoredToken] = []
            for _ in 0..<count {
                guard let next = token() else { return nil }
                tokens.append(next)
            }
            return tokens
        }
        self = []
        while place < bytes.count {
            guard let top = number(UInt16.self), let requested = number(UInt16.self), let rank = number(Int32.self),
                let own = token(), let topTokens = tokens(top), let requestedTokens = tokens(requested)
            else { return nil }
            append(
                ScoredPosition(own: own, top: topTokens, requested: requestedTokens, rank: rank < 0 ? nil : rank))
        }
    }
}

// Between a server and its callers: one text of hexadecimal digits for each position, in which every number keeps its bits.
extension ScoredPosition: Codable {
    /// Reads what `encode(to:)` wrote.
    public init(from decoder: any Decoder) throws {
        let digits = Array(try decoder.singleValueContainer().decode(String.self).utf8)
        let nibbles = digits.compactMap { Character(UnicodeScalar($0)).hexDigitValue.map(UInt8.init) }
        let bytes = stride(from: 0, to: nibbles.count - 1, by: 2).map { nibbles[$0] << 4 | nibbles[$0 + 1] }
        guard nibbles.count == digits.count, let positions = [ScoredPosition](encoded: bytes), positions.count == 1
        else {
            throw DecodingError.dataCorrupted(
                DecodingError.Context(codingPath: decoder.codingPath, debugDescription: "these are no logprobs"))
        }
        self = positions[0]
    }

    /// Writes the bytes of `encoded` as hexadecimal digits.
    public func encode(to encoder: any Encoder) throws {
        let digits = Array("0123456789abcdef".utf8)
        let text = [self].encoded.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }
        var container = encoder.singleValueContainer()
        try container.encode(String(decoding: text, as: UTF8.self))
    }
}

/// Token ids as stores keep them: 32-bit little-endian integers.
package func tokenBytes(_ ids: [Int32]) -> [UInt8] {
    ids.flatMap { id in withUnsafeBytes(of: id.littleEndian) { [UInt8]($0) } }
}

/// The token ids in what `tokenBytes` has made.
package func tokenIDs(_ bytes: [UInt8]) -> [Int32] {
    bytes.withUnsafeBytes { raw in
        (0..<raw.count / 4).map { Int32(littleEndian: raw.loadUnaligned(fromByteOffset: $0 * 4, as: Int32.self)) }
    }
}
