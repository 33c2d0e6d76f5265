// Models that cannot be loaded or that compute no numbers: typed errors that name the place, never a crash.

import Foundation
import ModelFiles
import Platform
import Sampling
import TestSupport
import Testing

@testable import HostDevice

@Suite struct LoadingFaultTests {
    /// A copy of a tiny model, changed by `change`.
    private func changed(
        _ name: String, _ change: (GGUFFile, inout Data) throws -> Void, _ body: (String) throws -> Void
    ) throws {
        let original = Locations.golden("tiny/\(name).gguf")
        var data = try Data(contentsOf: original)
        try change(GGUFFile(path: original.path), &data)
        let folder = try TemporaryFolder()
        try body(folder.write("changed.gguf", data))
    }

    private func offset(of tensor: String, in file: GGUFFile) throws -> Int {
        try #require(file.tensor(tensor).bytes.baseAddress) - UnsafeRawPointer(file.file.bytes.baseAddress!)
    }

    /// Loading refuses such a file, so the damage comes later, and unseen: with the time of the last change as it was.
    @Test(arguments: Optimizations.allCases)
    func logitsThatAreNotNumbersHarmNoOtherRow(optimizations: Optimizations) throws {
        try changed("tiny-q4_0", { _, _ in }) { path in
            let loaded = try LoadedModel(path: path, optimizations)
            let before = try loaded.prefill([1, 2, 3])
            #expect(before.allSatisfy { $0.isFinite })
            // Token 7's embedding: the scale of its first block becomes NaN.
            let embedding = try GGUFFile(path: path).tensor("token_embd.weight")
            try overwriteUnseen(
                path, at: embedding.offset + 7 * embedding.bytes.count / embedding.shape[1], with: [0x00, 0x7e])
            let batch = PrefillBatch(
                tokens: [[1, 2], [3, 7], [7, 5, 6, 8]], startPositions: [0, 0, 0], pageTable: loaded.table(rows: 3),
                slots: [0, 1, 2], sampling: [.onDevice(.greedy), .onHost, .onDevice(.greedy)])
            let rows = try loaded.model.prefillForward(batch).rows
            #expect(rows[0].token != nil)
            #expect(rows[1] == .notNumbers)
            #expect(rows[2] == .notNumbers)
            // Nor what comes after it into the same KV blocks.
            let poisoned = PrefillBatch(
                tokens: [[7, 5, 6, 8]], startPositions: [0], pageTable: loaded.table(rows: 1), slots: [0],
                sampling: [.onHost])
            #expect(try loaded.model.prefillForward(poisoned).rows == [.notNumbers])
            #expect(try loaded.prefill([1, 2, 3]) == before)
        }
    }

    private func overwriteUnseen(_ path: String, at offset: Int, with bytes: [UInt8]) throws {
        var status = stat()
        try #require(stat(path, &status) == 0)
        let file = open(path, O_WRONLY)
        try #require(file >= 0 && pwrite(file, bytes, bytes.count, off_t(offset)) == bytes.count)
        try #require(futimens(file, [status.st_atim, status.st_mtim]) == 0)
        close(file)
    }

    // MARK: Damage

    private static let plan = WarmUpPlan(
        decodeBatchSize: 2, pageTableWidth: 16, traceMode: true, samplePrefillOnDevice: false,
        sampleDecodeOnDevice: true)

    /// Overwrites tensors whose names `isMeant` with one byte.
    private func overwritten(
        _ name: String, with byte: UInt8, _ isMeant: @escaping (MappedTensor) -> Bool, _ body: (String) throws -> Void
    ) throws {
        try changed(
            name,
            { file, data in
                for tensor in file.tensors.values where isMeant(tensor) {
                    let place = tensor.offset..<tensor.offset + tensor.bytes.count
                    data.replaceSubrange(place, with: repeatElement(byte, count: place.count))
                }
            }, body)
    }

    /// Matrices whose weights give nothing at all are found before a job is: the file's fault.
    @Test(arguments: ["tiny-f32", "tiny-f16", "tiny-q4_0"])
    func matricesOfZerosAreFoundAtWarmUp(name: String) throws {
        for optimizations in Optimizations.allCases {
            try overwritten(name, with: 0) {
                $0.shape.count == 2
            } _: { path in
                let loaded = try LoadedModel(path: path, optimizations)
                let fault = #expect(throws: DeviceFault.self) { try loaded.model.warmUp(Self.plan) }
                #expect(fault?.cause == .model, "\(String(describing: fault))")
                #expect(fault?.description.hasPrefix(path + ": the model's logits are") == true)
            }
        }
    }

    /// One weight in any matrix that is no number is found and named when the model is loaded, in either mode. The
    /// embedding of tiny-f16 is not its output head, and not packed.
    @Test(
        arguments: ["tiny-f32", "tiny-f16", "tiny-bf16", "tiny-q4_0", "tiny-q8_0"],
        ["token_embd.weight", "blk.1.ffn_down.weight"])
    func weightsThatAreNotNumbersAreNamed(name: String, tensor: String) throws {
        var place = 0
        try changed(name) { file, data in
            let tensor = try file.tensor(tensor)
            // In the middle, a whole number of blocks from the beginning.
            let block = tensor.type.blockBytes
            place = tensor.offset + tensor.bytes.count / 2 / block * block
            data.replaceSubrange(place..<place + min(block, 4), with: repeatElement(0xff, count: min(block, 4)))
        } _: { path in
            for optimizations in Optimizations.allCases {
                let error = #expect(throws: ModelFileError.self) { try LoadedModel(path: path, optimizations) }
                let reason = "tensor \(tensor) has values that are not numbers"
                #expect(error == .corrupt(path: path, offset: place, reason: reason))
                #expect(error?.mayPass == false)
            }
        }
    }

    @Test(arguments: [UInt8(0xff), 0], ["blk.1.ffn_norm.weight", "output_norm.weight", "blk.0.attn_norm.weight"])
    func normsThatAreNoneAreNamed(byte: UInt8, name: String) throws {
        try overwritten("tiny-f32", with: byte) {
            $0.name == name
        } _: { path in
            let error = #expect(throws: ModelFileError.self) { try LoadedModel(path: path) }
            guard case .corrupt(_, let offset, let reason) = error else {
                Issue.record("\(String(describing: error))")
                return
            }
            #expect(reason.contains("tensor \(name) has ") && error?.mayPass == false)
            let place = try GGUFFile(path: path).tensor(name).offset
            #expect(offset == place)
        }
    }

    /// Padding tokens' embeddings may be zeros: others are asked.
    @Test func aModelWithoutAFirstTokenIsNotRefused() throws {
        // This one has a head of its own, which answers as before.
        try changed("tiny-f16") { file, data in
            let embedding = try file.tensor("token_embd.weight")
            let row = embedding.bytes.count / embedding.shape[1]
            data.replaceSubrange(embedding.offset..<embedding.offset + row, with: repeatElement(0, count: row))
        } _: { path in
            let loaded = try LoadedModel(path: path)
            try loaded.model.warmUp(Self.plan)
            #expect(try loaded.prefill([1, 2, 3]).allSatisfy(\.isFinite))
        }
    }

    /// Tokens computed while the file was changed are discarded, and the device is not blamed.
    @Test(arguments: [false, true])
    func aFileThatIsChangedAtWorkIsTheModelsFault(isCut: Bool) throws {
        try changed("tiny-f32", { _, _ in }) { path in
            let loaded = try LoadedModel(path: path)
            try loaded.model.warmUp(Self.plan)
            _ = try loaded.prefill([1, 2, 3])
            if isCut {
                #expect(truncate(path, 100) == 0)
            } else {
                try FileManager.default.setAttributes([.modificationDate: Date() + 9], ofItemAtPath: path)
            }
            let fault = #expect(throws: DeviceFault.self) { _ = try loaded.prefill([4, 5]) }
            #expect(fault?.cause == .model && fault?.description.hasPrefix(path + ": was changed") == true)
            #expect(throws: DeviceFault.self) { _ = try loaded.decode([4], [3], table: loaded.table(rows: 1)) }
        }
    }

    /// What it looks like by then says nothing about the file: that it was changed does.
    @Test func aFileThatIsCutShortWhileItIsLoadedIsChangedAndNotDamaged() throws {
        try changed("tiny-f32", { _, _ in }) { path in
            let bundle = try ModelBundle(path: path)
            let description = try bundle.description()
            #expect(truncate(path, 100) == 0)
            let error = #expect(throws: ModelFileError.self) {
                _ = try DecoderWeights(
                    bundle.weights, description, int8: false, pool: ThreadPool(threadCount: 2))
            }
            guard case .changed = error else {
                Issue.record("\(String(describing: error))")
                return
            }
        }
    }

    // MARK: Files that are refused

    @Test func missingTensorsAreNamed() throws {
        try changed("tiny-f32") { _, data in
            let name = try #require(data.range(of: Data("blk.1.ffn_up.weight".utf8)))
            data.replaceSubrange(name, with: Data("blk.1.ffn_xx.weight".utf8))
        } _: { path in
            #expect(throws: ModelFileError.missingTensor(path: path, name: "blk.1.ffn_up.weight")) {
                try LoadedModel(path: path)
            }
        }
    }

    @Test func tensorsThatWouldNotBeComputedAreRefused() throws {
        // The output head under another name: the model would run with the embedding's weights instead.
        try changed("tiny-f16") { _, data in
            let prefix: [UInt8] = [13, 0, 0, 0, 0, 0, 0, 0]
            let name = try #require(data.range(of: Data(prefix + "output.weight".utf8)))
            data.replaceSubrange(name, with: Data(prefix + "output.biases".utf8))
        } _: { path in
            let error = ModelFileError.unsupported(path: path, what: "tensor output.biases")
            #expect(throws: error) { try LoadedModel(path: path) }
            // And before anything is loaded.
            #expect(throws: error) {
                try HostPlatform().check(EngineConfiguration(), for: try ModelBundle(path: path).config)
            }
        }
    }

    @Test func tooLargeACacheIsAFault() throws {
        let loaded = try LoadedModel(tiny: "tiny-f32")
        let fault = #expect(throws: DeviceFault.self) {
            try loaded.model.allocateKVCache(KVCacheShape(blockCount: 1 << 36, blockSize: 16))
        }
        #expect(fault?.operation == "KV cache allocation")
    }

    /// A file may claim any context length: loading costs nothing by it, so that the check of the KV pool is reached.
    @Test func aHugeContextIsLoadedAndOnlyItsMemoryIsRefused() async throws {
        // In a process of its own: here other tests take memory meanwhile.
        await #expect(processExitsWith: .success) {
            let path = Locations.golden("tiny/tiny-f32.gguf").path
            let before = try Self.residentBytes()
            let loaded = try LoadedModel(path: path, blockCount: 16, maxSequenceLength: 1 << 24)
            #expect(try loaded.prefill([1, 2, 3]).allSatisfy(\.isFinite))
            #expect(try Self.residentBytes() - before < 64 << 20)
            #expect(throws: DeviceFault.self) {
                try loaded.model.allocateKVCache(KVCacheShape(blockCount: Int(Int32.max), blockSize: 65_536))
            }
        }
        let error = #expect(throws: HostDeviceError.self) { try DeviceBuffer<Float>(count: 1 << 55) }
        #expect(error?.description.contains("cannot be reserved") == true)
        #expect(throws: HostDeviceError.self) { try DeviceBuffer<Float>(count: Int.max) }
    }

    private static func residentBytes() throws -> Int {
        let text = try #require(read("/proc/self/statm"))
        return try #require(Int(text.split(separator: " ")[1])) * 4096
    }

    @Test func cacheBytesFollowTheMode() throws {
        let exact = try LoadedModel(tiny: "tiny-f32").model.kvCacheBytes(blockSize: 16)
        let fast = try LoadedModel(tiny: "tiny-f32", .performance).model.kvCacheBytes(blockSize: 16)
        #expect(exact == 2 * fast)
        #expect(exact > 0)
    }

    @Test func aModelIsMadeThroughTheRegistry() throws {
        let device = try HostMeshDevice(threads: 1)
        defer { device.close() }
        let path = Locations.golden("tiny/tiny-f32.gguf").path
        let factory = try #require(device.models["TTLlamaForCausalLM"])
        var initialization = ModelInitialization(
            config: try ModelBundle(path: path).config, maxBatchSize: 2, maxSequenceLength: 64,
            optimizations: .accuracy)
        let model = try factory(initialization, device)
        #expect(model.capabilities.supportsSampleOnDevice)
        try model.allocateKVCache(KVCacheShape(blockCount: 8, blockSize: 16))
        try model.warmUp(
            WarmUpPlan(
                decodeBatchSize: 2, pageTableWidth: 4, traceMode: true, samplePrefillOnDevice: false,
                sampleDecodeOnDevice: true))
        initialization.config.path = path + ".absent"
        #expect(throws: ModelFileError.self) { try factory(initialization, device) }
    }
}
