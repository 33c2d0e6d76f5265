// Folders: shards, what is beside the weights, and folders that are no models.

import JSONText
import ModelFileBuilders
import TestSupport
import Testing

@testable import ModelFiles

@Suite struct HuggingFaceFolderTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private static let names = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]

    /// A llama whose layers' tensors are in another file than the rest; `change` is given the index.
    private func writeShards(_ change: (inout [String: JSONValue]) -> Void = { _ in }) throws -> String {
        let model = FolderBuilder.llama
        var map: [String: JSONValue] = [:]
        for (shard, name) in Self.names.enumerated() {
            var weights = SafetensorsBuilder()
            for tensor in model.tensors where tensor.name.contains("layers.") == (shard == 1) {
                weights.add(tensor.name, "F16", tensor.shape, bytesEach: 2)
                map[tensor.name] = .string(name)
            }
            try folder.write("model/" + name, weights.build())
        }
        change(&map)
        let members = JSONValue.object(map.map { .init($0.key, $0.value) })
        try folder.write(
            "model/model.safetensors.index.json",
            FolderBuilder.json(["metadata": ["total_size": 1], "weight_map": members]))
        return try model.writeWithoutWeights(to: folder)
    }

    private func expect(_ message: String, in path: String) {
        let error = #expect(throws: ModelFileError.self) { try ModelBundle(path: path).description() }
        let text = error?.description ?? ""
        #expect(text.hasPrefix(folder.path) && text.contains(message), "\(text) lacks \(message)")
    }

    @Test func shardsAreReadByTheirIndex() throws {
        let bundle = try ModelBundle(path: writeShards())
        #expect(bundle.weights.tensors.count == 21 && bundle.config.weightType == "F16")
        _ = try bundle.description()
        try bundle.weights.checkUnchanged()
        try folder.write("model/" + Self.names[1], "")
        let error = #expect(throws: ModelFileError.self) { try bundle.weights.checkUnchanged() }
        #expect(error?.description.contains(Self.names[1]) == true)
    }

    @Test func whatIsWrongWithAnIndexIsNamed() throws {
        let name = "model.norm.weight"
        expect("should be in \(Self.names[1]), but is in", in: try writeShards { $0[name] = .string(Self.names[1]) })
        expect(
            "tensor \"odd\" should be in \(Self.names[0]), which does not contain it",
            in: try writeShards { $0["odd"] = .string(Self.names[0]) })
        for file in ["../model.safetensors", "/x.safetensors", "model.bin", ""] {
            expect("weight_map.\(name)", in: try writeShards { $0[name] = .string(file) })
        }
        expect("weight_map.\(name)", in: try writeShards { $0[name] = 5 })
        let path = try writeShards { $0[name] = "none.safetensors" }
        let error = #expect(throws: ModelFileError.self) { try ModelBundle(path: path) }
        #expect(
            error
                == .missingFile(
                    path: path + "/none.safetensors", neededBy: path + "/model.safetensors.index.json"))
        try folder.write("model/model.safetensors.index.json", "{\"metadata\":{}}")
        expect("weight_map", in: path)
    }

    @Test func oneFileIsPreferredToShards() throws {
        _ = try writeShards()
        #expect(try ModelBundle(path: FolderBuilder.llama.write(to: folder)).config.weightType == "BF16")
    }

    @Test func foldersWithoutAModelSayWhatTheyLack() throws {
        try folder.write("empty/readme.md", "")
        expect("no config.json; give a folder", in: folder.file("empty"))
        try folder.write("files/b.gguf", "")
        try folder.write("files/a.gguf", "")
        expect("give the path of one, as \(folder.file("files"))/a.gguf", in: folder.file("files"))
        let path = try FolderBuilder.llama.writeWithoutWeights(to: folder)
        expect("no model.safetensors and no model.safetensors.index.json; fetch", in: path)
        try folder.write("model/pytorch_model.bin", "")
        expect("only pytorch_model.bin", in: path)
    }

    /// Other devices have models of their own for a folder that cannot be described.
    @Test func aFolderThatCannotBeDescribedHasAConfiguration() throws {
        var model = FolderBuilder.model("deepseek_v3", "DeepseekV3ForCausalLM")
        let bare = try ModelBundle(path: model.writeWithoutWeights(to: folder))
        #expect(bare.config.architectures == ["DeepseekV3ForCausalLM"] && bare.config.vocabularySize == 16)
        #expect(bare.config.parameterCount == 0 && bare.weights.tensors.isEmpty)
        model.config["quantization_config"] = ["quant_method": "fp8"]
        let bundle = try ModelBundle(path: model.write(to: folder))
        #expect(bundle.config.parameterCount == 1448 && bundle.config.weightType == "BF16")
        expect("deepseek_v3", in: folder.file("model"))
    }

    @Test func weightsOfOtherTypesAreNamed() throws {
        let path = try FolderBuilder.llama.writeWithoutWeights(to: folder)
        var weights = SafetensorsBuilder()
        for (name, shape) in FolderBuilder.llama.tensors { weights.add(name, "F8_E4M3", shape, bytesEach: 1) }
        try folder.write("model/model.safetensors", weights.build())
        #expect(try ModelBundle(path: path).config.weightType == "F8_E4M3")
        expect("the type F8_E4M3 of tensor \"", in: path)
    }

    // What is beside the weights.

    private func defaults(_ text: String?, _ changes: [String: JSONValue] = [:]) throws -> GenerationDefaults {
        var model = FolderBuilder.llama
        model.config.merge(changes) { $1 }
        if let text { model.files["generation_config.json"] = text }
        return try ModelBundle(path: model.write(to: folder, text == nil ? "plain" : "model")).generationDefaults
    }

    @Test func generationDefaultsAreRead() throws {
        var wanted = GenerationDefaults()
        (wanted.samples, wanted.temperature, wanted.topK, wanted.topP) = (true, 0.6, 20, 0.95)
        (wanted.minP, wanted.repetitionPenalty, wanted.endTokens) = (0.1, 1.05, [7, 9])
        let text = """
            {"do_sample": true, "temperature": 0.6, "top_k": 20, "top_p": 0.95, "min_p": 0.1, "repetition_penalty": 1.05,
             "max_new_tokens": 100, "eos_token_id": [7, 9], "bos_token_id": 1, "transformers_version": "5"}
            """
        #expect(try defaults(text, ["eos_token_id": 3]) == wanted)
        #expect(try defaults("{}", ["eos_token_id": [3]]).endTokens == [3])
        #expect(try defaults(nil, ["eos_token_id": 3]).endTokens == [3])
        #expect(try defaults(nil, ["eos_token_id": nil]) == GenerationDefaults())
        #expect(try defaults("{\"top_k\": 0, \"temperature\": null}") == GenerationDefaults())
    }

    /// The penalty holds for greedy models, too; it is said, as few expect it.
    @Test func whatTheModelRecommendsIsTheDefault() throws {
        var model = FolderBuilder.llama
        model.files["generation_config.json"] =
            "{\"do_sample\": false, \"temperature\": 0.5, \"min_p\": 0.1, \"repetition_penalty\": 1.5}"
        let greedy = try ModelBundle(path: model.write(to: folder, "greedy"))
        #expect(greedy.samplingDefaults.temperature == 0 && greedy.samplingDefaults.minP == nil)
        #expect(greedy.samplingDefaults.repetitionPenalty == 1.5)
        #expect(greedy.warnings.contains { $0.contains("a repetition_penalty of 1.5") })
        model.files["generation_config.json"] = "{\"do_sample\": true, \"min_p\": 0.1, \"repetition_penalty\": 1}"
        let sampled = try ModelBundle(path: model.write(to: folder, "sampled"))
        #expect(sampled.samplingDefaults.minP == 0.1 && sampled.warnings.isEmpty)
        var entry = CatalogueEntry(name: "m", path: try model.write(to: folder, "m"))
        var options = ModelOptions()
        options.defaults.minP = 0.5
        entry = CatalogueEntry(name: "m", path: entry.path, options: options)
        #expect(try ModelBundle(entry).samplingDefaults.minP == 0.5)
    }

    @Test(arguments: [
        ("{\"temperature\": \"hot\"}", "temperature"), ("{\"top_p\": 2}", "top_p"),
        ("{\"eos_token_id\": [\"x\"]}", "eos"), ("{\"eos_token_id\": [1, 1.5]}", "eos"),
        ("{", "line 1"), ("{\"repetition_penalty\": 0}", "repetition_penalty"), ("{\"top_k\": 1.5}", "top_k"),
    ])
    func generationDefaultsThatAreNoneAreNamed(text: String, message: String) throws {
        let error = #expect(throws: ModelFileError.self) { try defaults(text) }
        let shown = error?.description ?? ""
        #expect(shown.contains("generation_config.json") && shown.contains(message), "\(shown)")
    }

    @Test func samplingKeysOfGGUFAreRead() throws {
        var file = GGUFBuilder.llama
        file.set("general.sampling.temp", .float32(0.5))
        file.set("general.sampling.top_k", .int32(64))
        file.set("general.sampling.top_p", .float32(7))
        var wanted = GenerationDefaults()
        (wanted.temperature, wanted.topK) = (0.5, 64)
        #expect(try withFile(file.build()) { try ModelBundle(path: $0).generationDefaults } == wanted)
    }

    @Test func tokenizerFilesAreGivenAsTheyAre() throws {
        var model = FolderBuilder.llama
        model.config["eos_token_id"] = 2
        model.files = [
            "tokenizer.json": "{}", "tokenizer_config.json": "{\"a\":1}", "special_tokens_map.json": "x",
            "chat_template.jinja": "{{ 1 }}", "additional_chat_templates/rag.jinja": "rag", "tokenizer.model": "unused",
        ]
        guard case .huggingFace(let files) = try ModelBundle(path: model.write(to: folder)).tokenizerFiles() else {
            Issue.record("a folder has files")
            return
        }
        #expect(kind(files.vocabulary) == "tokenizerJSON {}" && files.config == Array("{\"a\":1}".utf8))
        #expect(files.specialTokensMap == [0x78] && files.endTokens == [2])
        #expect(files.chatTemplate == Array("{{ 1 }}".utf8) && files.namedChatTemplates == ["rag": Array("rag".utf8)])
        #expect(files.path == folder.file("model") && files.path(of: "x") == folder.file("model") + "/x")
    }

    @Test(arguments: [
        ("tokenizer.model", "\u{A}\u{9}\u{A}\u{5}<unk", "sentencePiece tokenizer.model"),
        ("tokenizer.model", "YQ== 0\n", "tiktoken tokenizer.model YQ== 0\n"),
        ("qwen.tiktoken", "YQ== 0\r\n", "tiktoken qwen.tiktoken YQ== 0\r\n"), ("tekken.json", "{}", "tekken {}"),
    ])
    func vocabulariesOfOtherKindsAreTold(name: String, text: String, wanted: String) throws {
        try folder.write("model/" + name, text)
        #expect(try kind(HuggingFaceTokenizerFiles(folder: folder.file("model")).vocabulary) == wanted)
    }

    @Test func aFolderWithoutTokensIsRefused() throws {
        let path = try FolderBuilder.llama.write(to: folder)
        let error = #expect(throws: ModelFileError.self) { try ModelBundle(path: path).tokenizerFiles() }
        #expect(error == .missingFile(path: path + "/tokenizer.json", neededBy: "the tokenizer"))
    }

    private func kind(_ vocabulary: HuggingFaceTokenizerFiles.Vocabulary) -> String {
        func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }
        return switch vocabulary {
        case .tokenizerJSON(let bytes): "tokenizerJSON " + text(bytes)
        case .tekken(let bytes): "tekken " + text(bytes)
        case .sentencePiece(let name): "sentencePiece " + name
        case .tiktoken(let bytes, let name): "tiktoken \(name) " + text(bytes)
        }
    }
}
