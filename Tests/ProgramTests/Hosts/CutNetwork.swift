// A host behind a router, in network namespaces: packets vanish in the router while both links are up, which is what a network that
// fails looks like.

import Foundation
import TestSupport

/// The test's machine – a router – a host.
final class CutNetwork {
    /// Whether namespaces can be made here.
    static let isPossible: Bool = {
        guard geteuid() == 0, let network = try? CutNetwork() else { return false }
        return (try? network.run("ip", "netns", "exec", network.host, "true")) != nil
    }()

    /// The address of the test's machine, for the host.
    let address: String
    /// Before a command: it runs on the host.
    var wrapper: [String] { ["ip", "netns", "exec", host] }

    private let host: String
    private let router: String
    private let link: String
    private let folder: TemporaryFolder

    init() throws {
        folder = try TemporaryFolder()
        // An interface's name has at most 15 characters.
        let name = "tt" + UUID().uuidString.prefix(8).lowercased()
        (host, router, link) = (name + "h", name + "r", name)
        let net = "10.\(Int.random(in: 100..<250)).\(Int.random(in: 0..<256))"
        address = net + ".1"
        try run("ip", "netns", "add", router)
        try run("ip", "netns", "add", host)
        try run("ip", "link", "add", link, "type", "veth", "peer", "name", "north", "netns", router)
        try run("ip", "-n", router, "link", "add", "south", "type", "veth", "peer", "name", "north", "netns", host)
        try run("ip", "address", "add", net + ".1/30", "dev", link)
        try run("ip", "-n", router, "address", "add", net + ".2/30", "dev", "north")
        try run("ip", "-n", router, "address", "add", net + ".5/30", "dev", "south")
        try run("ip", "-n", host, "address", "add", net + ".6/30", "dev", "north")
        try run("ip", "link", "set", link, "up")
        for (space, device) in [(router, "north"), (router, "south"), (host, "north"), (host, "lo")] {
            try run("ip", "-n", space, "link", "set", device, "up")
        }
        try run("ip", "route", "add", net + ".4/30", "via", net + ".2")
        try run("ip", "-n", host, "route", "add", "default", "via", net + ".5")
        try heal()
    }

    deinit {
        // The links go with the namespaces.
        for space in [host, router] { _ = try? run("ip", "netns", "delete", space) }
    }

    /// No packet comes through from now on.
    func cut() throws { try forward(0) }

    /// Packets come through again.
    func heal() throws { try forward(1) }

    private func forward(_ value: Int) throws {
        try run("ip", "netns", "exec", router, "sh", "-c", "echo \(value) >/proc/sys/net/ipv4/ip_forward")
    }

    private func run(_ words: String...) throws {
        let outcome = try RunningProgram(
            Array(words.dropFirst()), program: words[0], environment: ["PATH": "/usr/sbin:/usr/bin:/sbin:/bin"],
            in: folder.url
        ).outcome()
        guard outcome.status == 0 else { throw Failure(description: "\(words): \(outcome.errors)") }
    }

    private struct Failure: Error, CustomStringConvertible { let description: String }
}
