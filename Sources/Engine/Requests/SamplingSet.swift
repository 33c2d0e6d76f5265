// The sampling parameters that all rows of a step must share on a device that takes one set of them.

import Platform
import Sampling

/// Temperature, top-k and top-p; the same for all greedy requests.
struct SamplingSet: Equatable {
    private let temperature: Float
    private let topK: Int32
    private let topP: Float

    init(_ params: TTSamplingParams) {
        temperature = params.isGreedy ? 0 : params.temperature
        topK = params.isGreedy ? 0 : params.topK
        topP = params.isGreedy ? 1 : params.topP
    }
}
