// Finds and loads llguidance's file, once, when the first structured request comes.

import CLLGuidance
import Glibc
import Synchronization

/// Why structured output is not to be had.
public struct ConstraintsUnavailable: Error, Sendable, Hashable, CustomStringConvertible {
    /// Why, and what to do about it.
    public let description: String
}

/// llguidance, loaded.
///
/// It is the engine for structured output, because it enforces a schema or refuses it: docs/structured-output.md.
public struct GuidanceLibrary: Sendable {
    /// The version that is used.
    public static let version = "1.9.1"
    /// Its file's name.
    public static let fileName = "llguidance-\(version).so"
    /// The environment variable that names the file.
    public static let environmentName = "TTBATCH_LLGUIDANCE"

    let functions: llg_library
    /// Where it was found.
    public let path: String

    /// The library; loads it on the first call.
    public static func shared() throws(ConstraintsUnavailable) -> GuidanceLibrary { try loaded.get() }

    private static let loaded = Result { () throws(ConstraintsUnavailable) in try load() }

    /// Where the file is looked for, in this order.
    static var places: [String] {
        if let named = getenv(environmentName) { return [String(cString: named)] }
        let home = getenv("HOME").map { String(cString: $0) }
        let data = getenv("XDG_DATA_HOME").map { String(cString: $0) } ?? home.map { $0 + "/.local/share" }
        return [data.map { $0 + "/ttbatch" }, programFolder.map { $0 + "/../lib/ttbatch" }, "/usr/local/lib/ttbatch"]
            .compactMap(\.self).map { "\($0)/\(fileName)" }
    }

    private static var programFolder: String? {
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX) + 1)
        let count = readlink("/proc/self/exe", &buffer, Int(PATH_MAX))
        guard count > 0 else { return nil }
        let path = String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return path.lastIndex(of: "/").map { String(path[..<$0]) }
    }

    private static func load() throws(ConstraintsUnavailable) -> GuidanceLibrary {
        guard let path = places.first(where: { access($0, R_OK) == 0 }) else {
            throw ConstraintsUnavailable(
                description: "structured output needs llguidance \(version), which is not here: "
                    + "run etc/fetch-llguidance, or put its file at \(places[0])")
        }
        var functions = llg_library()
        var message = [CChar](repeating: 0, count: 1024)
        guard llg_load(path, &functions, &message, message.count) else {
            let reason = String(decoding: message.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            throw ConstraintsUnavailable(
                description: "structured output needs llguidance \(version), and \(path) cannot be loaded "
                    + "(\(reason)): remove it and run etc/fetch-llguidance")
        }
        return GuidanceLibrary(functions: functions, path: path)
    }
}
