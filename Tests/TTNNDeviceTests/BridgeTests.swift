// The bridge's output, frames, sources, and interpreters that give invalid answers.

import FakeModel
import Foundation
import Platform
import Synchronization
import TestSupport
import Testing

@testable import TTNNDevice
@testable import TTNNSettings

@Suite("Bridge")
struct BridgeTests {
    @Test(arguments: [
        ("<3>mesh: broken", DeviceLogLevel.error, "mesh: broken"), ("<4>a", .warning, "a"), ("<6>b", .info, "b"),
        ("<7>c", .debug, "c"),
    ])
    func theBridgesOwnLevels(line: String, level: DeviceLogLevel, text: String) {
        let (told, rest) = DeviceLogLevel.leading(line)
        #expect(told == level && rest == text)
    }

    @Test(arguments: [
        (
            "2026-01-01 00:00:00.000 | warning  |          Device | harvested (x.cpp:1)",
            DeviceLogLevel.warning as DeviceLogLevel?
        ),
        ("2026-01-01 | critical |   Always | TT_FATAL", .error), ("2026 | INFO     | ttnn:1 - import", .info),
        ("a plain line", nil), ("<9>odd", nil), ("a | b | c", nil), ("", nil),
    ])
    func theLevelsOfLibraries(line: String, level: DeviceLogLevel?) {
        let (told, rest) = DeviceLogLevel.leading(line)
        #expect(told == level && rest == line)
    }

    @Test func headsAreReadAsWritten() throws {
        var bytes: [UInt8] = []
        FrameHead(kind: 9, headerBytes: 5, payloadBytes: 1 << 33).append(to: &bytes)
        let head = try #require(bytes.withUnsafeBytes { FrameHead($0) })
        #expect(head.kind == 9 && head.headerBytes == 5 && head.payloadBytes == 1 << 33)
        for index in [0, 3, 6, 19] {
            var broken = bytes
            broken[index] |= 0x80
            #expect(broken.withUnsafeBytes { FrameHead($0) } == nil, "byte \(index)")
        }
    }

    /// SwiftPM embeds what the manifest lists, and the program sends what its dictionary lists.
    @Test func everyModuleIsSent() throws {
        let folder = Locations.repository.appending(path: "Sources/TTNNDevice/bridge/ttbatch_bridge")
        let files = try FileManager.default.contentsOfDirectory(atPath: folder.path).filter { $0.hasSuffix(".py") }
        let modules = files.map { $0 == "__init__.py" ? "ttbatch_bridge" : "ttbatch_bridge." + $0.dropLast(3) }
        #expect(Set(BridgeProgram.modules.keys) == Set(modules))
        for (name, text) in BridgeProgram.modules {
            let file = name == "ttbatch_bridge" ? "__init__" : String(name.split(separator: ".")[1])
            #expect(try Data(contentsOf: folder.appending(path: file + ".py")) == Data(text), "\(name)")
        }
    }

    /// Interpreters that are none: whatever they answer, opening ends with an error, soon, and without their memory being
    /// asked for.
    @Test(arguments: [
        ("exit 3", "it ended with status 3"),
        ("printf 'HTTP/1.1 400 Bad Request\\r\\n\\r\\n' >&3; sleep 5", "no frame begins"),
        // The answer to hello, with a payload of 2^62 bytes.
        (
            "printf 'TTBB\\001\\200\\000\\000\\002\\000\\000\\000\\000\\000\\000\\000\\000\\000\\000@{}' >&3; sleep 5",
            "belong"
        ),
        // With a header that is no JSON.
        (
            "printf 'TTBB\\001\\200\\000\\000\\002\\000\\000\\000\\000\\000\\000\\000\\000\\000\\000\\000][' >&3; sleep 5",
            "invalid answer"
        ),
        ("sleep 20", "no progress within 1 s"),
    ])
    func anInterpreterThatIsNone(script: String, words: String) throws {
        let error = try openingError(script, DeviceUser(), seconds: 1)
        #expect(error.description.contains(words), "\(error)")
    }

    /// The error of opening a mesh with `script` as the interpreter.
    private func openingError(_ script: String, _ user: DeviceUser, seconds: Int) throws -> TTNNError {
        var settings = BridgeConfiguration()
        // A file of the repository: one just written may still be open in a child of another test, and is "busy" then.
        let program = Locations.beside("no-python")
        settings.python = program.path
        settings.openDeadline = seconds
        settings.stopGrace = 0
        let platform = TTNNPlatform(settings, environment: ["PATH": "/usr/bin:/bin", "SCRIPT": script])
        return try #require(throws: TTNNError.self) {
            try platform.openMeshDevice(EngineConfiguration(), for: FakeMeshDevice.modelConfig(), as: .only, user: user)
        }
    }

    /// Opening and loading can take an hour; a stop of the daemon does not wait for them.
    @Test func openingIsGivenUpWhenTheProgramStops() throws {
        let began = ContinuousClock.now
        let stop = began + .milliseconds(300)
        let error = try openingError("sleep 60", DeviceUser(isStopping: { ContinuousClock.now >= stop }), seconds: 50)
        #expect(error.description.contains("told to stop"), "\(error)")
        #expect(ContinuousClock.now - began < .seconds(40))
    }

    @Test func whatAChildPrintsIsLogged() throws {
        let lines = Mutex<[String]>([])
        let (process, socket) = try ChildProcess.start(
            "/bin/sh", ["-c", "echo plain; echo '<3>bad' >&2; printf 'no newline'; exit 7"], environment: [:]
        ) { level, line in lines.withLock { $0.append("\(level) \(line)") } }
        close(socket)
        #expect(process.wait(until: TimeLimit(seconds: 20)) == .exited(7))
        #expect(lines.withLock { $0.sorted() } == ["error bad", "info no newline", "info plain"])
    }

    @Test func stepAnswersAreChecked() throws {
        func answer(_ bytes: [UInt8], rows: Int = 2, onDevice: Bool = true) throws(BridgeError) -> StepAnswer {
            var result: Result<StepAnswer, BridgeError>?
            bytes.withUnsafeBytes { buffer in
                do throws(BridgeError) {
                    result = .success(
                        try StepAnswer(
                            buffer, isActive: [true] + Array(repeating: false, count: rows - 1), onDevice: onDevice,
                            vocabulary: 3))
                } catch {
                    result = .failure(error)
                }
            }
            return try result!.get()
        }
        var tokens: [UInt8] = []
        tokens.append(raw: [UInt32(2), 1])
        tokens.append(raw: [UInt64(77)])
        tokens.append(raw: [Int32(5), 6])
        let read = try answer(tokens)
        #expect(read.rows.rows == [.token(5), .padding] && read.modelNanoseconds == 77)
        #expect(throws: BridgeError.self) { try answer(tokens + [0]) }
        #expect(throws: BridgeError.self) { try answer(tokens, rows: 3) }
        #expect(throws: BridgeError.self) { try answer(tokens, onDevice: false) }
    }
}
