// The number of blocks of the KV pool (TT contract §2.4).

/// Computes the size of the KV pool.
public enum KVBlockCount {
    /// Blocks for `maxTokensAllUsers` tokens, plus one for each row, since a row's last block is rarely full.
    public static func blocks(maxTokensAllUsers: Int, blockSize: Int, maxNumSeqs: Int) -> Int {
        ceilDivide(maxTokensAllUsers + blockSize * maxNumSeqs, blockSize)
    }

    /// Maximum number of tokens of all rows together, by what fits on Tenstorrent boards.
    ///
    /// - Parameters:
    ///   - model: the model's name, which is searched for the names of the table.
    ///   - deviceCount: chips that the model runs on.
    ///   - architecture: the chips' generation; Wormhole, with its smaller memory, if it is not known.
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
    ///   - bytesPerBlock: the result of `TTModel.kvCacheBytes`.
    ///   - availableBytes: `MeshDevice.availableKVCacheBytes`.
    ///   - maxTokensAllUsers: the result of `MeshDevice.maxTokensAllUsers`; replaces the table.
    ///   - hasNullBlock: whether there is an additional block 0, which does not belong to the pool.
    /// - Throws: `ConfigurationError.keyValueCacheTooSmall` if the pool does not hold one sequence of `maxModelLen`
    ///   tokens, unless that length may be lowered to fit.
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
            // All rows at their longest use no more than this.
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

    /// Numbers of tokens that were found to fit; the newer one where the contract's sources differ. The first match
    /// counts.
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
