// Samples rows on the host from the logits that the device returned.

import Platform
import Sampling

/// Samples with the same function as the host device.
struct HostSampler {
    private let scratch = SamplerScratch()

    /// The output of a row with these logits, `[vocabulary]`.
    func sample(_ logits: [Float], _ draw: TokenDraw, position: Int) -> RowOutput {
        var edited = logits
        let token = edited.withUnsafeMutableBufferPointer {
            TokenSampler.sample($0, draw, position: position, scratch: scratch)
        }
        if let token { return .token(token) }
        // If the logits themselves allow no token, the device's output is wrong.
        return logits.contains { $0 > -.infinity } ? .excluded : .notNumbers
    }
}
