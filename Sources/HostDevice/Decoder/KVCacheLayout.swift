// The groups of a described decoder's layers in the KV cache, by the windows of their attention.

import ModelFiles
import Platform

/// The layout of each group's cache, and the place of each layer in it.
struct KVCacheLayout: Sendable, Equatable {
    /// A layer's group, and its number among the group's layers.
    struct Place: Sendable, Equatable {
        let group: Int
        let layer: Int
    }

    let shape: KVCacheShape
    /// The layout of each group of `shape`.
    let groups: [KVCacheGeometry]
    /// The place of each layer.
    let places: [Place]

    /// The layout of a model's cache; `nil` if a layer attends to more tokens than any group of `shape` keeps.
    init?(_ description: ModelDescription, _ shape: KVCacheShape, type: KVCacheDType) {
        var counts = shape.groups.map { _ in 0 }
        var places: [Place] = []
        for attention in description.attentions {
            guard let group = shape.group(ofWindow: attention.window) else { return nil }
            places.append(Place(group: group, layer: counts[group]))
            counts[group] += 1
        }
        self.shape = shape
        self.places = places
        let first = description.attentions.first
        groups = zip(shape.groups, counts).map { group, layers in
            KVCacheGeometry(
                layers: layers, heads: first?.keyValueHeads ?? 0, headSize: first?.headSize ?? 0,
                blockCount: group.blockCount, blockSize: shape.blockSize, type: type)
        }
    }

    /// The layout of one block of each group that the model can have.
    static func ofOneBlock(
        _ description: ModelDescription, blockSize: Int, longest: Int, type: KVCacheDType
    ) -> KVCacheLayout {
        let groups = description.cacheWindows(longest: longest).map { KVCacheGroup(window: $0, blockCount: 1) }
        guard let layout = KVCacheLayout(description, KVCacheShape(groups: groups, blockSize: blockSize), type: type)
        else { preconditionFailure("the groups of a model have room for all of its layers") }
        return layout
    }
}

extension ModelDescription {
    /// The windows of the groups of layers that the cache of sequences of up to `longest` tokens can have; see
    /// `ModelCapabilities.kvCacheWindows`. A window that no sequence exceeds is none.
    func cacheWindows(longest: Int) -> [Int?] {
        let windows = attentions.map { attention in attention.window.flatMap { $0 < longest ? $0 : nil } }
        let all: [Int?] = windows.contains(nil) ? [nil] : []
        return all + (windows.compactMap(\.self).max().map { [$0] } ?? [])
    }
}
