// The configuration file that is shipped says what there is, and nothing else.

import Foundation
import ModelFiles
import Platform
import TTNNSettings
import TestSupport
import Testing

@testable import Settings

@Suite struct ShippedFileTests {
    private let shipped = try! String(
        contentsOf: Locations.repository.appending(path: "etc/ttbatch.yaml"), encoding: .utf8)

    /// The file with the mark of every key that is commented out removed.
    private var uncommented: String {
        shipped.replacing(#/(?m)^( *)# ( *[a-z0-9_\-]+:(?: .*)?)$/#) { "\($0.output.1)\($0.output.2)" }
    }

    private func resolve(_ yaml: String) throws -> Configuration {
        let folder = try TemporaryFolder()
        return try Configuration(
            ConfigurationSources(file: try folder.write("ttbatch.yaml", yaml), flags: [], environment: ["HOME": "/h"]))
    }

    @Test func itIsTheDefaults() throws {
        let file = try resolve(shipped)
        let standard = try resolve("")
        #expect(file.database == standard.database && file.model == standard.model)
        #expect(file.daemon == standard.daemon)
        // Also that no key of `tt` counts as given, since what is given is never changed to what a model can do.
        #expect(file.engine == standard.engine)
    }

    @Test func whatIsCommentedOutIsValidToo() throws {
        let all = try resolve(uncommented)
        #expect(all.database == .file("/var/lib/ttbatch/ttbatch.db") && all.engine.maxModelLen == 2048)
        #expect(all.engine.meshDevice != nil && all.engine.tt.numCommandQueues == 1)
        #expect(all.catalogue.entries.map(\.name) == ["my-model", "qwen"])
    }

    @Test func everyUsefulKeyIsInIt() throws {
        // Understood only to be refused with a reason, or another name for a key that is there.
        let refused: Set = [
            "tensor_parallel_size", "pipeline_parallel_size", "enable_chunked_prefill", "speculative_model",
            "enable_lora", "always_compat_sampling", "data_parallel",
        ]
        let keys =
            EngineConfiguration.keys + TTConfig.keys + BridgeConfiguration.keys + DaemonSettings.keys
            + Configuration.topLevelKeys
            + ModelSettings.keys.compactMap { $0.split(separator: ".").last.map(String.init) }
        let lines = uncommented.split(separator: "\n").map { $0.drop { $0 == " " } }
        for key in keys where !refused.contains(key) {
            #expect(lines.contains { $0.hasPrefix(key + ":") }, "\(key) is missing")
        }
    }
}
