// The Tenstorrent platform as far as it can be told without opening a board: which there are, and why they are not used.

import Foundation
public import TTPlatform

/// Tenstorrent boards in this machine.
///
/// Boards are found by their device nodes and nothing is opened, since probing and opening belong into one process
/// (contract §2.6). This version has no bridge to `ttnn`, so it never offers them.
public struct TTNNPlatform: DevicePlatform {
    private let deviceDirectory: String

    /// A platform that looks for device nodes in `deviceDirectory`, `/dev/tenstorrent` unless a test says otherwise.
    public init(deviceDirectory: String = "/dev/tenstorrent") {
        self.deviceDirectory = deviceDirectory
    }

    /// `ttnn`, as `device:` selects it.
    public var name: String { "ttnn" }

    /// Absent, with the reason.
    public func discover() -> PlatformDiscovery {
        .absent(reason: reason)
    }

    /// Always throws: see `discover()`.
    public func openMeshDevice(shape: MeshShape, configuration: EngineConfiguration) throws -> any MeshDevice {
        throw DeviceFault(operation: "open", reason: reason)
    }

    private var reason: String {
        let nodes = (try? FileManager.default.contentsOfDirectory(atPath: deviceDirectory)) ?? []
        let boards = nodes.filter { Int($0) != nil }.count
        return boards == 0
            ? "no Tenstorrent board: there is no \(deviceDirectory)/0 (is the tt-kmd driver loaded?)"
            : "\(boards) Tenstorrent board\(boards == 1 ? " is" : "s are") here, but this version cannot drive them"
    }
}
