// `ttbatch hosts`: the daemons of a queue that several hosts share, and what a person does with one of them.

package import ArgumentParser
import JSONText
import Runtime
import Settings
import StoreContract
import Terminal

package struct Hosts: ParsableCommand {
    package static let configuration = CommandConfiguration(
        abstract: "List the hosts of a queue in PostgreSQL, or act on one.",
        discussion: """
            A host is a daemon with its state directory. RUNNING are prompts that it has taken, SEEN is when it was last heard of. \
            Hosts that ended or died are listed for a day.
            """,
        subcommands: [HostsList.self, HostsDrain.self, HostsResume.self, HostsRemove.self],
        defaultSubcommand: HostsList.self)

    package init() {}
}

struct HostsList: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "List the hosts.")

    @Flag(help: "One JSON object for each host.")
    var json = false

    @OptionGroup var shared: SharedOptions

    func run() throws {
        let hosts = try shared.membership(try shared.storeForReading()).hosts()
        if json {
            for host in hosts { StandardOutput.print(HostWords.object(host)) }
        } else {
            for line in HostWords.table(hosts) { StandardOutput.print(line) }
        }
    }
}

struct HostsDrain: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "drain", abstract: "Let a host take no more prompts; what it has runs to its end.",
        discussion: "It stays so across restarts of its daemon, until `ttbatch hosts resume`.")

    @OptionGroup var target: HostArgument
    @OptionGroup var shared: SharedOptions

    func run() throws {
        let (membership, host) = try target.host(shared)
        try membership.setDraining(true, of: host.life.id)
    }
}

struct HostsResume: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "resume", abstract: "Let a host that was drained take prompts again.")

    @OptionGroup var target: HostArgument
    @OptionGroup var shared: SharedOptions

    func run() throws {
        let (membership, host) = try target.host(shared)
        try membership.setDraining(false, of: host.life.id)
    }
}

struct HostsRemove: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "remove", abstract: "Give back what a host has that is gone, and forget it.",
        discussion: """
            Otherwise that happens by itself when it was not heard of for daemon.dead_after_s. A daemon that lives all the same \
            comes back as another one; what it had is computed again.
            """)

    @OptionGroup var target: HostArgument
    @OptionGroup var shared: SharedOptions

    func run() throws {
        let configuration = try shared.configuration()
        let (membership, host) = try target.host(shared)
        let removed = try membership.remove(
            host.life.id, maxCrashes: configuration.daemon.maxCrashes, at: TimeSource.system.now)
        StandardError.print("\(removed.jobs.requeued) prompts are back in the queue")
    }
}

/// A host: by its name, or where several daemons run on one, by the number of its life.
struct HostArgument: ParsableArguments {
    @Argument(help: "A host of `ttbatch hosts`: its name, or its number.")
    var host: String

    /// The queue and the host.
    func host(_ shared: SharedOptions) throws -> (any Membership, HostSummary) {
        let membership = try shared.membership(try shared.storeForExisting())
        let hosts = try membership.hosts()
        let found = hosts.filter { $0.life.daemon.host == host || "\($0.life.id.rawValue)" == host }
        guard let first = found.first else { throw JobStoreError.hostNotFound(host) }
        guard found.count == 1 else {
            let numbers = found.map { "\($0.life.id.rawValue)" }.joined(separator: ", ")
            throw Failure(.usage, "\(host): \(found.count) daemons are on that host; give one's number: \(numbers)")
        }
        return (membership, first)
    }
}

extension SharedOptions {
    fileprivate func membership(_ store: any JobStore) throws -> any Membership {
        guard let membership = store.membership else {
            throw Failure(
                .usage,
                "\(store.location) has one daemon, see `ttbatch status`; several hosts share a queue in PostgreSQL")
        }
        return membership
    }
}

/// Hosts as rows and objects.
enum HostWords {
    static func table(_ hosts: [HostSummary]) -> [String] {
        var table = Table([
            ("HOST", .left), ("NUMBER", .right), ("STATE", .left), ("DEVICE", .left), ("MODEL", .left),
            ("RUNNING", .right),
            ("TOK/S", .right), ("SEEN", .right),
        ])
        for host in hosts {
            let lives = [.running, .draining].contains(host.state)
            table.add([
                host.life.daemon.host, "\(host.life.id.rawValue)", host.state.rawValue, host.life.daemon.device,
                host.loadedModel ?? "-", "\(host.running)", lives ? Quantity.rate(host.tokensPerSecond) : "-",
                Quantity.duration(milliseconds: host.silentMS) + " ago",
            ])
        }
        return table.lines
    }

    static func object(_ host: HostSummary) -> JSONValue {
        [
            "host": .string(host.life.daemon.host), "incarnation": .int(host.life.id.rawValue),
            "state": .string(host.state.rawValue), "device": .string(host.life.daemon.device),
            "model": host.loadedModel.map { .string($0) } ?? .null, "version": .string(host.life.daemon.version),
            "pid": .int(Int64(host.life.daemon.pid)), "began_ms": .int(host.life.started.rawValue),
            "running_jobs": .int(host.running), "tokens_per_second": .double(host.tokensPerSecond),
            "silent_ms": .int(host.silentMS),
        ]
    }
}
