// What a TT model class says, wants and refuses: each through the built program, with variants of the contract models.

import Foundation
import GRDB
import RandomModels
import TestSupport
import Testing

@Suite("Model classes", .enabled(if: ContractModel.python != nil))
struct ModelClassTests {
    private let workspace: Workspace
    private let tiny = Locations.golden("tiny/tiny-f32.gguf").path

    init() throws { workspace = try Workspace() }

    /// A module `variant` with a class of spring 2026 that is changed.
    private func variant(_ body: String, of base: String = "tt_metal_april") throws -> ContractModel {
        try workspace.write(
            "variant.py",
            """
            import os
            import ttnn
            from \(base) import LlamaForCausalLM as Base

            class LlamaForCausalLM(Base):
            """ + "\n" + body.split(separator: "\n").map { "    \($0)\n" }.joined())
        return ContractModel(workspace: workspace, modelClass: "variant:LlamaForCausalLM")
    }

    private func prompts(_ count: Int = 12) throws -> String {
        let lines = try (0..<count).map { index in
            try requestLine(
                "j\(index)",
                [
                    "prompt": [5 + index, 60, 100], "max_tokens": 2 + index % 5, "temperature": 0, "ignore_eos": true,
                    "return_token_ids": true,
                ])
        }
        return try workspace.write("prompts.jsonl", lines: lines)
    }

    /// Runs the prompts with a daemon, whose log contains the output of the device's process; returns log and result
    /// lines.
    private func drain(
        _ model: ContractModel, _ settings: [String] = [], gguf: String? = nil
    ) throws -> (log: String, lines: [String]) {
        let gguf = gguf ?? tiny
        let batch = try workspace.run("enqueue", try prompts(), model: gguf).output.trimmingCharacters(in: .newlines)
        let outcome = try model.run(["daemon", "--drain"] + settings.flatMap { ["--set", $0] }, model: gguf)
        #expect(outcome.status == 0, "\(outcome.errors)")
        return (outcome.errors, try workspace.run("results", batch).lines)
    }

    /// Tokenizer, template and limits come from the checkpoint's folder, which is also what the class is told to load.
    @Test func aCheckpointsFolderIsEnough() throws {
        let random = try RandomModel("llama")
        let gguf = try #require(random.gguf)
        let file = try workspace.write(
            "texts.jsonl",
            lines: ["the king", "a"].map { text in
                try requestLine(
                    text,
                    ["prompt": text, "max_tokens": 9, "temperature": 0, "ignore_eos": true, "return_token_ids": true])
            })
        let model = try variant(
            """
            @classmethod
            def initialize_vllm_model(cls, *args, **kwargs):
                open(os.environ["CONTRACT_VIOLATIONS"] + ".checkpoint", "w").write(os.environ["HF_MODEL"])
                return super().initialize_vllm_model(*args, **kwargs)
            """)
        let settings = ["--set", "engine.max_num_seqs=4", "--set", "engine.block_size=32"]
        let outcome = try model.run(["run", file] + settings, model: random.folder, gguf: gguf)
        #expect(outcome.status == 0, "\(outcome.errors)")
        #expect(try workspace.read("violations.txt.checkpoint") == random.folder)
        let host = try Workspace().run(["run", file] + settings, model: random.folder)
        let (tokens, expected) = (try ResultLine.byID(outcome.lines), try ResultLine.byID(host.lines))
        #expect(tokens.count == 2)
        for (id, line) in expected {
            #expect(tokens[id]?.tokenIDs == line.tokenIDs && tokens[id]?.promptTokenIDs == line.promptTokenIDs)
        }
    }

    /// What will not get better is refused: the daemon ends with the cause and the remedy, and the jobs wait unharmed.
    struct Refusal: CustomTestStringConvertible, Sendable {
        var name: String
        var body: String?
        var settings: [String] = []
        var cluster = "wh_n150.yaml"
        var words: [String]
        var testDescription: String { name }
    }

    @Test(arguments: [
        Refusal(
            name: "no interpreter", settings: ["bridge.python=/nowhere/python"],
            words: ["/nowhere/python", "set bridge.python"]),
        Refusal(
            name: "an unknown key", settings: ["tt.dispatch_core_axis=row", "bridge.pyton=3"],
            words: ["did you mean python?"]),
        Refusal(
            name: "an unknown module", settings: ["bridge.model_class=nowhere:Model"],
            words: ["No module named 'nowhere'", "bridge.model_class"]),
        Refusal(
            name: "an unknown class", settings: ["bridge.model_class=tt_metal_april:Missing"],
            words: ["has no class Missing"]),
        Refusal(
            name: "no TT model class", settings: ["bridge.model_class=llama:Llama"], words: ["initialize_vllm_model"]),
        Refusal(
            name: "no decode_forward",
            body: """
                @classmethod
                def initialize_vllm_model(cls, *arguments, **keywords):
                    return object()
                """, words: ["no prefill_forward or decode_forward"]),
        Refusal(
            name: "no KV cache", body: "allocate_kv_cache = None",
            words: ["the KV cache cannot be allocated", "TypeError"]),
        Refusal(
            name: "no tokenizer",
            body: """
                @classmethod
                def initialize_vllm_model(cls, *arguments, **keywords):
                    raise OSError("Can't load tokenizer for 'somewhere'")
                """, words: ["Can't load tokenizer", "tokenizer_config.json"]),
        Refusal(
            name: "a board too small for the weights",
            body: """
                @classmethod
                def initialize_vllm_model(cls, *arguments, **keywords):
                    raise RuntimeError("TT_FATAL: Out of Memory: Not enough space to allocate 4096 B DRAM buffer")
                """, words: ["does not load", "the board's memory is too small", "lower max_model_len"]),
        Refusal(
            name: "a board too small for the cache",
            body: """
                def allocate_kv_cache(self, *arguments, **keywords):
                    raise RuntimeError("TT_FATAL: Out of Memory: Not enough space to allocate 4096 B DRAM buffer")
                """, words: ["the KV cache does not fit", "lower num_blocks_override"]),
        Refusal(
            name: "a batch size that the class does not have", settings: ["engine.max_num_seqs=5"],
            words: ["Batch size 5 not supported"]),
        Refusal(
            name: "more chips than there are", settings: ["engine.mesh_device=T3K"], cluster: "wh_n300.yaml",
            words: ["needs 8 devices and 2 are available"]),
        Refusal(
            name: "a model whose folder says nothing",
            settings: ["bridge.hf_model=.", "bridge.model_class=\(ContractModel.april)"],
            words: ["config.json"]),
        Refusal(
            name: "a checkpoint of another shape",
            settings: ["bridge.hf_model=other", "bridge.model_class=\(ContractModel.april)"],
            words: ["different models", "vocab_size is 77"]),
        Refusal(
            name: "a checkpoint that the class does not serve",
            settings: ["bridge.hf_model=other", "bridge.model_class=\(ContractModel.dispatcher)"],
            words: ["is not served"]),
        Refusal(
            name: "a warm-up that cannot be", body: "def warmup_model_decode(self, cache): pass",
            settings: ["tt.enable_model_warmup=true"],
            words: ["warm-up fails", "TypeError"]),
        Refusal(
            name: "a prefill that takes other arguments", body: "def prefill_forward(self, prompt): pass",
            words: ["does not take this call: TypeError", "its jobs are back in the queue"]),
    ])
    func refusalsHarmNoJob(refusal: Refusal) throws {
        var model =
            try refusal.body.map { try variant($0) }
            ?? ContractModel(workspace: workspace, modelClass: ContractModel.april)
        model.cluster = refusal.cluster
        let other = workspace.path("other")
        try FileManager.default.createDirectory(atPath: other, withIntermediateDirectories: true)
        try workspace.write("other/config.json", "{\"vocab_size\": 77}")
        #expect(try workspace.run("enqueue", try prompts(), model: tiny).status == 0)
        let outcome = try model.run(
            ["daemon", "--drain", "--set", "tt.enable_model_warmup=false"],
            last: refusal.settings.flatMap { ["--set", $0] }, model: tiny)
        #expect(outcome.status != 0, "\(outcome.errors)")
        for words in refusal.words {
            #expect(outcome.errors.contains(words), "\(words) is missing in: \(outcome.errors)")
        }
        #expect(!outcome.errors.contains("opening the device again"), "\(outcome.errors)")
        let batch = try workspace.run("list", "--json").output
        #expect(batch.contains("\"pending\":12") && batch.contains("\"failed\":0,\"invalid"), "\(batch)")
        // None of them is suspected, or a step nearer to being failed for it.
        let suspected = try DatabaseQueue(path: workspace.database).read {
            try Int.fetchOne($0, sql: "SELECT count(*) FROM jobs WHERE crashes > 0")
        }
        #expect(suspected == 0)
        // Mended, they all succeed.
        let mended = ContractModel(workspace: workspace, modelClass: ContractModel.april)
        #expect(try mended.run(["daemon", "--drain"], model: tiny).status == 0)
        #expect(try ResultLine.byID(try workspace.run("results", "1").lines).count == 12)
    }

    @Test func theClassNamesItsFabricAndDecidesOnOptimizations() throws {
        var model = try variant(
            """
            model_capabilities = dict(Base.model_capabilities, fabric_config={"config": ttnn.FabricConfig.FABRIC_1D_RING})
            @classmethod
            def initialize_vllm_model(cls, *arguments, optimizations="none given", **keywords):
                print("made with fabric", ttnn._fabric.name, "and optimizations", optimizations, flush=True)
                return super().initialize_vllm_model(*arguments, optimizations=optimizations, **keywords)
            """)
        model.cluster = "wh_n300.yaml"
        let log = try drain(model).log
        #expect(log.contains("made with fabric FABRIC_1D_RING and optimizations None"), "\(log)")
        let chosen = try drain(model, ["tt.optimizations=accuracy", "tt.fabric_config=FABRIC_1D"]).log
        #expect(chosen.contains("made with fabric FABRIC_1D and optimizations accuracy"), "\(chosen)")
    }

    /// Two models that one TT_CACHE_PATH serves have a folder each; the class itself has one for all of a board's.
    @Test func convertedWeightsOfTwoModelsAreApart() throws {
        let model = ContractModel(workspace: workspace, modelClass: ContractModel.april)
        for name in ["tiny/tiny-f32.gguf", "tiny/tiny-f16.gguf"] {
            // Checkpoints of one name, which differ in their weights.
            let folder = workspace.path(name + ".d/Llama")
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            try Data("{}".utf8).write(to: URL(filePath: folder + "/config.json"))
            try Data(name.utf8).write(to: URL(filePath: folder + "/model.safetensors"))
            let log = try drain(model, ["bridge.hf_model=\(folder)"], gguf: Locations.golden(name).path).log
            #expect(log.contains("converted weights are kept in"), "\(log)")
        }
        #expect(try model.counts()["weights of another model", default: 0] == 0)
        #expect(try FileManager.default.contentsOfDirectory(atPath: workspace.path("weights")).count == 2)
    }

    /// The class knows limits by the checkpoint's Hugging Face id, and is asked before the pool is sized.
    @Test func theClassSaysHowManyTokensFit() throws {
        let model = try variant(
            """
            @classmethod
            def get_max_tokens_all_users(cls, model_name, max_model_len, **keywords):
                print("asked for", model_name, max_model_len, sorted(keywords), flush=True)
                return 640
            def allocate_kv_cache(self, shape, *arguments):
                print("a cache of", shape[0], "blocks", flush=True)
                return super().allocate_kv_cache(shape, *arguments)
            """)
        let folder = workspace.path("hub/models--meta-llama--Llama-3.2-1B-Instruct/snapshots/0")
        let log = try drain(model, ["bridge.hf_model=\(folder)", "engine.block_size=32", "engine.max_num_seqs=4"]).log
        #expect(log.contains("asked for \(folder) 256 ['max_num_seqs', 'num_devices', 'tt_data_parallel']"), "\(log)")
        // 20 blocks of 32, one more for each row's beginning of a block, and the null block.
        #expect(log.contains("a cache of 25 blocks"), "\(log)")
    }

    /// Logits on the host come for the rows that there are, where the class can give them so.
    @Test(arguments: [ContractModel.april, ContractModel.september]) func hostLogitsAreCompact(modelClass: String)
        throws
    {
        let module = String(modelClass.prefix { $0 != ":" })
        let model = try variant(
            """
            model_capabilities = dict(Base.model_capabilities, supports_compact_host_logits=True, supports_selective_host_readback=True)
            def read_decode_output(self, *arguments, sample_rows=None, **keywords):
                self.read_rows = sample_rows
                return super().read_decode_output(*arguments, **keywords)
            def process_decode_output_host(self, host, is_tokens=False, sample_rows=None):
                assert sample_rows == getattr(self, "read_rows", None)
                output = super().process_decode_output_host(host, is_tokens=is_tokens)
                if sample_rows is None:
                    return output
                print("rows of logits:", len(sample_rows), flush=True)
                return (output[0][sample_rows], *output[1:]) if isinstance(output, tuple) else output[sample_rows]
            """, of: module)
        let (log, lines) = try drain(
            model, ["tt.sample_on_device_mode=none", "tt.optimizations=accuracy", "engine.max_num_seqs=8"])
        let host = try Workspace().run(
            ["run", workspace.path("prompts.jsonl"), "--set", "tt.optimizations=accuracy"], model: tiny)
        let tokens = try ResultLine.byID(lines).mapValues(\.tokenIDs)
        #expect(tokens == (try ResultLine.byID(host.lines).mapValues(\.tokenIDs)))
        #expect(log.contains("rows of logits: 1\n"), "\(log)")
    }

    /// A template of 300 tokens, and prompts that are short, of several padded lengths, or the same.
    @Test(arguments: [
        (ContractModel.april, true), (ContractModel.september, true), (ContractModel.september, false),
        (ContractModel.dispatcher, true), (ContractModel.dispatcher, false),
    ])
    func beginningsAreSharedByTheClasssRules(modelClass: String, tracesPrefill: Bool) throws {
        let gguf = workspace.path("small.gguf")
        try PythonScript.makeSmallModel(gguf, python: try #require(ContractModel.python))
        var random = SplitMix64(seed: 9)
        func draw(_ count: Int) -> [Int] { (0..<count).map { _ in Int.random(in: 3..<250, using: &random) } }
        let template = draw(300), long = draw(1300)
        let lines = try (0..<48).map { index in
            let beginning = [template, long, template, []][index % 4]
            return try requestLine(
                "j\(index)",
                [
                    "prompt": beginning + draw(index % 12 == 0 ? 0 : 1 + index * 7 % 120) + [7],
                    "max_tokens": 2 + index % 4,
                    "temperature": 0, "ignore_eos": true, "return_token_ids": true,
                ])
        }
        let file = try workspace.write("prompts.jsonl", lines: lines)
        let settings = ["tt.optimizations=accuracy", "engine.max_num_seqs=8"]
        let model = ContractModel(workspace: workspace, modelClass: modelClass)
        let more = ["tt.trace_mode=\(tracesPrefill ? "all" : "decode_only")", "engine.block_size=32"]
        let outcome = try model.run(["run", file] + (settings + more).flatMap { ["--set", $0] }, model: gguf)
        #expect(outcome.status == 0, "\(outcome.errors)")
        let host = try Workspace().run(["run", file] + settings.flatMap { ["--set", $0] }, model: gguf)
        let expected = try ResultLine.byID(host.lines).mapValues(\.tokenIDs)
        #expect(expected.count == 48)
        #expect(try ResultLine.byID(outcome.lines).mapValues(\.tokenIDs) == expected)
        let counts = try model.counts()
        // Without a trace, a prefill after cached tokens loses them in the class of September, so it shares no blocks.
        let shares = tracesPrefill || modelClass != ContractModel.september
        #expect((counts["cached tokens", default: 0] > 0) == shares, "\(counts)")
    }

    /// What the device draws has the host's probabilities, each token whatever the last draw was.
    @Test(arguments: [ContractModel.april, ContractModel.september, ContractModel.dispatcher], ["decode_only", "all"])
    func drawsHaveTheHostsProbabilities(modelClass: String, sampling: String) throws {
        let count = 800
        let lines = try (0..<count).map { index in
            try requestLine(
                "j\(index)",
                [
                    "prompt": [5], "max_tokens": 3, "temperature": 1.5, "top_k": 2, "ignore_eos": true,
                    "return_token_ids": true,
                ])
        }
        let file = try workspace.write("prompts.jsonl", lines: lines)
        let model = ContractModel(workspace: workspace, modelClass: modelClass)
        let outcome = try model.run(
            ["run", file, "--set", "tt.sample_on_device_mode=\(sampling)", "--set", "engine.max_num_seqs=8"],
            model: tiny)
        #expect(outcome.status == 0, "\(outcome.errors)")
        #expect(try model.counts()["steps sampled on the device", default: 0] >= count / 8 * 2)
        func textCounts(_ lines: [String]) throws -> [[Int]: Int] {
            try ResultLine.byID(lines).values.reduce(into: [:]) { $0[$1.tokenIDs ?? [], default: 0] += 1 }
        }
        let drawn = try textCounts(outcome.lines)
        let expected = try textCounts(try Workspace().run(["run", file], model: tiny).lines)
        #expect(expected.count == 8)
        for (text, times) in expected {
            let share = Double(times) / Double(count)
            let deviation = (2 * Double(count) * share * (1 - share)).squareRoot()
            #expect(abs(Double(drawn[text, default: 0] - times)) < 5 * deviation, "\(text): \(drawn) for \(expected)")
        }
        // Rows of one step have random numbers of their own.
        let results = try ResultLine.byID(outcome.lines)
        let alike = (0..<count / 8).filter { step in
            Set((0..<8).map { results["j\(8 * step + $0)"]?.tokenIDs }).count == 1
        }
        #expect(alike.count < 5, "the texts of \(alike.count) device batches are all the same")
    }

    /// A seeded job gets its own tokens, in any slot, with any company, and beside others of the same seed.
    @Test(arguments: [ContractModel.april, ContractModel.september, ContractModel.dispatcher], ["decode_only", "all"])
    func seededDrawsAreTheJobsOwn(modelClass: String, sampling: String) throws {
        let lines = try (0..<60).map { index in
            try requestLine(
                "j\(index)",
                [
                    "prompt": [5], "max_tokens": 6 + index % 5, "temperature": 1.5, "top_k": 20, "seed": index % 3,
                    "ignore_eos": true, "return_token_ids": true,
                ])
        }
        let file = try workspace.write("prompts.jsonl", lines: lines)
        let model = ContractModel(workspace: workspace, modelClass: modelClass)
        let outcome = try model.run(
            ["run", file, "--set", "tt.sample_on_device_mode=\(sampling)", "--set", "engine.max_num_seqs=8"],
            model: tiny)
        #expect(outcome.status == 0, "\(outcome.errors)")
        let results = try ResultLine.byID(outcome.lines)
        let texts = (0..<3).map { seed in
            Set((0..<20).map { results["j\(3 * $0 + seed)"]?.tokenIDs?.prefix(6) ?? [] })
        }
        #expect(texts.map(\.count) == [1, 1, 1] && Set(texts.joined()).count == 3, "\(texts)")
        // The host draws: the device would draw other tokens, and not in every step.
        #expect(try model.counts()["steps sampled on the device", default: 0] == 0)
    }

    /// The warm-up captures traces of those steps that are to be traced, and prefill replays no others.
    @Test(
        arguments: [ContractModel.april, ContractModel.september, ContractModel.dispatcher],
        ["none", "decode_only", "all"])
    func tracesAreOfWhatWasAskedFor(modelClass: String, traceMode: String) throws {
        let model = ContractModel(workspace: workspace, modelClass: modelClass)
        _ = try drain(model, ["tt.trace_mode=\(traceMode)"])
        let counts = try model.counts()
        #expect(counts["prefill warm-ups, trace True", default: 0] == (traceMode == "all" ? 1 : 0), "\(counts)")
        #expect(counts["decode warm-ups, trace True", default: 0] == (traceMode == "none" ? 0 : 1), "\(counts)")
        if modelClass != ContractModel.dispatcher {
            #expect((counts["traced prefill passes", default: 0] > 0) == (traceMode == "all"), "\(counts)")
        }
    }
}
