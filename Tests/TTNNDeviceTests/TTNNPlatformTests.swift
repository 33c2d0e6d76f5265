// What is said about Tenstorrent boards that are there, and about their absence.

import Foundation
import TTNNDevice
import TTPlatform
import Testing

@Suite("Tenstorrent platform")
struct TTNNPlatformTests {
    private func absence(of platform: TTNNPlatform) -> String? {
        guard case .absent(let reason) = platform.discover() else { return nil }
        return reason
    }

    @Test func withoutBoards() throws {
        let reason = try #require(absence(of: TTNNPlatform(deviceDirectory: "/nowhere/tenstorrent")))
        #expect(reason.contains("no Tenstorrent board") && reason.contains("/nowhere/tenstorrent"))
    }

    @Test func boardsAreCountedAndNotOffered() throws {
        let directory = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString)
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: directory) }
        for node in ["0", "1", "by-id"] {
            try Data().write(to: directory.appending(path: node))
        }
        let platform = TTNNPlatform(deviceDirectory: directory.path)
        #expect(try #require(absence(of: platform)).hasPrefix("2 Tenstorrent boards are here"))
        #expect(throws: DeviceFault.self) {
            try platform.openMeshDevice(shape: MeshShape(rows: 1, columns: 1), configuration: EngineConfiguration())
        }
    }
}
