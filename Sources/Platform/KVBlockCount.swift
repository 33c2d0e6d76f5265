// How many blocks the KV pool has (TT contract §2.4).

/// The sizes of the KV pool.
public enum KVBlockCount {
    /// Blocks for `maxTokensAllUsers` tokens in all, and one block more for each row, which is rarely full.
    public static func blocks(maxTokensAllUsers: Int, blockSize: Int, maxNumSeqs: Int) -> Int {
        ceilDivide(maxTokensAllUsers + blockSize * maxNumSeqs, blockSize)
    }

    /// Tokens that all rows together may have, by what fits on Tenstorrent boards.
    ///
    /// - Parameters:
    ///   - model: the model's name; a part of it is enough.
    ///   - deviceCount: chips that the model runs on.
    ///   - architecture: the chips' generation; where it is not known, Wormhole with its smaller memory.
    public static func maxTokensAllUsers(
        model: String, deviceCount: Int, architecture: ChipArchitecture? = nil
    ) -> Int {
        let name = model.lowercased()
        let limit = limits.first { limit in
            limit.devices.contains(deviceCount) && name.contains(limit.model)
                && (limit.onBlackholeToo || architecture != .blackhole)
        }
        return limit?.tokens ?? 131_072
    }

    /// The pool of a model.
    ///
    /// - Parameters:
    ///   - configuration: the checked settings.
    ///   - model: the model's name, for the table.
    ///   - bytesPerBlock: what `TTModel.kvCacheBytes` says.
    ///   - availableBytes: what `MeshDevice.availableKVCacheBytes` says.
    ///   - maxTokensAllUsers: what `MeshDevice.maxTokensAllUsers` says; it counts instead of the table.
    ///   - hasNullBlock: whether block 0 is kept out of the pool; it is one more then.
    /// - Throws: `ConfigurationError.keyValueCacheTooSmall` where the pool does not hold one longest sequence, unless that may
    ///   be made to fit.
    public static func pool(
        _ configuration: CheckedConfiguration, model: String, bytesPerBlock: Int, availableBytes: Int?,
        maxTokensAllUsers limit: Int? = nil, hasNullBlock: Bool = false
    ) throws(ConfigurationError) -> KVCacheShape {
        let blockSize = configuration.blockSize
        let longest = ceilDivide(configuration.maxModelLen, blockSize)
        let count: Int
        switch configuration.blockSource {
        case .blocks(let blocks): count = blocks
        case .bytes(let bytes): count = bytes / max(1, bytesPerBlock)
        case .rule:
            let table = blocks(
                maxTokensAllUsers: limit
                    ?? maxTokensAllUsers(
                        model: model, deviceCount: configuration.deviceCount,
                        architecture: configuration.chipArchitecture),
                blockSize: blockSize, maxNumSeqs: configuration.maxNumSeqs)
            // More than every row at its longest is never used.
            let used = min(table, longest * configuration.maxNumSeqs)
            count = min(used, memoryBound(availableBytes, bytesPerBlock) ?? used)
        }
        guard count >= longest || (configuration.fitsModelLenToPool && count * blockSize >= 2) else {
            throw .keyValueCacheTooSmall(
                blocks: count, blockSize: blockSize, maxModelLen: configuration.maxModelLen)
        }
        return KVCacheShape(
            blockCount: min(count, Int(Int32.max) - 1), blockSize: blockSize, hasNullBlock: hasNullBlock)
    }

    /// Blocks in half of the free memory: the rest is for activations, other programs and the page cache.
    private static func memoryBound(_ availableBytes: Int?, _ bytesPerBlock: Int) -> Int? {
        availableBytes.map { $0 / 2 / max(1, bytesPerBlock) }
    }

    private struct Limit {
        let model: String
        let devices: ClosedRange<Int>
        let tokens: Int
        var onBlackholeToo = false
    }

    /// What was found to fit; the newer figure where the contract's sources differ. The first match counts.
    private static let limits = [
        Limit(model: "llama-3.1-8b", devices: 1...1, tokens: 32_768),
        Limit(model: "qwen3-8b", devices: 1...1, tokens: 32_768),
        Limit(model: "mistral-7b", devices: 1...1, tokens: 65_536),
        Limit(model: "gemma-3-4b", devices: 1...2, tokens: 65_536),
        Limit(model: "deepseek-r1-distill-qwen-14b", devices: 2...2, tokens: 65_536),
        Limit(model: "qwen2.5-14b", devices: 2...2, tokens: 65_536),
        Limit(model: "llama-3.2-90b", devices: 8...8, tokens: 65_536),
        Limit(model: "qwen2.5-vl-72b", devices: 8...8, tokens: 65_536),
        Limit(model: "gpt-oss", devices: 1...Int.max, tokens: 1024, onBlackholeToo: true),
        Limit(model: "deepseek-r1-0528", devices: 1...Int.max, tokens: 32_768),
    ]

    private static func ceilDivide(_ value: Int, _ divisor: Int) -> Int { (value + divisor - 1) / divisor }
}
