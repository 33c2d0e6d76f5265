// swift-tools-version: 6.2
import PackageDescription

let strict: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .treatAllWarnings(as: .error),
]

// The kernels are fast in debug builds too, so that tests on the real model stay short. Contraction is off because sums
// must be the same whatever the instruction set: fused multiply-adds are written out where they are meant.
let kernelFlags: [CSetting] = [.unsafeFlags(["-O3", "-ffp-contract=off"])]

/// A room of the house: a folder in Sources with its tests in Tests.
func room(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: strict)
}

/// A folder in Tests with what several of its neighbours use.
func support(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .target(name: name, dependencies: dependencies, path: "Tests/" + name, swiftSettings: strict)
}

/// The tests of a room; `excluded` are golden data and the scripts that made them, which tests read where they lie.
func tests(
    _ room: String, _ dependencies: [Target.Dependency] = [], excluded: [String] = [], resources: [Resource] = []
) -> Target {
    .testTarget(
        name: room + "Tests", dependencies: [.init(stringLiteral: room)] + dependencies, exclude: excluded,
        resources: resources, swiftSettings: strict)
}

/// A program that gives inputs to a parser; `etc/fuzz` runs it.
func fuzzer(_ name: String, _ folder: String, _ dependencies: [Target.Dependency]) -> Target {
    .executableTarget(
        name: "fuzz-" + name, dependencies: dependencies + ["Fuzzing"], path: "Tests/Fuzz/" + folder,
        swiftSettings: strict)
}

// The bridge's Python sources, which are part of the binary.
let bridgeModules: [Resource] =
    [.embedInCode("bridge/bootstrap.py")]
    + [
        "__init__", "capabilities", "chosen_class", "decode", "errors", "frames", "log", "mesh", "model", "outputs",
        "prefill", "probe", "registry", "rules", "sampling", "seeds", "server", "tensors", "versions", "vllm_stub",
        "weight_cache",
    ].map { .embedInCode("bridge/ttbatch_bridge/\($0).py") }

// The page: its templates, its style and its script, which are part of the binary.
let pageFiles: [Resource] =
    ["page", "head", "now", "night", "batches", "failures", "batch", "samples", "problem"].map {
        .embedInCode("Templates/\($0).mustache")
    } + [.embedInCode("Files/page.css"), .embedInCode("Files/page.js")]

let package = Package(
    name: "ttbatch",
    products: [
        .executable(name: "ttbatch", targets: ["ttbatch"])
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", exact: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log", exact: "1.16.2"),
        .package(url: "https://github.com/apple/swift-metrics", exact: "2.13.0"),
        .package(url: "https://github.com/groue/GRDB.swift", exact: "7.10.0"),
        .package(url: "https://github.com/jpsim/Yams", exact: "6.2.2"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", exact: "2.28.1"),
        .package(url: "https://github.com/hummingbird-project/swift-mustache", exact: "2.1.1"),
        .package(url: "https://github.com/apple/swift-nio", exact: "2.101.2"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", exact: "2.13.0"),
    ],
    targets: [
        // C: loops over numbers, and thin shims over libraries.
        .target(name: "CHostKernels", cSettings: kernelFlags),
        .systemLibrary(name: "CCrypt", providers: [.apt(["libcrypt-dev"])]),
        .systemLibrary(name: "CHwloc", pkgConfig: "hwloc", providers: [.apt(["libhwloc-dev"])]),
        .systemLibrary(name: "CPCRE2", pkgConfig: "libpcre2-8", providers: [.apt(["libpcre2-dev"])]),
        .target(name: "CLLGuidance"),
        .target(name: "CMappedFile"),
        .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
        .systemLibrary(name: "CZstd", pkgConfig: "libzstd", providers: [.apt(["libzstd-dev"])]),
        .target(name: "CCurl", linkerSettings: [.linkedLibrary("dl")]),
        .target(name: "CPostgres", linkerSettings: [.linkedLibrary("dl")]),
        .target(name: "CSimdJSON", linkerSettings: [.linkedLibrary("simdjson")]),
        .target(name: "CSQLiteShim", linkerSettings: [.linkedLibrary("sqlite3")]),

        // What every room may use.
        room("Runtime"),
        room("Failpoints"),
        room("MetricsText", [.product(name: "CoreMetrics", package: "swift-metrics")]),
        room("JSONText", ["CSimdJSON"]),

        // Models: files, text, the contract and the devices.
        room("ModelFiles", ["CMappedFile", "JSONText", "Runtime"]),
        room("Jinja"),
        room("Tokenizers", ["ModelFiles", "Jinja", "JSONText", "CPCRE2"]),
        room("Sampling"),
        room("Constraints", ["Sampling", "JSONText", "CLLGuidance"]),
        room("Platform", ["Sampling", "ModelFiles"]),
        room("HostDevice", ["Platform", "Sampling", "ModelFiles", "CHostKernels", "CHwloc"]),
        room("TTNNSettings", ["Platform"]),
        .target(
            name: "TTNNDevice",
            dependencies: [
                "TTNNSettings", "Platform", "Sampling", "ModelFiles", "Runtime", "CHwloc",
                .product(name: "CoreMetrics", package: "swift-metrics"),
            ],
            resources: bridgeModules, swiftSettings: strict),
        room("BuiltInPlatforms", ["HostDevice", "TTNNDevice", "TTNNSettings", "Platform"]),

        // The engine, and the engine as a service.
        room("Worker", ["Platform", "Sampling", "ModelFiles"]),
        room("Engine", ["Platform", "Sampling"]),
        room("OpenAIFormats", ["JSONText", "Sampling"]),
        room(
            "Prompts",
            ["OpenAIFormats", "JSONText", "Sampling", "Constraints", "Tokenizers", "Jinja", "ModelFiles", "Runtime"]),
        room(
            "Serving",
            [
                "Engine", "Worker", "Prompts", "Platform", "Sampling", "Tokenizers", "ModelFiles", "Runtime",
                .product(name: "CoreMetrics", package: "swift-metrics"),
                .product(name: "Logging", package: "swift-log"),
            ]),

        // The queue: files, rows, and the daemon.
        room("PromptFiles", ["OpenAIFormats", "JSONText", "CZlib", "CZstd"]),
        room("StoreContract", ["Sampling", "Runtime"]),
        .target(
            name: "Migrations", path: "migrations",
            resources: [
                .embedInCode("0001_jobs.sql"), .embedInCode("0002_prefix_sharing.sql"),
                .embedInCode("0003_lifecycle.sql"), .embedInCode("0004_progress.sql"),
                .embedInCode("0005_model_faults.sql"), .embedInCode("0006_names_and_params.sql"),
                .embedInCode("0007_choices.sql"), .embedInCode("0008_scores.sql"),
                .embedInCode("0009_systems.sql"), .embedInCode("0010_files.sql"), .embedInCode("0011_keys.sql"),
                .embedInCode("postgres/0001_queue.sql"),
                .embedInCode("postgres/0002_repeats_and_scopes.sql"),
            ], swiftSettings: strict),
        room("PostgresClient", ["CPostgres"]),
        room("PostgresStore", ["StoreContract", "PostgresClient", "Migrations", "Sampling", "Runtime"]),
        room(
            "SQLiteStore",
            [
                "StoreContract", "Sampling", "Runtime", "Failpoints", "Migrations", "CSQLiteShim",
                .product(name: "GRDB", package: "GRDB.swift"), .product(name: "GRDBSQLite", package: "GRDB.swift"),
            ]),
        room(
            "Settings", ["TTNNSettings", "Platform", "ModelFiles", "Runtime", .product(name: "Yams", package: "Yams")]),
        room(
            "Intake",
            [
                "StoreContract", "PromptFiles", "OpenAIFormats", "JSONText", "Prompts", "Platform", "ModelFiles",
                "Runtime",
            ]),
        room("QueueClient", ["Intake", "PromptFiles", "StoreContract", "Runtime", "CCurl"]),
        room(
            "QueuePlaces",
            [
                "QueueClient", "SQLiteStore", "PostgresStore", "PostgresClient", "Intake", "StoreContract", "Settings",
                "Runtime",
            ]),
        room("ResultExport", ["StoreContract", "OpenAIFormats", "JSONText", "ModelFiles", "Runtime"]),
        room(
            "BatchDaemon",
            [
                "Serving", "Engine", "Prompts", "Platform", "StoreContract", "Settings", "Runtime", "Failpoints",
                .product(name: "CoreMetrics", package: "swift-metrics"),
                .product(name: "Logging", package: "swift-log"),
            ]),
        // The server: OpenAI's API and people's page over HTTP.
        room("APIKeys", ["StoreContract", "Runtime", "CCrypt"]),
        room(
            "HTTPExchange",
            [
                "StoreContract", "Serving", "Settings", "JSONText", "Runtime",
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "Logging", package: "swift-log"),
            ]),
        room(
            "Access",
            [
                "APIKeys", "HTTPExchange", "StoreContract", "Settings", "Runtime",
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "NIOCore", package: "swift-nio"),
            ]),
        room(
            "QueueRoutes",
            [
                "HTTPExchange", "Intake", "PromptFiles", "OpenAIFormats", "StoreContract", "ResultExport", "Settings",
                "Runtime",
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ]),
        room(
            "OnlineRoutes",
            [
                "HTTPExchange", "Serving", "OpenAIFormats", "Prompts", "Platform", "JSONText", "Runtime",
                .product(name: "Hummingbird", package: "hummingbird"),
            ]),
        .target(
            name: "PageRoutes",
            dependencies: [
                "HTTPExchange", "Serving", "StoreContract", "ResultExport", "Settings", "ModelFiles", "JSONText",
                "Runtime",
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "Mustache", package: "swift-mustache"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ],
            resources: pageFiles, swiftSettings: strict),
        room(
            "BatchRoutes",
            [
                "HTTPExchange", "StoreContract", "Intake", "ResultExport", "OpenAIFormats", "JSONText", "Settings",
                "Runtime",
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "Logging", package: "swift-log"),
            ]),
        room(
            "Monitoring",
            [
                "HTTPExchange", "MetricsText", "Serving", "StoreContract", "Settings",
                .product(name: "CoreMetrics", package: "swift-metrics"),
                .product(name: "Hummingbird", package: "hummingbird"),
            ]),
        room(
            "Connections",
            [
                "Access", "HTTPExchange", "Settings",
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "HummingbirdCore", package: "hummingbird"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "Logging", package: "swift-log"),
            ]),
        room(
            "Server",
            [
                "OnlineRoutes", "BatchRoutes", "QueueRoutes", "PageRoutes", "Monitoring", "Access", "Connections",
                "HTTPExchange",
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "Logging", package: "swift-log"),
            ]),
        room(
            "Benchmarks",
            [
                "HostDevice", "Platform", "Tokenizers", "ModelFiles", "StoreContract", "ResultExport", "OpenAIFormats",
                "Runtime",
            ]),

        // The program: looking after the queue needs no device.
        room(
            "Terminal",
            ["JSONText", "Failpoints", "Runtime", .product(name: "ArgumentParser", package: "swift-argument-parser")]),
        room(
            "QueueCommands",
            [
                "Intake", "ResultExport", "QueuePlaces", "StoreContract", "Settings", "JSONText", "Terminal",
                "Runtime", .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ]),
        room(
            "KeyCommands",
            [
                "QueueCommands", "APIKeys", "StoreContract", "JSONText", "Terminal", "Runtime",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ]),
        .target(
            name: "ModelCommands",
            dependencies: [
                "QueueCommands", "HostDevice", "Platform", "Prompts", "ModelFiles", "Settings", "JSONText", "Terminal",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            resources: [.embedInCode("Pull/known_models.json"), .embedInCode("Pull/pull_model.py")],
            swiftSettings: strict),
        room(
            "MachineCommands",
            [
                "QueueCommands", "ModelCommands", "Benchmarks", "BuiltInPlatforms", "Platform", "Settings", "JSONText",
                "Terminal", .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ]),
        room(
            "PartialRuns",
            [
                "Intake", "PromptFiles", "ResultExport", "StoreContract", "ModelFiles", "JSONText", "Terminal",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ]),
        room(
            "RunCommands",
            [
                "PartialRuns", "QueueCommands", "BatchDaemon", "BuiltInPlatforms", "StoreContract", "Settings",
                "Terminal", "Runtime",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
            ]),
        room(
            "DaemonCommands",
            [
                "QueueCommands", "BatchDaemon", "Server", "HTTPExchange", "BuiltInPlatforms", "StoreContract",
                "Settings",
                "Runtime", .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
            ]),
        .executableTarget(
            name: "ttbatch",
            dependencies: [
                "QueueCommands", "KeyCommands", "MachineCommands", "PartialRuns", "RunCommands", "DaemonCommands",
                "Settings", "Terminal",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: strict),

        // What tests share.
        support("TestSupport", ["Runtime"]),
        support("RandomModels", ["TestSupport", "CZstd"]),
        support("FakeModel", ["Platform", "Sampling", "ModelFiles", "Tokenizers", "TestSupport"]),
        support(
            "QueueFixture",
            ["Intake", "SQLiteStore", "StoreContract", "ModelFiles", "Runtime", "FakeModel", "TestSupport"]),
        support("ModelFileBuilders", ["ModelFiles"]),
        .target(name: "CFaultVFS", path: "Tests/CFaultVFS", linkerSettings: [.linkedLibrary("sqlite3")]),
        .executableTarget(
            name: "tokenizer-driver", dependencies: ["Tokenizers", "ModelFiles"], path: "Tests/TokenizerDriver",
            swiftSettings: strict),
        .executableTarget(
            name: "hosts-benchmark",
            dependencies: ["Benchmarks", "PostgresStore", "PostgresClient", "StoreContract", "Runtime"],
            path: "Tests/HostsBenchmark", swiftSettings: strict),
        // Optimised, so that a simulated night takes a millisecond.
        .target(
            name: "MemoryStore", dependencies: ["StoreContract", "Runtime"], path: "Tests/MemoryStore",
            swiftSettings: strict + [.unsafeFlags(["-O"])]),
        .executableTarget(
            name: "queue-simulation",
            dependencies: [
                "MemoryStore", "TestSupport", "BatchDaemon", "Serving", "Prompts", "Settings", "StoreContract",
                "Engine", "Worker", "Platform", "Sampling", "Tokenizers", "ModelFiles", "Runtime",
                .product(name: "Logging", package: "swift-log"),
            ],
            path: "Tests/QueueSimulation", swiftSettings: strict),

        // Fuzzers.
        .target(name: "CLibFuzzer", path: "Tests/CLibFuzzer"),
        .target(
            name: "Fuzzing", dependencies: ["CLibFuzzer", "TestSupport"], path: "Tests/Fuzz/Fuzzing",
            swiftSettings: strict),
        fuzzer("gguf", "GGUF", ["ModelFileBuilders", "ModelFiles", "RandomModels"]),
        fuzzer("safetensors", "Safetensors", ["ModelFileBuilders", "ModelFiles"]),
        fuzzer("config", "Config", ["ModelFileBuilders", "ModelFiles", "RandomModels"]),
        fuzzer("tokenizer", "Tokenizer", ["ModelFiles", "TestSupport", "Tokenizers"]),
        fuzzer("answers", "Answers", ["ModelFiles", "Prompts"]),
        fuzzer("schemas", "Schemas", ["Constraints", "Sampling", "TestSupport"]),

        // Tests, room by room, then the whole program.
        tests("Runtime", ["TestSupport"]),
        tests("MetricsText", [.product(name: "CoreMetrics", package: "swift-metrics"), "TestSupport"]),
        tests("JSONText"),
        tests("ModelFiles", ["JSONText", "ModelFileBuilders", "RandomModels", "TestSupport"]),
        tests(
            "Jinja", ["TestSupport"],
            excluded: ["golden/make_golden.py", "golden/templates", "golden/README.md", "golden/snippets.txt"],
            resources: [.copy("golden/snippets.json"), .copy("golden/chats.json")]),
        tests("Tokenizers", ["ModelFiles", "Jinja", "TestSupport"], excluded: ["Data"]),
        tests("Sampling", ["FakeModel", "TestSupport"], excluded: ["reference"]),
        tests("Constraints", ["Sampling", "JSONText", "TestSupport"]),
        tests("Platform", ["Sampling", "ModelFiles", "FakeModel", "TestSupport"]),
        tests(
            "HostDevice",
            ["CHostKernels", "ModelFiles", "Platform", "Sampling", "FakeModel", "RandomModels", "TestSupport"],
            excluded: ["Golden", "neon"]),
        tests("TTNNSettings", ["Platform"]),
        tests(
            "TTNNDevice", ["TTNNSettings", "Platform", "Sampling", "ModelFiles", "FakeModel", "TestSupport"],
            excluded: ["no-python"]),
        tests("Worker", ["Platform", "Sampling", "ModelFiles", "HostDevice", "FakeModel", "TestSupport"]),
        tests(
            "Engine",
            ["Worker", "Platform", "Sampling", "HostDevice", "ModelFiles", "FakeModel", "RandomModels", "TestSupport"]),
        tests("OpenAIFormats", ["JSONText", "Sampling", "TestSupport"], excluded: ["openai"]),
        tests(
            "Prompts",
            [
                "OpenAIFormats", "JSONText", "Platform", "Sampling", "Tokenizers", "Jinja", "ModelFiles", "Runtime",
                "FakeModel", "TestSupport",
            ]),
        tests(
            "Serving",
            [
                "Engine", "Worker", "Prompts", "Platform", "Sampling", "Tokenizers", "ModelFiles", "Runtime",
                "FakeModel", "TestSupport",
            ]),
        tests("PromptFiles", ["OpenAIFormats", "JSONText", "TestSupport"], excluded: ["openai", "packed"]),
        .testTarget(
            name: "StoreTests",
            dependencies: [
                "PostgresStore", "PostgresClient", "StoreContract", "SQLiteStore", "Sampling", "Runtime", "MemoryStore",
                "Migrations", "CSQLiteShim",
                "CFaultVFS",
                "TestSupport", .product(name: "GRDB", package: "GRDB.swift"),
                .product(name: "GRDBSQLite", package: "GRDB.swift"),
            ], swiftSettings: strict),
        tests(
            "PageRoutes",
            ["HTTPExchange", "MemoryStore", "StoreContract", "Serving", "Settings", "Runtime", "TestSupport"]),
        tests("Settings", ["TTNNSettings", "Platform", "ModelFiles", "TestSupport"]),
        tests(
            "Intake",
            [
                "OpenAIFormats", "PromptFiles", "StoreContract", "ResultExport", "Platform", "ModelFiles", "Runtime",
                "QueueFixture", "FakeModel", "TestSupport",
            ]),
        tests("QueueClient", ["TestSupport"]),
        tests("PostgresClient", ["TestSupport"]),
        tests("QueueRoutes", ["PromptFiles", "ResultExport", .product(name: "NIOCore", package: "swift-nio")]),
        tests("ResultExport", ["StoreContract", "OpenAIFormats", "Sampling", "Runtime"]),
        tests("BatchRoutes", ["HTTPExchange", "TestSupport"]),
        tests(
            "BatchDaemon",
            [
                "Serving", "Settings", "Intake", "Prompts", "StoreContract", "SQLiteStore", "ModelFiles", "Tokenizers",
                "Platform", "Sampling", "Engine", "Runtime", "TTNNSettings", "HostDevice", "QueueFixture", "FakeModel",
                "TestSupport", .product(name: "Logging", package: "swift-log"),
            ]),
        tests(
            "Benchmarks",
            ["HostDevice", "Settings", "Platform", "Tokenizers", "ModelFiles", "FakeModel", "TestSupport"]),
        .testTarget(
            name: "ProgramTests",
            dependencies: [
                "ModelFiles", "RandomModels", "TestSupport", .product(name: "GRDB", package: "GRDB.swift"),
            ],
            exclude: ["Data"], swiftSettings: strict),
    ],
    swiftLanguageModes: [.v6],
    cxxLanguageStandard: .cxx17
)

// Sanitizers and fuzzers build the targets that they run and what these need, and nothing else.
if let wanted = Context.environment["TTBATCH_TARGETS"]?.split(separator: " ").map(String.init) {
    var needed: Set<String> = []
    var open = wanted
    while let name = open.popLast() {
        guard needed.insert(name).inserted else { continue }
        for dependency in package.targets.first(where: { $0.name == name })?.dependencies ?? [] {
            if case .byNameItem(let name, _) = dependency { open.append(name) }
        }
    }
    package.targets.removeAll { !needed.contains($0.name) }
    package.products.removeAll { !needed.contains($0.name) }
}
