// `ttbatch models list`, `inspect` and `verify`: on the tiny model, on broken ones, and in folders of any kind.

import Foundation
import ModelFiles
import TestSupport
import Testing

@Suite("models")
struct ModelsTests {
    private let workspace: Workspace

    init() throws {
        workspace = try Workspace()
        try FileManager.default.createDirectory(atPath: workspace.path("models"), withIntermediateDirectories: true)
    }

    private func models(_ arguments: String..., environment: [String: String] = [:]) throws -> Outcome {
        try workspace.run(
            ["models"] + arguments,
            environment: ["TTBATCH_MODELS_DIRECTORY": workspace.path("models")].merging(environment) { $1 })
    }

    /// A copy of the tiny model in the models directory, broken in some ways.
    @discardableResult
    private func copy(_ name: String, broken ways: [String] = []) throws -> String {
        let path = workspace.path("models/\(name)")
        try FileManager.default.copyItem(atPath: Locations.tinyModel, toPath: path)
        for way in ways {
            let broken = try #require(BrokenModel.all.first { $0.name == way })
            try broken.spoil(path, try GGUFFile(path: Locations.tinyModel))
        }
        return path
    }

    private func object(_ outcome: Outcome) throws -> [String: Any] {
        try jsonObject(try #require(outcome.lines.first, "\(outcome.errors)"))
    }

    // MARK: list

    @Test func theListIsTheDefault() throws {
        try copy("a.gguf")
        let outcome = try models()
        #expect(outcome.status == 0 && outcome.output.contains("a\n"), "\(outcome.errors)")
        #expect(try models("list").output == outcome.output)
        #expect(try models("list", "--json").output == (try models("--json").output))
    }

    @Test func settingsAreShown() throws {
        let path = try copy("a.gguf")
        let template = try workspace.write("t.jinja", "{{ messages[0].content }}")
        let settings = [
            "--config",
            try workspace.write(
                "settings.yaml",
                """
                models:
                  mine:
                    path: \(path)
                    max_model_len: 128
                    quantize: q8_0
                    template: \(template)
                    tokenizer: {pre: gpt-2}
                    defaults: {temperature: 0.5, top_k: 7}
                """),
        ]
        let words = try workspace.run(["models"] + settings)
        for setting in ["max_model_len 128", "quantize q8_0", "tokenizer.pre gpt-2", "defaults.temperature 0.5"] {
            #expect(words.output.contains(setting), "\(words.output)\(words.errors)")
        }
        let lines = try workspace.run(["models", "--json"] + settings).lines.map { try jsonObject($0) }
        let mine = try #require(lines.first { $0["name"] as? String == "mine" }?["settings"] as? [String: Any])
        #expect(mine["max_model_len"] as? Int == 128)
        #expect((mine["defaults"] as? [String: Any])?["top_k"] as? Int == 7)
        #expect(mine["template"] as? String == template)
        let inspected = try object(
            try workspace.run(["models", "inspect", "mine", "--json", "--no-measure"] + settings))
        #expect((inspected["settings"] as? [String: Any])?["quantize"] as? String == "q8_0")
        #expect(inspected["chat_template_bytes"] as? Int == 25)
        let memory = try #require(inspected["memory"] as? [String: Any])
        let sequences = try #require(memory["sequences"] as? [[String: Any]])
        #expect(sequences.map { $0["tokens"] as? Int } == [128])
    }

    // MARK: inspect

    @Test func theTinyModelIsDescribed() throws {
        let outcome = try models(
            "inspect", Locations.tinyModel, "--lengths", "16,17", "--json", "--set", "engine.max_num_seqs=4")
        #expect(outcome.status == 0, "\(outcome.errors)")
        let model = try object(outcome)
        let config = try ModelBundle(path: Locations.tinyModel).config
        #expect(model["runs"] as? Bool == true && (model["unsupported"] as? [String])?.isEmpty == true)
        #expect(model["architecture"] as? String == "llama" && model["family"] as? String == "llama")
        #expect(model["parameters"] as? Int == config.parameterCount)
        #expect(model["active_parameters"] as? Int == config.parameterCount)
        let weights = try #require(model["weights"] as? [[String: Any]])
        #expect(weights.reduce(0) { $0 + ($1["parameters"] as? Int ?? 0) } == config.parameterCount)
        let memory = try #require(model["memory"] as? [String: Any])
        let sequences = try #require(memory["sequences"] as? [[String: Any]])
        // Keys and values of 16 and of 32 positions, since blocks are whole.
        let position = 2 * config.layerCount * config.keyValueHeadCount * config.headSize
        let bytes = sequences.map { ($0["cache_bytes"] as? [String: Int])?["float32"] }
        #expect(bytes == [16 * 4 * position, 32 * 4 * position])
        let packed = try #require(memory["weight_bytes"] as? [String: Int])
        #expect(packed.keys.sorted() == ["accuracy", "performance"])
        let float16 = (sequences[0]["cache_bytes"] as? [String: Int])?["float16"]
        #expect(sequences[0]["total_bytes"] as? Int == packed["performance"]! + float16!)
        let speed = try #require(model["speed"] as? [String: Any])
        #expect((speed["prefill_tokens_per_second"] as? Double ?? 0) > 0)
        #expect((speed["decode"] as? [[String: Any]])?.map { $0["rows"] as? Int } == [1, 4])
    }

    @Test func wordsAreForPeople() throws {
        let outcome = try models("inspect", Locations.tinyModel, "--no-measure")
        #expect(outcome.status == 0, "\(outcome.errors)")
        for word in [
            "architecture", "llama (LlamaForCausalLM)", "all active", "SiLU with a gate", "RMS", "rotary",
            "byte-level BPE", "chat template", "Memory: weights packed", "float16 CACHE", "256",
        ] {
            #expect(outcome.output.contains(word), "\(word): \(outcome.output)")
        }
        #expect(!outcome.output.contains("tokens/s") && !outcome.output.contains("unsupported"))
        #expect(try models("inspect", Locations.tinyModel).output.contains("tokens/s"))
    }

    /// Each part is checked although another is refused, and what is known is shown.
    @Test func everyRefusalIsShown() throws {
        let path = try copy("broken.gguf", broken: ["aMissingTensor", "anotherTokenizer"])
        let outcome = try models("inspect", path, "--no-measure")
        #expect(outcome.status == 1 && outcome.errors == "")
        for word in [
            "tensor blk.0.ffn_up.weight is missing", "tokenizer model \"gpt7\" is not supported",
            "llama (LlamaForCausalLM)",
        ] {
            #expect(outcome.output.contains(word), "\(word): \(outcome.output)")
        }
        let object = try object(try models("inspect", path, "--no-measure", "--json"))
        #expect((object["unsupported"] as? [String])?.count == 2 && object["runs"] as? Bool == false)
        #expect(object["memory"] is NSNull && object["parameters"] as? Int != nil)

        // An architecture that is not known, with keys of its own.
        let other = try copy("unknown.gguf", broken: ["anotherArchitecture"])
        var bytes = try Data(contentsOf: URL(filePath: other))
        while let key = bytes.range(of: Data("llama.".utf8)) { bytes.replaceSubrange(key, with: Data("lxama.".utf8)) }
        try bytes.write(to: URL(filePath: other))
        let unknown = try models("inspect", other, "--no-measure")
        #expect(unknown.status == 1 && unknown.output.contains("lxama") && unknown.output.contains("byte-level BPE"))
        let none = try models("inspect", try copy("none.gguf", broken: ["noModel"]), "--no-measure")
        #expect(none.status == 1 && none.output.contains("not a usable GGUF file"))
        #expect(try models("inspect", "nothing-of-this-name").status == 6)
    }

    /// A chat template that cannot be parsed stops chats only.
    @Test func aBrokenTemplateStopsChatsOnly() throws {
        let path = try workspace.model(withTemplate: "{% if %}")
        let outcome = try models("inspect", path, "--no-measure", "--json")
        let model = try object(outcome)
        #expect(outcome.status == 0 && model["runs"] as? Bool == true)
        #expect((model["no_chats"] as? String)?.contains("send a prompt instead") == true, "\(outcome.output)")
        #expect(try models("verify", path).status == 1)
    }

    @Test func optionsAreChecked() throws {
        for bad in [["--lengths", "0"], ["--lengths", "a"], ["--lengths", ""], ["x", "--model", "y"]] {
            #expect(try workspace.run(["models", "inspect"] + bad).status == 2, "\(bad)")
        }
    }

    // MARK: verify

    @Test func soundModelsAreOK() throws {
        try copy("a.gguf")
        try copy("b.gguf")
        let outcome = try models("verify")
        #expect(outcome.status == 0 && outcome.output == "a: ok\nb: ok\n", "\(outcome.output)\(outcome.errors)")
        let empty = try models("verify", environment: ["TTBATCH_MODELS_DIRECTORY": workspace.path("nothing")])
        #expect(empty.status == 0 && empty.output == "" && empty.errors.contains("models pull"))
    }

    @Test func everyFaultIsFound() throws {
        try copy("a.gguf")
        try copy("b.gguf", broken: ["matricesOfNoNumbers", "anotherTokenizer"])
        let outcome = try models("verify")
        #expect(outcome.status == 1)
        #expect(outcome.lines.first == "a: ok")
        let matrices = try GGUFFile(path: Locations.tinyModel).tensors.values.filter { $0.shape.count == 2 }
        for tensor in matrices {
            #expect(outcome.output.contains("tensor \(tensor.name) has values that are not numbers"), "\(tensor.name)")
        }
        #expect(outcome.output.contains("b: ") && outcome.output.contains("gpt7"))
        let objects = try models("verify", "--json").lines.map { try jsonObject($0) }
        #expect(objects.map { $0["ok"] as? Bool } == [true, false])
        #expect((objects[1]["problems"] as? [String])?.count == matrices.count + 1)
        // A norm of zeros is found too.
        try copy("c.gguf", broken: ["zeros"])
        #expect(try models("verify", "c").output.contains("has no other values than 0"))
    }

    @Test func aKnownFileMustHaveItsDigest() throws {
        let path = try copy("SmolLM2-135M-Instruct.Q4_1.gguf")
        let outcome = try models("verify", path)
        #expect(outcome.status == 1 && outcome.output.contains("instead of b179c9523d0e6a0f98a330c7562b682750a6f8c8"))
        #expect(outcome.output.contains("ttbatch models pull smollm2-135m-instruct"))
    }

    /// Blobs of the hub's cache are named by their SHA-256.
    @Test func blobsOfTheHubMustHaveTheDigestOfTheirNames() throws {
        let model = workspace.path("hub/models--org--tiny")
        let snapshot = model + "/snapshots/0123abc"
        for folder in [model + "/blobs", model + "/refs", snapshot] {
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        }
        try "0123abc".write(toFile: model + "/refs/main", atomically: true, encoding: .utf8)
        let digest = String(
            try RunningProgram(
                [Locations.tinyModel], program: "sha256sum", environment: ["PATH": "/usr/bin:/bin"],
                in: workspace.directory
            ).outcome().output.prefix(64))
        let link = snapshot + "/tiny.gguf"
        try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: "../../blobs/" + digest)
        try FileManager.default.copyItem(atPath: Locations.tinyModel, toPath: model + "/blobs/" + digest)
        let sound = try models("verify", link)
        #expect(sound.status == 0 && sound.output.contains("ok, SHA-256 as published"), "\(sound.output)")
        // One bit of one weight: a model like any other, but not the one that was published.
        let file = try GGUFFile(path: Locations.tinyModel)
        let handle = try FileHandle(forUpdating: URL(filePath: model + "/blobs/" + digest))
        let place = UInt64(try #require(file.tensors["blk.0.attn_q.weight"]).offset)
        try handle.seek(toOffset: place)
        let byte = try #require(try handle.read(upToCount: 1)?.first)
        try handle.seek(toOffset: place)
        try handle.write(contentsOf: Data([byte ^ 1]))
        try handle.close()
        let changed = try models("verify", link)
        #expect(changed.status == 1 && changed.lines.count == 1 && changed.output.contains("instead of \(digest)"))
    }
}
