// The number of blocks of the KV pools (TT contract §2.4).

/// Computes the sizes of the KV pools.
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

    /// A group of layers to size: the window that they attend to, and the bytes of a block over all of them.
    public typealias Group = (window: Int?, bytesPerBlock: Int)

    /// The pools of a model's groups.
    ///
    /// The first group gets the memory that the others leave. These need no more blocks than it has, nor more than rows
    /// can own at once: for their windows, and for the tokens of a prefill step.
    /// - Parameters:
    ///   - configuration: the checked settings.
    ///   - model: the model's name, for the table.
    ///   - groups: `ModelCapabilities.kvCacheWindows`, with the results of `TTModel.kvCacheBytes`.
    ///   - availableBytes: `MeshDevice.availableKVCacheBytes`.
    ///   - maxTokensAllUsers: the result of `MeshDevice.maxTokensAllUsers`; replaces the table.
    ///   - hasNullBlock: whether there is an additional block 0, which does not belong to the pool.
    /// - Throws: `ConfigurationError.keyValueCacheTooSmall` if the pools do not hold one sequence of `maxModelLen`
    ///   tokens, unless that length may be lowered to fit.
    public static func pool(
        _ configuration: CheckedConfiguration, model: String, groups: [Group], availableBytes: Int?,
        maxTokensAllUsers limit: Int? = nil, hasNullBlock: Bool = false
    ) throws(ConfigurationError) -> KVCacheShape {
        let blockSize = configuration.blockSize
        let longest = ceilDivide(configuration.maxModelLen, blockSize)
        let most = groups.map { mostBlocks(configuration, window: $0.window) }
        let count: Int
        switch configuration.blockSource {
        case .blocks(let blocks): count = blocks
        case .bytes(let bytes): count = firstCount(groups, most, in: bytes)
        case .rule:
            let table = blocks(
                maxTokensAllUsers: limit
                    ?? maxTokensAllUsers(
                        model: model, deviceCount: configuration.deviceCount,
                        architecture: configuration.chipArchitecture),
                blockSize: blockSize, maxNumSeqs: configuration.maxNumSeqs)
            let used = min(table, most[0])
            // The other half of the free memory is for activations, other programs and the page cache.
            count = availableBytes.map { min(used, firstCount(groups, most, in: $0 / 2)) } ?? used
        }
        guard count >= longest || (configuration.fitsModelLenToPool && count * blockSize >= 2) else {
            throw .keyValueCacheTooSmall(
                blocks: count, blockSize: blockSize, maxModelLen: configuration.maxModelLen)
        }
        let first = min(count, Int(Int32.max) - 1)
        return KVCacheShape(
            groups: groups.enumerated().map { index, group in
                KVCacheGroup(window: group.window, blockCount: index == 0 ? first : min(first, most[index]))
            }, blockSize: blockSize, hasNullBlock: hasNullBlock)
    }

    /// The most blocks that all rows can own at once in a group with `window`.
    private static func mostBlocks(_ configuration: CheckedConfiguration, window: Int?) -> Int {
        let (blockSize, rows) = (configuration.blockSize, configuration.maxNumSeqs)
        let whole = ceilDivide(configuration.maxModelLen, blockSize) * rows
        guard let window, window < configuration.maxModelLen else { return whole }
        // A window may begin and end within a block; all blocks of a step's prompts are in use until the step has ended.
        let windows = rows * (ceilDivide(window, blockSize) + 1)
        return min(whole, windows + configuration.maxNumBatchedTokens / blockSize + 1)
    }

    /// The most blocks of the first group with which all groups fit `bytes`.
    private static func firstCount(_ groups: [Group], _ most: [Int], in bytes: Int) -> Int {
        var (bytes, bytesPerBlock) = (bytes, groups.reduce(0) { $0 + $1.bytesPerBlock })
        for index in groups.indices.dropFirst().sorted(by: { most[$0] < most[$1] })
        where bytes / max(1, bytesPerBlock) > most[index] {
            bytes -= most[index] * groups[index].bytesPerBlock
            bytesPerBlock -= groups[index].bytesPerBlock
        }
        return bytes / max(1, bytesPerBlock)
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
