// Fuzzes safetensors files, as the weights of a small llama.

import Foundation
import Fuzzing
import ModelFileBuilders
import ModelFiles

@main
enum SafetensorsFuzzer: Fuzzer {
    private static let file: InputFile = {
        let file = InputFile("model.safetensors")
        let config = """
            {"model_type": "llama", "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "vocab_size": 16}
            """
        try! Data(config.utf8).write(to: URL(filePath: file.folderPath + "/config.json"))
        return file
    }()

    static func seeds() throws -> [String: [UInt8]] {
        var types = SafetensorsBuilder()
        for (type, bits) in [("F8_E4M3", 8), ("BF16", 16), ("F32", 32), ("I64", 64), ("BOOL", 8)] {
            types.add(type, type, [2, 1], bytesEach: bits / 8)
        }
        types.add("F4", "F4", [2], [0])
        types.add("empty", "F32", [0, 2], bytesEach: 4)
        var large = SafetensorsBuilder()
        large.add("one", "F32", [64, 64])
        return ["llama": SafetensorsBuilder.llama.build(), "types": types.build(), "large": large.build()]
    }

    static func test(_ input: UnsafeRawBufferPointer) throws {
        file.write(input)
        let bundle = try ModelBundle(path: file.folderPath)
        bundle.touchWeights()
        _ = try bundle.description()
    }
}
