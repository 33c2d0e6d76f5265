// Fuzzes config.json and generation_config.json, over the weights of a small llama.

import Foundation
import Fuzzing
import ModelFileBuilders
import ModelFiles
import RandomModels

@main
enum ConfigFuzzer: Fuzzer {
    private static let config: InputFile = {
        let file = InputFile("config.json")
        try! Data(SafetensorsBuilder.llama.build()).write(to: URL(filePath: file.folderPath + "/model.safetensors"))
        // Both files are read from the same text, since their keys have different names.
        try! FileManager.default.createSymbolicLink(
            atPath: file.folderPath + "/generation_config.json", withDestinationPath: file.path)
        return file
    }()

    /// The configurations of the random models, in both dialects, with the sizes of the small llama.
    static func seeds() throws -> [String: [UInt8]] {
        var seeds: [String: [UInt8]] = [:]
        for name in RandomModel.names {
            let model = try RandomModel(name)
            for (index, folder) in model.containers.enumerated() where !folder.hasSuffix(".gguf") {
                var text = try String(contentsOfFile: folder + "/config.json", encoding: .utf8)
                for (key, size) in [("vocab_size", 16), ("hidden_size", 8), ("num_hidden_layers", 2)] {
                    text.replace(try Regex("\"\(key)\": [0-9]+"), with: "\"\(key)\": \(size)")
                }
                let generation = "\"temperature\": 0.5, \"top_p\": 1, \"do_sample\": true, \"max_new_tokens\": 9, "
                seeds["\(name)-\(index)"] = Array(text.replacing("{", with: "{" + generation, maxReplacements: 1).utf8)
            }
        }
        return seeds
    }

    static func test(_ input: UnsafeRawBufferPointer) throws {
        config.write(input)
        _ = try ModelBundle(path: config.folderPath).description()
    }
}
