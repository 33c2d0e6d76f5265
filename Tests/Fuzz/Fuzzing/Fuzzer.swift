// What fuzzers have in common. `etc/fuzz` builds and runs them.

private import CLibFuzzer
private import Foundation

/// A program that gives inputs to a parser:
///
///     fuzz-NAME --seeds FOLDER          writes inputs to begin with into FOLDER
///     fuzz-NAME [libFuzzer's arguments] fuzzes, if it is linked with libFuzzer
///     fuzz-NAME FILE...                 tries the inputs in the files, with or without libFuzzer
package protocol Fuzzer {
    /// Inputs to begin with, by their names; from golden files.
    static func seeds() throws -> [String: [UInt8]]

    /// Tries an input. Errors are what inputs may give; nothing else may happen.
    static func test(_ input: UnsafeRawBufferPointer) throws
}

extension Fuzzer {
    /// Runs the program.
    package static func main() throws {
        let arguments = CommandLine.arguments.dropFirst()
        if arguments.first == "--seeds", let folder = arguments.dropFirst().first {
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            for (name, seed) in try seeds() { try Data(seed).write(to: URL(filePath: folder + "/" + name)) }
            return
        }
        FuzzerInUse.test = test
        let code = libfuzzer_run(CommandLine.argc, CommandLine.unsafeArgv) { bytes, count in
            try? FuzzerInUse.test(UnsafeRawBufferPointer(start: bytes, count: count))
            return 0
        }
        guard code == -1 else { exit(code) }
        for path in arguments { try replay(path) }
    }

    private static func replay(_ path: String) throws {
        let input = try Data(contentsOf: URL(filePath: path))
        do {
            try input.withUnsafeBytes { try test($0) }
            print("\(path): accepted")
        } catch {
            print("\(path): \(error)")
        }
    }
}

/// The test of this program; libFuzzer calls a function without context.
private enum FuzzerInUse {
    nonisolated(unsafe) static var test: (UnsafeRawBufferPointer) throws -> Void = { _ in }
}
