// The cache of the Hugging Face hub, in which its tools keep what they have fetched.

import Foundation

/// Where a model lies in the cache: `models--ORG--NAME/refs/main` names the commit whose folder in `snapshots` holds it.
///
/// Source: https://huggingface.co/docs/huggingface_hub, "Understand caching"; the constants and validators of
/// huggingface_hub.
public struct HubCache: Sendable, Equatable {
    /// The cache's folder.
    public let path: String

    /// The cache in a folder.
    public init(path: String) { self.path = path }

    /// The cache that this process's environment names.
    public init() { self.init(environment: ProcessInfo.processInfo.environment) }

    /// The cache that an environment names: `HF_HUB_CACHE`, `hub` in `HF_HOME`, or that of the user.
    public init(environment: [String: String]) {
        func given(_ name: String) -> String? { environment[name].flatMap { $0.isEmpty ? nil : $0 } }
        if let path = given("HF_HUB_CACHE") ?? given("HUGGINGFACE_HUB_CACHE") {
            self.path = Self.expanded(path, environment)
            return
        }
        let home = (given("XDG_CACHE_HOME") ?? "~/.cache") + "/huggingface"
        path = Self.expanded((given("HF_HOME") ?? home) + "/hub", environment)
    }

    private static func expanded(_ path: String, _ environment: [String: String]) -> String {
        guard path == "~" || path.hasPrefix("~/") else { return path }
        return (environment["HOME"] ?? NSHomeDirectory()) + path.dropFirst()
    }

    /// Whether `name` can be a model of the hub: `ORG/NAME`.
    public static func isModelName(_ name: String) -> Bool {
        let parts = name.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, !name.contains("--"), !name.contains(".."), !name.hasSuffix(".git"),
            !name.hasSuffix(".gguf")
        else { return false }
        return parts.allSatisfy { part in
            (1...96).contains(part.utf8.count) && part.utf8.allSatisfy(\.isNamePart)
                && ![".", "-"].contains { part.hasPrefix($0) || part.hasSuffix($0) }
        }
    }

    /// The folder that holds the model called `name` in its newest version that was fetched; `nil` if the cache has none.
    public func folder(of name: String) -> String? {
        guard Self.isModelName(name) else { return nil }
        let model = path + "/models--" + name.split(separator: "/").joined(separator: "--")
        guard let text = try? String(contentsOfFile: model + "/refs/main", encoding: .utf8) else { return nil }
        let commit = text.trimmingCharacters(in: .whitespacesAndNewlines)
        guard !commit.isEmpty, commit.utf8.allSatisfy(\.isHexadecimal) else { return nil }
        let snapshot = model + "/snapshots/" + commit
        return MappedFile.isFolder(snapshot) ? snapshot : nil
    }

    /// The name of the model whose folder in a cache is `path`.
    static func modelName(ofSnapshot path: String) -> String? {
        let parts = path.split(separator: "/")
        guard parts.count >= 3, parts[parts.count - 2] == "snapshots" else { return nil }
        let model = parts[parts.count - 3]
        guard model.hasPrefix("models--") else { return nil }
        let name = model.dropFirst("models--".count).replacingOccurrences(of: "--", with: "/")
        return isModelName(name) ? name : nil
    }
}

extension UInt8 {
    fileprivate var isHexadecimal: Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(self) || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(self)
    }

    fileprivate var isNamePart: Bool {
        let lower = self | 0x20
        return (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(lower)
            || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(self)
            || [UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: ".")].contains(self)
    }
}
