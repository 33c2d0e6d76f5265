// `ttbatch keys …`: who may ask the server.

import APIKeys
public import ArgumentParser
import Foundation
import JSONText
import QueueCommands
import Runtime
package import StoreContract
import Terminal

package struct Keys: ParsableCommand {
    package static let configuration = CommandConfiguration(
        abstract: "Add, list and remove the keys of the HTTP server.",
        discussion: """
            As soon as there is a key, every request needs one, as `Authorization: Bearer KEY` or `X-Api-Key: KEY`. A \
            running daemon knows of a change within a second.
            """,
        subcommands: [KeysAdd.self, KeysList.self, KeysRemove.self])

    package init() {}
}

/// `ttbatch keys add NAME --scope S`
package struct KeysAdd: ParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "add", abstract: "Make a key and print it, this once.",
        discussion: """
            Scopes: read sees the tenant's batches and files, submit makes them too and asks online, admin does everything \
            for every tenant, metrics reads /metrics. Only a salted hash of the key is kept.
            """)

    @Argument(help: ArgumentHelp("What to call it.", valueName: "name"))
    package var name: String

    @Option(
        name: .customLong("scope"), parsing: .unconditionalSingleValue,
        help: ArgumentHelp("What it is for; may be given several times.", valueName: "submit|read|admin|metrics"))
    package var scopes: [KeyScope]

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Whose batches and files it sees; by default it has its own.", valueName: "name"))
    package var tenant: String?

    @OptionGroup var shared: SharedOptions

    package init() {}

    package func validate() throws {
        for (what, word) in [("NAME", name), ("--tenant", tenant ?? name)] {
            guard (1...64).contains(word.utf8.count), word.utf8.allSatisfy(Self.isNameCharacter) else {
                throw ValidationError(
                    "\(what): a name has 1 to 64 letters, digits and any of . _ - @; use another one for \(word)")
            }
        }
        guard !scopes.isEmpty else { throw ValidationError("--scope is needed, for example --scope submit") }
    }

    package func run() throws {
        let store = try shared.storeForWriting(shared.configuration())
        let text = KeyText()
        try store.add(
            ServerKey(
                text, name: name, tenant: Tenant(rawValue: tenant ?? name), scopes: Set(scopes),
                at: TimeSource.system.now))
        StandardOutput.print(text.text)
        StandardError.print("this is the key \(name); it is not shown again")
    }

    private static func isNameCharacter(_ byte: UInt8) -> Bool {
        let character = Character(UnicodeScalar(byte))
        return character.isASCII && (character.isLetter || character.isNumber || "._-@".contains(character))
    }
}

/// `ttbatch keys list`
package struct KeysList: ParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "list", abstract: "List the keys: names, tenants, scopes and how they begin.")

    @Flag(help: "One JSON object per key.")
    package var json = false

    @OptionGroup var shared: SharedOptions

    package init() {}

    package func run() throws {
        let keys = try shared.storeForReading().keys()
        if json {
            for key in keys { StandardOutput.print(object(key)) }
            return
        }
        var table = Table([("NAME", .left), ("TENANT", .left), ("SCOPES", .left), ("KEY", .left), ("CREATED", .left)])
        for key in keys {
            table.add([
                key.name, key.tenant.rawValue, words(key).joined(separator: ","), "ttb_\(key.publicID)…",
                key.created.iso8601,
            ])
        }
        for line in table.lines { StandardOutput.print(line) }
    }

    private func words(_ key: ServerKey) -> [String] {
        KeyScope.allCases.filter(key.scopes.contains).map(\.rawValue)
    }

    private func object(_ key: ServerKey) -> JSONValue {
        [
            "name": .string(key.name), "tenant": .string(key.tenant.rawValue),
            "scopes": .array(words(key).map { .string($0) }), "begins": .string("ttb_\(key.publicID)"),
            "created": .string(key.created.iso8601),
        ]
    }
}

/// `ttbatch keys remove NAME`
package struct KeysRemove: ParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "remove", abstract: "Remove a key; who has it is refused from now on.",
        discussion: "If it was the last one, a server on this machine answers everybody again.")

    @Argument(help: ArgumentHelp("The key's name.", valueName: "name"))
    package var name: String

    @OptionGroup var shared: SharedOptions

    package init() {}

    package func run() throws {
        let store = try shared.storeForExisting()
        guard try store.removeKey(named: name) else {
            throw Failure(.notFound, "there is no key \(name); `ttbatch keys list` shows all")
        }
        if try store.keys().isEmpty {
            StandardError.print("there is no key any more: a server on this machine answers everybody")
        }
    }
}

extension KeyScope: ExpressibleByArgument {}

extension Milliseconds {
    /// `2026-08-21T09:30:00Z`
    fileprivate var iso8601: String { Date(timeIntervalSince1970: Double(rawValue) / 1000).formatted(.iso8601) }
}
