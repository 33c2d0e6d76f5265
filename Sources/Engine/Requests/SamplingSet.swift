// What must be the same of all rows of a step on a device that takes one set of sampling parameters.

import Platform

/// Temperature, top-k and top-p; all greedy requests have the same.
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
