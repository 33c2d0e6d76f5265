// Whether a row's next token is sampled on the device or on the host; decided separately for each row and step.

public import Sampling

/// Why a row's logits are sent to the host although the step samples on the device.
public enum HostSamplingReason: Sendable, Equatable {
    /// Tokens must be masked while `min_tokens` is in force.
    case minTokens
    /// The device cannot sample from that many tokens.
    case topK
    /// The device makes no draws.
    case draw
    /// The request gives a seed, and the device does not draw from its random stream.
    case seed
    /// The device knows temperature, top-k and top-p only.
    case filter
    /// The device cannot change the row's logits before it samples.
    case edits
    /// The device tells no logprobs.
    case logprobs
}

extension ModelCapabilities {
    /// Why the device cannot sample a row with `sampling` that has generated `generatedCount` tokens; `nil` if it can.
    public func hostSamplingReason(_ sampling: SamplingParams, generatedCount: Int) -> HostSamplingReason? {
        if !editsLogits {
            if generatedCount < sampling.minTokens { return .minTokens }
            if sampling.shaping != .none || sampling.grammar != nil { return .edits }
            if sampling.logprobs != nil || !sampling.forced.isEmpty { return .logprobs }
        }
        if sampling.token.isGreedy { return nil }
        if !editsLogits, sampling.token.minP > 0 || sampling.token.typicalP < 1 { return .filter }
        if let most = maxDeviceTopK, sampling.token.topK < 1 || Int(sampling.token.topK) > most { return .topK }
        return switch deviceDraws {
        case .none: .draw
        // A row is drawn by the host after a prefill, or beside a row that the device cannot sample: with a seed it must
        // get the same token in both places.
        case .unseeded, .byPosition: sampling.givesSeed ? .seed : nil
        case .sampleStream: nil
        }
    }
}
