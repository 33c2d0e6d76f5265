// Samples on the host the rows whose logits came back.

import TTPlatform

/// Chooses tokens from logits with the same function that the host device uses, after masking what may not be chosen.
struct HostSampler {
    /// The model's tokens that end generation.
    let endOfGenerationTokens: Set<Int32>

    /// The next token of `row`.
    ///
    /// - Parameter logits: `[vocabulary]`; changed where tokens are masked.
    /// - Returns: the token, or `nil` where no token is possible, which means that the device computed nonsense.
    func sample(_ logits: inout [Float], _ row: InputBatch.Row) -> Int32? {
        if row.generatedCount < row.sampling.minTokens {
            for token in endOfGenerationTokens.union(row.sampling.stopTokenIDs)
            where logits.indices.contains(Int(token)) {
                logits[Int(token)] = -.infinity
            }
        }
        return logits.withUnsafeBufferPointer { buffer in
            let token = TokenSampler.sample(buffer, row.sampling.token, position: row.tokens.count)
            return buffer[Int(token)] > -.infinity ? token : nil
        }
    }
}
