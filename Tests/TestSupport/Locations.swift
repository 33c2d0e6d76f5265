// Where the repository, the built program and the models are.

package import Foundation

/// Where things are.
package enum Locations {
    package static let repository = URL(filePath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    /// What other people's software answered: a file of Tests/Golden.
    package static func golden(_ path: String) -> URL { repository.appending(path: "Tests/Golden/" + path) }

    /// A file or folder that lies beside the test that asks.
    package static func beside(_ name: String, test: String = #filePath) -> URL {
        URL(filePath: test).deletingLastPathComponent().appending(path: name)
    }

    /// The release binary; `etc/test` builds it and says where it is.
    package static let program: URL = {
        if let path = ProcessInfo.processInfo.environment["TTBATCH_TEST_BINARY"] { return URL(filePath: path) }
        return repository.appending(path: ".build/release/ttbatch")
    }()

    /// A random model of 100 kB, which runs in milliseconds.
    package static let tinyModel = golden("tiny/tiny-f16.gguf").path

    /// The real small model; `etc/test` fetches it.
    package static let realModel = ProcessInfo.processInfo.environment["TTBATCH_TEST_MODEL"]

    /// llguidance's file, where `etc/fetch-llguidance` puts it.
    package static let llguidance: String = {
        let environment = ProcessInfo.processInfo.environment
        if let path = environment["TTBATCH_LLGUIDANCE"] { return path }
        let data = environment["XDG_DATA_HOME"] ?? "\(environment["HOME"] ?? "")/.local/share"
        return data + "/ttbatch/llguidance-1.9.1.so"
    }()

    /// Prometheus' tool; `etc/test` fetches it.
    package static let promtool = ProcessInfo.processInfo.environment["TTBATCH_TEST_PROMTOOL"]

    /// Gemma 3 of 270 million weights; `etc/test` fetches it.
    package static let gemma = ProcessInfo.processInfo.environment["TTBATCH_TEST_GEMMA"]
}
