// Where settings come from, which of them wins, and what is said about wrong ones.

import Foundation
import Platform
import TestSupport
import Testing

@testable import ModelFiles
@testable import Settings

@Suite struct ConfigurationTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    /// Resolves with a file of `yaml`, called `t.yaml`.
    private func resolve(
        _ yaml: String? = nil, flags: [(String, String, String)] = [], _ environment: [String: String] = [:]
    ) throws -> Configuration {
        let file = try yaml.map { try folder.write("t.yaml", $0) }
        var environment = environment
        if environment["HOME"] == nil { environment["HOME"] = folder.path }
        return try Configuration(
            ConfigurationSources(
                file: file, flags: flags.map { (key: $0.0, value: $0.1, flag: $0.2) }, environment: environment))
    }

    /// What is said about a wrong configuration, the folder's path left out.
    private func complaint(
        _ yaml: String? = nil, flags: [(String, String, String)] = [], _ environment: [String: String] = [:]
    ) -> String {
        let error = #expect(throws: InvalidConfiguration.self) { try resolve(yaml, flags: flags, environment) }
        return (error?.description ?? "").replacing(folder.path + "/", with: "")
    }

    @Test func theDefaults() throws {
        let configuration = try resolve()
        #expect(configuration.database == .file(folder.path + "/.local/share/ttbatch/ttbatch.db"))
        #expect(configuration.catalogue.directory == folder.path + "/.cache/ttbatch/models")
        #expect(configuration.model == "smollm2-135m-instruct")
        #expect(configuration.engine == EngineConfiguration())
        #expect(configuration.daemon == DaemonSettings())
    }

    @Test func flagsWinOverTheEnvironmentAndThatOverTheFile() throws {
        let yaml = "model: file\nengine:\n  max_num_seqs: 1\n"
        let environment = ["TTBATCH_MODEL": "environment", "TTBATCH_ENGINE_MAX_NUM_SEQS": "2"]
        let flags = [("model", "flag", "--model"), ("engine.max_num_seqs", "3", "--set engine.max_num_seqs")]
        let file = try resolve(yaml)
        #expect(file.model == "file" && file.engine.maxNumSeqs == 1)
        let variable = try resolve(yaml, environment)
        #expect(variable.model == "environment" && variable.engine.maxNumSeqs == 2)
        let flag = try resolve(yaml, flags: flags, environment)
        #expect(flag.model == "flag" && flag.engine.maxNumSeqs == 3)
    }

    @Test func everySectionCanBeSetFromEverywhere() throws {
        let environment = [
            "TTBATCH_DB": "7", "TTBATCH_MODELS_DIRECTORY": "/m", "TTBATCH_TT_TRACE_MODE": "none",
            "TTBATCH_DAEMON_GRACE_S": "5",
        ]
        let set = try resolve(flags: [("models.mine", "/x/1.gguf", "--set models.mine")], environment)
        #expect(set.database == .file("7"), "a path is text, whatever it looks like")
        #expect(set.catalogue.directory == "/m" && set.engine.tt.traceMode == .none && set.daemon.graceMS == 5000)
        #expect(set.catalogue.entries == [CatalogueEntry(name: "mine", path: "/x/1.gguf")])
    }

    @Test func pathsMayBeginAtHome() throws {
        let yaml = "db: ~/a.db\nmodel: ~/m.gguf\nmodels_directory: ~/models\nmodels:\n  a.b: ~/x.gguf\n"
        let configuration = try resolve(yaml, ["HOME": "/h"])
        #expect(configuration.database == .file("/h/a.db") && configuration.model == "/h/m.gguf")
        #expect(configuration.catalogue.directory == "/h/models")
        #expect(configuration.catalogue.entries == [CatalogueEntry(name: "a.b", path: "/h/x.gguf")])
    }

    @Test func aModelMayHaveSettingsOfItsOwn() throws {
        let yaml = """
            models:
              Qwen2.5-7B:
                path: ~/qwen
                aliases: [gpt-4o, gpt-4.1]
                max_model_len: 4096
                quantize: q8_0
                template: ~/t.jinja
                tokenizer:
                  pre: qwen2
                defaults: {temperature: 0, top_p: 0.5, top_k: 7, max_tokens: 99}
              plain: /x.gguf
            """
        let set = [("models.Qwen2.5-7B.max_model_len", "512", "--set"), ("models.other", "plain", "--set")]
        let catalogue = try resolve(yaml, flags: set, ["HOME": "/h"]).catalogue
        var options = ModelOptions()
        options.preTokenizer = "qwen2"
        options.templatePath = "/h/t.jinja"
        options.maxModelLen = 512
        options.quantize = .q8_0
        options.defaults.temperature = 0
        options.defaults.topP = 0.5
        options.defaults.topK = 7
        options.defaults.maxTokens = 99
        #expect(
            catalogue.entries == [
                CatalogueEntry(name: "Qwen2.5-7B", path: "/h/qwen", options: options),
                CatalogueEntry(name: "plain", path: "/x.gguf"),
            ])
        #expect(catalogue.aliases == ["gpt-4.1", "gpt-4o", "other"])
        #expect(try catalogue.remembered("gpt-4.1") == "Qwen2.5-7B")
    }

    @Test func aQueueMayBeInPostgreSQL() throws {
        let uri = "postgresql://me@db.example:5433/queue?sslmode=require"
        let configuration = try resolve("db: \(uri)\nstate_directory: ~/one")
        #expect(configuration.database == .postgres(uri: uri))
        #expect(
            configuration.stateDirectory.hasSuffix("/one") && configuration.uploadsDirectory.hasSuffix("/one/files"))
        // Whatever else takes a path does not take it.
        for key in ["model", "models_directory", "state_directory"] {
            #expect(throws: InvalidConfiguration.self) { try resolve("\(key): \(uri)") }
        }
        #expect(throws: InvalidConfiguration.self) { try resolve("db: mysql://db.example/queue") }
    }

    @Test func baseDirectoriesCount() throws {
        let given = ["HOME": "/h", "XDG_DATA_HOME": "/d", "XDG_CACHE_HOME": "/c", "XDG_CONFIG_HOME": folder.path]
        try FileManager.default.createDirectory(
            atPath: folder.path + "/ttbatch", withIntermediateDirectories: true)
        try folder.write("ttbatch/ttbatch.yaml", "model: found")
        let configuration = try resolve(nil, given)
        #expect(configuration.database == .file("/d/ttbatch/ttbatch.db"))
        #expect(configuration.catalogue.directory == "/c/ttbatch/models" && configuration.model == "found")
        let useless = try resolve(nil, ["HOME": "/h", "XDG_DATA_HOME": "", "XDG_CACHE_HOME": "relative"])
        #expect(useless.database == .file("/h/.local/share/ttbatch/ttbatch.db"))
        #expect(useless.catalogue.directory == "/h/.cache/ttbatch/models")
    }

    @Test func theFileIsNamedByFlagOrVariable() throws {
        let named = try folder.write("named.yaml", "model: by-variable")
        #expect(try resolve(nil, ["TTBATCH_CONFIG": named]).model == "by-variable")
        #expect(try resolve("model: by-flag", ["TTBATCH_CONFIG": named]).model == "by-flag")
        #expect(complaint(nil, ["TTBATCH_CONFIG": "/no/such.yaml"]).hasPrefix("/no/such.yaml: cannot be read"))
    }

    @Test(arguments: ["", "# nothing\n", "engine:\n", "engine: {}\nmodels:\ntt: ~\n", "---\n", "db:\nmodel: ~\n"])
    func emptySectionsAndFilesAreDefaults(yaml: String) throws {
        let configuration = try resolve(yaml)
        #expect(configuration.engine == EngineConfiguration() && configuration.model == "smollm2-135m-instruct")
    }

    @Test func quotedValuesAreText() throws {
        #expect(try resolve("model: '7'\ndb: \"true\"").database == .file("true"))
        #expect(try resolve("model: '7'").model == "7")
    }

    @Test(arguments: [
        (
            "modle: x",
            "t.yaml:1: unknown key modle; did you mean model?"
        ),
        ("max_num_seqs: 3", "t.yaml:1: unknown key max_num_seqs; did you mean engine.max_num_seqs?"),
        ("grace_s: 3", "t.yaml:1: unknown key grace_s; did you mean daemon.grace_s?"),
        ("engin:\n  threads: 3", "t.yaml:2: unknown key engin.threads; did you mean engine.threads?"),
        (
            "xyzzy: 3",
            "t.yaml:1: unknown key xyzzy; known: db, model, models_directory, state_directory, models, engine, tt, bridge, daemon, server"
        ),
        ("bridge:\n  pyton: x", "t.yaml:2: bridge: unknown key pyton; did you mean python?"),
        ("tt:\n  tracemode: all", "t.yaml:2: tt: unknown key tracemode; did you mean trace_mode?"),
        (
            "models:\n  \"*\": x",
            "t.yaml:2: models.*: one model for all names is said with --map-model '*=NAME'"
        ),
        ("models:\n  a: x\n  A: y", "t.yaml:2: models.a and models.A are the same name; keep one"),
        ("\nengine:\n  max_num_seq: 3", "t.yaml:3: engine: unknown key max_num_seq; did you mean max_num_seqs?"),
        (
            "engine:\n  device: host\n  max_num_seqs: none",
            "t.yaml:3: engine: max_num_seqs: \"none\" is not valid; expected a whole number, between 1 and 65536"
        ),
        (
            "tt:\n  trace_mode: some",
            "t.yaml:2: tt: trace_mode: \"some\" is not valid; expected true, false or one of: all, decode_only, none"
        ),
        (
            "daemon:\n  xyzzy: 3",
            "t.yaml:2: daemon: unknown key xyzzy; known: "
                + DaemonSettings.keys.joined(separator: ", ")
        ),
        (
            "daemon:\n  grace_s: -1",
            "t.yaml:2: daemon: grace_s: -1 is not valid; expected a whole number, between 0 and 86400000"
        ),
        ("daemon:\n  grace: 3", "t.yaml:2: daemon: unknown key grace; did you mean grace_s?"),
        ("model: 7", "t.yaml:1: model: 7 is not a text; quote a number that is meant as one"),
        ("model: [a, b]", "t.yaml:1: model: [\"a\", \"b\"] is not a text; quote a number that is meant as one"),
        ("models:\n  mine:", "t.yaml:2: models.mine needs a path, or the name of a model"),
        ("engine: 5", "t.yaml:1: engine must have keys under it, not a value"),
        (
            "models:\n  m:\n    max_model_len: 8",
            "t.yaml:2: models.m needs path: a GGUF file, a Hugging Face folder, or a name"
        ),
        ("models:\n  m:\n    pth: x", "t.yaml:3: models.m: unknown key pth; did you mean path?"),
        (
            "models:\n  m:\n    path: x\n    quantize: q3",
            "t.yaml:4: models.m: quantize: \"q3\" is not valid; expected one of: none, q8_0, q4_0"
        ),
        (
            "models:\n  m:\n    path: x\n    defaults:\n      top_p: 0",
            "t.yaml:5: models.m: defaults.top_p: 0 is not valid; expected a number above 0, at most 1"
        ),
        (
            "models:\n  m: x\n  n:\n    path: x\n    aliases: M",
            "t.yaml:3: models.M and models.m are the same name; keep one"
        ),
        ("models: []", "t.yaml:1: models must have keys under it, not a value"),
        ("- a", "t.yaml:1: the document must be keys with values"),
        ("just text", "t.yaml:1: the document must be keys with values"),
        (
            "db:\n  path: x",
            "t.yaml:2: unknown key db.path; db takes a value, not keys"
        ),
        ("engine.threads: 1\nengine:\n  threads: 2", "t.yaml:3: engine.threads is given twice"),
    ])
    func mistakesInTheFileAreNamedWithTheirLine(yaml: String, message: String) {
        #expect(complaint(yaml) == message)
    }

    @Test func whatIsNotYAMLIsToldWithItsPlace() {
        #expect(complaint("a: [1").hasPrefix("t.yaml: is not YAML: "))
        #expect(complaint("model: a\nmodel: b").hasPrefix("t.yaml: is not YAML: "))
    }

    @Test func mistakesElsewhereAreNamedWithVariableAndFlag() {
        #expect(complaint(nil, ["TTBATCH_XYZZY": "x"]).hasPrefix("TTBATCH_XYZZY: no such setting; known: "))
        #expect(complaint(nil, ["TTBATCH_MODLE": "x"]) == "TTBATCH_MODLE: no such setting; did you mean TTBATCH_MODEL?")
        #expect(
            complaint(nil, ["TTBATCH_ENGIN_THREADS": "1"])
                == "TTBATCH_ENGIN_THREADS: no such setting; did you mean TTBATCH_ENGINE_THREADS?")
        #expect(
            complaint(nil, ["TTBATCH_ENGINE_THREADS": "0"]).hasPrefix("TTBATCH_ENGINE_THREADS: engine: threads: 0 "))
        #expect(complaint(nil, ["TTBATCH_DB": ""]).hasPrefix("TTBATCH_DB: db: "))
        #expect(complaint(nil, ["TTBATCH_DAEMON_X": "1"]).hasPrefix("TTBATCH_DAEMON_X: daemon: unknown key x; "))
        let threads = complaint(flags: [("engine.threads", "many", "--set engine.threads")])
        #expect(threads.hasPrefix("--set engine.threads: engine: threads: \"many\""))
        #expect(complaint(flags: [("nothing", "1", "--set nothing")]).hasPrefix("--set nothing: unknown key nothing"))
        #expect(complaint(flags: [("db", "", "--db")]).hasPrefix("--db: db: "))
    }

    /// `--set models.NAME.KEY` never makes another name of what was meant as a setting.
    @Test func aFlagSetsAKeyOfTheLongestName() throws {
        let yaml = "models:\n  m: /m.gguf\n  m.v2: {path: /m2.gguf, max_model_len: 8}"
        let set = [("models.m.max_model_len", "16", "--set a"), ("models.m.v2.max_model_len", "32", "--set b")]
        let entries = try resolve(yaml, flags: set).catalogue.entries
        #expect(entries.map(\.name) == ["m", "m.v2"] && entries.map(\.path) == ["/m.gguf", "/m2.gguf"])
        #expect(entries.map(\.options.maxModelLen) == [16, 32])
        for key in ["models.m.max_model_length", "models.m.v2.max_model_length"] {
            let message = complaint(yaml, flags: [(key, "16", "--set \(key)")])
            #expect(
                message.hasPrefix("--set \(key): ") && message.hasSuffix("did you mean max_model_len?"), "\(message)")
        }
    }

    @Test func variablesOfTestsAreLeftAlone() throws {
        _ = try resolve(nil, ["TTBATCH_TEST_MODEL": "x", "TTBATCH_ISA": "scalar", "TTBATCHING": "y"])
    }
}
