// The settings of the HTTP server: where it listens, and what online requests get of the engine.

import Glibc
package import Platform

/// The keys under `server:` in the configuration.
public struct ServerSettings: Sendable, Equatable {
    /// Where it listens; nil: there is no server.
    public var listen: ServerAddress?
    /// Batch slots of online requests, per replica; on the host device they come to those of batches.
    public var onlineSlots = 4
    /// The most online requests that wait or run; further ones are refused with 429.
    public var onlineLimit = 256
    /// The most tokens of batches' prompts in one prefill step.
    public var prefillTokens = 512
    /// The longest file that can be uploaded, in MiB.
    public var uploadLimitMB = 512

    /// Names by which clients know the server, besides its address and localhost.
    public var hosts: [String] = []
    /// The most connections at once; further ones wait.
    public var maxConnections = 1024
    /// Within how many seconds a new connection has to send the head of a request.
    public var headTimeoutS = 10
    /// After how many seconds without a byte of a body, or of an answer that is taken, a connection is closed.
    public var stallTimeoutS = 60
    /// After how many seconds without a request a connection is closed.
    public var idleTimeoutS = 75
    /// Whether `/metrics` also has vLLM's names.
    public var metricsVLLMNames = false
    /// Whether the page shows prompts beside the texts of results.
    public var showPrompts = false

    /// No server.
    public init() {}
}

/// Where a server listens.
public enum ServerAddress: Sendable, Hashable, CustomStringConvertible {
    /// A TCP port of an address or host name.
    case tcp(host: String, port: Int)
    /// A Unix socket.
    case unix(path: String)

    /// Reads `127.0.0.1:8080`, `[::1]:8080` or `unix:/run/ttbatch.sock`; nil if it is none of these.
    public init?(_ text: String) {
        if text.hasPrefix("unix:") {
            let path = String(text.dropFirst(5))
            guard path.hasPrefix("/"), path.utf8.count < 108 else { return nil }
            self = .unix(path: path)
            return
        }
        guard let colon = text.lastIndex(of: ":"), let port = Int(text[text.index(after: colon)...]),
            (0...65535).contains(port)
        else { return nil }
        var host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = host.dropFirst().dropLast()
        } else if host.contains(":") {
            return nil
        }
        guard !host.isEmpty else { return nil }
        self = .tcp(host: String(host), port: port)
    }

    /// Whether only programs of this machine reach it.
    public var isLocal: Bool {
        switch self {
        case .unix: true
        case .tcp(let host, _):
            // A name may begin with 127 too.
            host == "localhost" || host == "::1" || (host.hasPrefix("127.") && inet_addr(host) != INADDR_NONE)
        }
    }

    /// As in the configuration.
    public var description: String {
        switch self {
        case .tcp(let host, let port): host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
        case .unix(let path): "unix:\(path)"
        }
    }
}

extension ServerSettings: ConfigurationSection {
    /// The keys of the section, and what their values may be.
    package mutating func read(_ reader: ConfigurationReader) throws(ConfigurationError) {
        if let text = try reader.string("listen") {
            guard let address = ServerAddress(text) else {
                throw .invalidValue(
                    key: "listen", value: .string(text),
                    expected: "an address and a port, such as 127.0.0.1:8080, or unix: and a path")
            }
            listen = address
        }
        onlineSlots = try reader.integer("online_slots", in: 1...1024) ?? onlineSlots
        onlineLimit = try reader.integer("online_limit", in: 1...100_000) ?? onlineLimit
        prefillTokens = try reader.integer("prefill_tokens", in: 16...1_000_000) ?? prefillTokens
        uploadLimitMB = try reader.integer("upload_limit_mb", in: 1...1_000_000) ?? uploadLimitMB
        hosts = try reader.strings("hosts")
        maxConnections = try reader.integer("max_connections", in: 1...65_536) ?? maxConnections
        headTimeoutS = try reader.integer("head_timeout_s", in: 1...3600) ?? headTimeoutS
        stallTimeoutS = try reader.integer("stall_timeout_s", in: 1...3600) ?? stallTimeoutS
        idleTimeoutS = try reader.integer("idle_timeout_s", in: 1...3600) ?? idleTimeoutS
        metricsVLLMNames = try reader.boolean("metrics_vllm_names") ?? metricsVLLMNames
        showPrompts = try reader.boolean("show_prompts") ?? showPrompts
    }
}
