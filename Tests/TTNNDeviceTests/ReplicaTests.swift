// Cards for several replicas: how they are divided, and when they are reset.

import Foundation
import Platform
import Synchronization
import TestSupport
import Testing

@testable import TTNNDevice
@testable import TTNNSettings

@Suite struct ReplicaTests {
    private func parts(_ count: Int, named: String?, cards: [String] = []) throws -> [String?] {
        let devices = VisibleDevices(named: named, cards: cards)
        return try Replica.all(count).map { try devices.part(of: $0) }
    }

    @Test func devicesAreCutInOrder() throws {
        #expect(try parts(1, named: nil, cards: ["0", "1"]) == [nil])
        #expect(try parts(1, named: "3,1") == ["3,1"])
        #expect(try parts(2, named: "3,1, 0,2", cards: ["7"]) == ["3,1", "0,2"])
        #expect(try parts(4, named: nil, cards: ["0", "1", "2", "3"]) == ["0", "1", "2", "3"])
        #expect(
            VisibleDevices(named: "0,1,2,3", cards: []).lines(replicas: 2)
                == ["replica 1: devices 0,1", "replica 2: devices 2,3"])
    }

    @Test(arguments: [
        (3, "0,1,2,3", "divide the 4 visible devices"), (4, "0,1", "divide the 2"), (2, nil, "no devices"),
    ])
    func whatCannotBeCutIsRefused(count: Int, named: String?, words: String) throws {
        let error = try #require(throws: ConfigurationError.self) { try parts(count, named: named) }
        #expect(error.description.contains(words) && error.description.contains("\(count)"), "\(error)")
        #expect(error.description.contains("bridge.visible_devices"))
        #expect(VisibleDevices(named: named, cards: []).lines(replicas: count) == [error.description])
    }

    /// A reset affects every card: it waits for the last bridge, also when another one ended badly, and runs once.
    @Test func theLastBridgeResetsTheCards() throws {
        let folder = try TemporaryFolder()
        let file = folder.file("resets")
        var configuration = BridgeConfiguration()
        configuration.resetCommand = ["sh", "-c", "echo reset >> \(file)"]
        configuration.resetWait = 0
        var paths = SystemPaths()
        paths.processes = folder.path
        let recovery = DeviceRecovery(paths: paths)
        func end(inDisorder: Bool) -> Int {
            recovery.bridgeHasEnded(inDisorder: inDisorder, configuration) { _, _ in }
            let text = (try? String(contentsOfFile: file, encoding: .utf8)) ?? ""
            return text.split(separator: "\n").count
        }
        for _ in 0..<3 { recovery.bridgeHasStarted() }
        #expect(end(inDisorder: true) == 0)
        #expect(end(inDisorder: true) == 0)
        #expect(end(inDisorder: false) == 1)
        recovery.bridgeHasStarted()
        #expect(end(inDisorder: false) == 1)
        recovery.bridgeHasStarted()
        #expect(end(inDisorder: true) == 2)
    }
}
