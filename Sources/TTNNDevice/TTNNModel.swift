// A TT model in the bridge: every call is a frame, and every answer is checked before it is used.

import Foundation
import ModelFiles
import Platform
import TTNNSettings

/// A model class of tt-metal, called as TT contract §1 says.
final class TTNNModel: TTModel {
    let capabilities: ModelCapabilities
    private let prefillRules: PrefillRules
    private let bridge: Bridge
    private let config: ModelConfig
    private let initialization: ModelInitialization
    private let deviceCount: Int
    private var pageTableWidth = 0
    private var warmedUp = false
    private var hasPrefilled = false
    private var hasDecoded = false
    private var running: RunningStep?
    private var overhead = StepOverhead()

    /// A decode step whose output has not been read yet.
    private struct RunningStep {
        let deadline: TimeLimit
        let began: ContinuousClock.Instant
        let isActive: [Bool]
        let onDevice: Bool
    }

    /// Loads the class that the mesh was opened for.
    ///
    /// - Throws: `TTNNError.refused` or `DeviceFault`.
    init(_ initialization: ModelInitialization, _ mesh: TTNNMeshDevice) throws {
        bridge = mesh.bridge
        self.initialization = initialization
        config = initialization.config
        deviceCount = mesh.meshShape.deviceCount
        let answer: LoadAnswer = try bridge.request(
            .load, LoadHeader(initialization), seconds: bridge.configuration.loadDeadline)
        capabilities = ModelCapabilities(answer)
        prefillRules = PrefillRules(
            slots: answer.prefillSlots, largestCall: max(1, answer.largestPrefill),
            padding: capabilities.prefillPadding, chunk: answer.prefillChunk,
            isTraced: initialization.traceMode == .all)
        bridge.log(
            .info,
            "\(mesh.modelClass) (\(answer.age)): decode contract \(answer.decodeContract), \(answer.tensors) tensors, "
                + (answer.splitsRead ? "output read apart" : "output read within the step"))
        if capabilities.prefixSharing == .none {
            bridge.log(
                .info, "prompts that begin alike share no KV blocks: the class does not say how, or it is not known")
        }
    }

    deinit {
        if let words = overhead.summary { bridge.log(.info, words) }
    }

    /// Keys and values are stored as bfloat8_b tiles of 32 × 32, 1088 bytes each (TT contract §7.1).
    func kvCacheBytes(blockSize: Int, group: Int) -> Int {
        let tiles = (blockSize + 31) / 32 * ((config.headSize + 31) / 32)
        return 2 * config.layerCount * config.keyValueHeadCount * tiles * 1088
    }

    func allocateKVCache(_ shape: KVCacheShape) throws(DeviceFault) {
        let blocks = (initialization.maxSequenceLength + shape.blockSize - 1) / shape.blockSize
        pageTableWidth = min(blocks, shape.blockCount)
        let heads = config.keyValueHeadCount
        try prepare(
            .allocate,
            AllocateHeader(
                shape: [
                    shape.allocatedCount(of: 0), heads / min(deviceCount, heads), shape.blockSize, config.headSize,
                ],
                layers: config.layerCount, pageTableWidth: pageTableWidth),
            seconds: bridge.configuration.loadDeadline)
    }

    func warmUp(_ plan: WarmUpPlan) throws(DeviceFault) {
        try prepare(
            .warmUp,
            WarmUpHeader(samplePrefill: plan.samplePrefillOnDevice, sampleDecode: plan.sampleDecodeOnDevice),
            seconds: bridge.configuration.warmUpDeadline)
        warmedUp = true
    }

    func prefillForward(_ batch: PrefillBatch) throws(DeviceFault) -> StepOutput {
        let onDevice = batch.sampling.allSatisfy { $0 != .onHost }
        var output = StepOutput(rows: batch.tokens.map { _ in .padding })
        for call in prefillRules.calls(for: batch, onDevice: onDevice) {
            let deadline = deadline(bridge.configuration.prefillDeadline, hasRun: hasPrefilled)
            try bridge.send(.prefill, until: deadline) { $0.append(call, of: batch, onDevice: onDevice) }
            let answer = try receive(
                .prefill, call.rows.map { _ in true }, onDevice: onDevice, until: deadline)
            for (row, result) in zip(call.rows, answer.rows.rows) { output.rows[row] = result }
            hasPrefilled = true
        }
        return output
    }

    func decodeForward(_ batch: DecodeBatch, plan: DecodePlan) throws(DeviceFault) {
        let began = ContinuousClock.now
        let isActive = batch.positions.map { $0 >= 0 }
        let onDevice = zip(isActive, batch.sampling).allSatisfy { !$0 || $1 != .onHost }
        let deadline = deadline(bridge.configuration.decodeDeadline, hasRun: hasDecoded)
        try bridge.send(.decode, until: deadline) { $0.append(decode: batch, plan, onDevice: onDevice) }
        running = RunningStep(deadline: deadline, began: began, isActive: isActive, onDevice: onDevice)
    }

    func readDecodeOutput() throws(DeviceFault) -> StepOutput {
        guard let step = running else {
            throw DeviceFault(operation: BridgeRequest.decode.operation, reason: "no step was started")
        }
        running = nil
        let output = try receive(.decode, step.isActive, onDevice: step.onDevice, until: step.deadline)
        hasDecoded = true
        overhead.add(total: .now - step.began, inModel: .nanoseconds(output.modelNanoseconds))
        return output.rows
    }

    /// The deadline of a step; without warm-up, the first step of each kind compiles.
    private func deadline(_ seconds: Int, hasRun: Bool) -> TimeLimit {
        TimeLimit(seconds: hasRun || warmedUp ? seconds : max(seconds, bridge.configuration.warmUpDeadline))
    }

    private func prepare(
        _ kind: BridgeRequest, _ header: some Encodable, seconds: Int
    ) throws(DeviceFault) {
        do {
            let _: NoHeader = try bridge.request(kind, header, seconds: seconds)
        } catch let error as DeviceFault {
            throw error
        } catch let error as TTNNError {
            guard case .refused(let operation, let reason) = error else {
                throw DeviceFault(operation: kind.operation, reason: error.description, cause: .settings)
            }
            throw DeviceFault(operation: operation, reason: reason, cause: .settings)
        } catch {
            throw DeviceFault(operation: kind.operation, reason: "\(error)", cause: .settings)
        }
    }

    private func receive(
        _ kind: BridgeRequest, _ isActive: [Bool], onDevice: Bool, until deadline: TimeLimit
    ) throws(DeviceFault) -> StepAnswer {
        let vocabulary = config.vocabularySize
        let size = StepAnswer.size(isActive: isActive, onDevice: onDevice, vocabulary: vocabulary)
        return try bridge.receive(kind, maxPayload: size, until: deadline) { bytes throws(BridgeError) in
            try StepAnswer(bytes, isActive: isActive, onDevice: onDevice, vocabulary: vocabulary)
        }
    }
}

extension ModelCapabilities {
    fileprivate init(_ answer: LoadAnswer) {
        self.init(
            supportsSampleOnDevice: answer.supportsSampleOnDevice, maxDeviceTopK: answer.maxDeviceTopK,
            deviceDraws: answer.draws, prefixSharing: PrefixSharing(answer.prefixAlignment),
            supportedBatchSizes: answer.supportedBatchSizes)
        prefillPadding = answer.prefillPadding
        // Classes write the padding of a prefill through the unused entries of the page table.
        needsNullBlock = true
        deviceSamplingScope = answer.samplesPerRow ? .step : .oneSetAStep
        keepsDecodeInputs = answer.supportsAsyncDecode
        runsDecodeAsync = true
    }
}

extension PrefixSharing {
    fileprivate init(_ pairs: [[Int]]) {
        let steps = pairs.compactMap { $0.count == 2 ? PrefillAlignment.Step(length: $0[0], multiple: $0[1]) : nil }
        self = PrefillAlignment(steps: steps).map(PrefixSharing.aligned) ?? .none
    }
}

extension LoadHeader {
    fileprivate init(_ initialization: ModelInitialization) {
        let model = initialization.config
        self.init(
            config: Config(
                _nameOrPath: model.path, architectures: model.architectures, vocabSize: model.vocabularySize,
                hiddenSize: model.hiddenSize, intermediateSize: model.intermediateSize,
                numHiddenLayers: model.layerCount, numAttentionHeads: model.attentionHeadCount,
                numKeyValueHeads: model.keyValueHeadCount, headDim: model.headSize,
                maxPositionEmbeddings: model.contextLength, rmsNormEps: model.normEpsilon,
                ropeTheta: model.ropeTheta),
            maxBatchSize: initialization.maxBatchSize, maxSeqLen: initialization.maxSequenceLength,
            blockSize: initialization.blockSize, traceMode: initialization.traceMode.rawValue,
            optimizations: initialization.optimizations?.rawValue)
    }
}
