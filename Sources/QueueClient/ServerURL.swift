// The address of a server as users write it.

import Foundation

/// Where a server is: `http://host:port`, `https://host` or `unix:/path/of/socket`.
public struct ServerURL: Sendable, Hashable, CustomStringConvertible {
    /// What requests' URLs begin with, without a slash at the end.
    let base: String
    /// The path of a Unix socket; nil: it is reached over TCP.
    let socket: String?
    /// Whether it is on this machine, so that no proxy stands between.
    let isLocal: Bool
    /// As the user wrote it.
    public let description: String

    /// Reads an address; nil if it is none.
    public init?(_ text: String) {
        let text = text.hasSuffix("/") ? String(text.dropLast()) : text
        description = text
        if text.hasPrefix("unix:") {
            let path = String(text.dropFirst("unix:".count))
            guard path.hasPrefix("/"), path.utf8.count < 108 else { return nil }
            (base, socket, isLocal) = ("http://localhost", path, true)
            return
        }
        guard let parts = URLComponents(string: text), parts.scheme == "http" || parts.scheme == "https",
            let host = parts.host, !host.isEmpty, parts.user == nil, parts.password == nil, parts.query == nil,
            parts.fragment == nil
        else { return nil }
        (base, socket) = (text, nil)
        isLocal = host == "localhost" || host == "[::1]" || host == "::1" || host.hasPrefix("127.")
    }
}

/// Why a server cannot be asked: what the user gave is wrong.
public struct InvalidServer: Error, CustomStringConvertible {
    /// One line for people.
    public let description: String

    /// Makes the error.
    public init(_ description: String) { self.description = description }
}

/// The key that a server knows the user by. It never comes from an option, which others see in the list of processes.
public struct ShownKey: Sendable {
    let text: String

    /// The key of `TTBATCH_API_KEY`, or of the file that `TTBATCH_API_KEY_FILE` names; nil if there is neither.
    public init?(environment: [String: String]) throws(InvalidServer) {
        let text: String
        let place: String
        if let key = environment["TTBATCH_API_KEY"], !key.isEmpty {
            (text, place) = (key, "TTBATCH_API_KEY")
        } else if let path = environment["TTBATCH_API_KEY_FILE"], !path.isEmpty {
            guard let content = try? String(contentsOfFile: path, encoding: .utf8) else {
                throw InvalidServer("TTBATCH_API_KEY_FILE: \(path) cannot be read")
            }
            (text, place) = (content, "TTBATCH_API_KEY_FILE")
        } else {
            return nil
        }
        let key = text.trimmingCharacters(in: .whitespacesAndNewlines)
        guard !key.isEmpty, key.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
            throw InvalidServer("\(place): expected a key of visible ASCII characters, without spaces")
        }
        self.text = key
    }
}
