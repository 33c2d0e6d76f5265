// Samples rows on the host from the logits that the device returned.

import Platform

/// Masks the tokens that may not be chosen, then samples with the same function as the host device.
struct HostSampler {
    /// The model's tokens that end generation.
    let endOfGenerationTokens: Set<Int32>
    private let scratch = SamplerScratch()

    init(endOfGenerationTokens: Set<Int32>) { self.endOfGenerationTokens = endOfGenerationTokens }

    /// The next token of `row`.
    ///
    /// If a request's masks leave no token, they are ignored: a request's parameters must not look like a device fault.
    /// - Parameter logits: `[vocabulary]`; changed where tokens are masked.
    /// - Returns: the token, or `nil` if no token is possible, which means that the device's output is wrong.
    func sample(_ logits: inout [Float], _ row: InputBatch.Row) -> Int32? {
        guard row.generatedCount < row.sampling.minTokens else { return choose(logits, row) }
        let masked = endOfGenerationTokens.union(row.sampling.stopTokenIDs).map(Int.init)
            .filter(logits.indices.contains)
        let given = masked.map { logits[$0] }
        for token in masked { logits[token] = -.infinity }
        if let token = choose(logits, row) { return token }
        for (token, logit) in zip(masked, given) { logits[token] = logit }
        return choose(logits, row)
    }

    private func choose(_ logits: [Float], _ row: InputBatch.Row) -> Int32? {
        logits.withUnsafeBufferPointer { buffer in
            let token = TokenSampler.sample(
                buffer, row.sampling.token, position: row.tokens.count, scratch: scratch)
            return buffer[Int(token)] > -.infinity ? token : nil
        }
    }
}
