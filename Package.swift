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

/// The tests of a room; `excluded` are golden data and the scripts that made them, which tests read where they lie.
func tests(
    _ room: String, _ dependencies: [Target.Dependency] = [], excluded: [String] = [], resources: [Resource] = []
) -> Target {
    .testTarget(
        name: room + "Tests", dependencies: [.init(stringLiteral: room)] + dependencies, exclude: excluded,
        resources: resources, swiftSettings: strict)
}

// The bridge's Python sources, which are part of the binary.
let bridgeModules: [Resource] =
    [.embedInCode("bridge/bootstrap.py")]
    + [
        "__init__", "capabilities", "chosen_class", "decode", "errors", "frames", "log", "mesh", "model", "outputs",
        "prefill", "probe", "registry", "rules", "sampling", "seeds", "server", "tensors", "versions", "vllm_stub",
        "weight_cache",
    ].map { .embedInCode("bridge/ttbatch_bridge/\($0).py") }

let package = Package(
    name: "ttbatch",
    products: [
        .executable(name: "ttbatch", targets: ["ttbatch"])
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
    ],
    targets: [
        // C: loops over numbers, and thin shims over libraries.
        .target(name: "CHostKernels", cSettings: kernelFlags),
        .systemLibrary(name: "CHwloc", pkgConfig: "hwloc", providers: [.apt(["libhwloc-dev"])]),
        .systemLibrary(name: "CPCRE2", pkgConfig: "libpcre2-8", providers: [.apt(["libpcre2-dev"])]),
        .target(name: "CMappedFile"),
        .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
        .systemLibrary(name: "CZstd", pkgConfig: "libzstd", providers: [.apt(["libzstd-dev"])]),
        .target(name: "CSimdJSON", linkerSettings: [.linkedLibrary("simdjson")]),
        .target(name: "CSQLiteShim", linkerSettings: [.linkedLibrary("sqlite3")]),

        // Named places at which tests make the program die.
        room("Failpoints"),

        // Models: files, text, the contract and the devices.
        room("ModelFiles", ["CMappedFile"]),
        room("Jinja"),
        room("Tokenizer", ["ModelFiles", "Jinja", "CPCRE2"]),
        room("TTPlatform", ["ModelFiles"]),
        room("HostDevice", ["TTPlatform", "ModelFiles", "CHostKernels", "CHwloc"]),
        .target(
            name: "TTNNDevice", dependencies: ["TTPlatform", "ModelFiles", "CHwloc"], resources: bridgeModules,
            swiftSettings: strict),
        room("TTWorker", ["TTPlatform", "ModelFiles"]),
        room("TTEngine", ["TTWorker", "TTPlatform"]),

        // The queue: files, rows, the daemon and the program.
        room("PromptFiles", ["CSimdJSON", "CZlib", "CZstd"]),
        .target(
            name: "Migrations", path: "migrations",
            resources: [
                .embedInCode("0001_jobs.sql"), .embedInCode("0002_prefix_sharing.sql"),
                .embedInCode("0003_lifecycle.sql"), .embedInCode("0004_progress.sql"),
                .embedInCode("0005_model_faults.sql"), .embedInCode("0006_names_and_params.sql"),
            ], swiftSettings: strict),
        room(
            "JobStore",
            [
                "Failpoints", "Migrations", "CSQLiteShim", .product(name: "GRDB", package: "GRDB.swift"),
                .product(name: "GRDBSQLite", package: "GRDB.swift"),
            ]),
        room(
            "BatchDaemon",
            [
                "ModelFiles", "Tokenizer", "Jinja", "TTPlatform", "HostDevice", "TTNNDevice", "TTWorker", "TTEngine",
                "PromptFiles", "JobStore", "Failpoints",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "Yams", package: "Yams"),
            ]),
        .executableTarget(
            name: "ttbatch",
            dependencies: [
                "BatchDaemon", "JobStore", "PromptFiles", "TTPlatform", "ModelFiles", "Failpoints",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: strict),

        // Tests, room by room, then the whole program.
        .target(
            name: "FakeModel", dependencies: ["TTPlatform", "ModelFiles"], path: "Tests/FakeModel",
            swiftSettings: strict),
        .target(name: "CFaultVFS", path: "Tests/CFaultVFS", linkerSettings: [.linkedLibrary("sqlite3")]),
        // Optimised, so that a simulated night takes a millisecond.
        .target(
            name: "MemoryJobStore", dependencies: ["JobStore"], path: "Tests/MemoryJobStore",
            swiftSettings: strict + [.unsafeFlags(["-O"])]),
        .executableTarget(
            name: "queue-simulation",
            dependencies: [
                "MemoryJobStore", "BatchDaemon", "JobStore", "TTEngine", "TTWorker", "TTPlatform", "Tokenizer",
                "ModelFiles", .product(name: "Logging", package: "swift-log"),
            ],
            path: "Tests/QueueSimulation", swiftSettings: strict),
        tests("ModelFiles"),
        tests(
            "Jinja",
            excluded: ["golden/make_golden.py", "golden/templates", "golden/README.md", "golden/snippets.txt"],
            resources: [.copy("golden/snippets.json"), .copy("golden/chats.json")]),
        tests("Tokenizer", ["ModelFiles", "Jinja"], excluded: ["Data"]),
        tests("TTPlatform", ["ModelFiles", "FakeModel"]),
        tests("HostDevice", ["CHostKernels", "ModelFiles", "TTPlatform"], excluded: ["Golden", "neon"]),
        tests("TTNNDevice", ["TTPlatform", "ModelFiles", "FakeModel"], excluded: ["no-python"]),
        tests("TTWorker", ["TTPlatform", "ModelFiles", "HostDevice", "FakeModel"]),
        tests("TTEngine", ["TTWorker", "TTPlatform", "FakeModel"]),
        tests("PromptFiles", excluded: ["openai", "packed"]),
        tests(
            "JobStore",
            ["MemoryJobStore", "Migrations", "CSQLiteShim", "CFaultVFS", .product(name: "GRDB", package: "GRDB.swift")]),
        tests(
            "BatchDaemon",
            [
                "JobStore", "PromptFiles", "ModelFiles", "Tokenizer", "Jinja", "TTPlatform", "TTWorker", "TTEngine",
                "FakeModel", .product(name: "Logging", package: "swift-log"),
            ]),
        .testTarget(
            name: "ProgramTests", dependencies: ["ModelFiles", .product(name: "GRDB", package: "GRDB.swift")],
            exclude: ["Data"],
            swiftSettings: strict),
    ],
    swiftLanguageModes: [.v6],
    cxxLanguageStandard: .cxx17
)
