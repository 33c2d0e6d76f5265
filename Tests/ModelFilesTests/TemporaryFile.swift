// Files that live as long as a test looks at them.

import Foundation

/// Runs `body` with the path of a temporary file that holds `bytes`.
@discardableResult
func withFile<T>(_ bytes: [UInt8], _ body: (String) throws -> T) throws -> T {
    let path = NSTemporaryDirectory() + "modelfiles-\(UUID().uuidString).gguf"
    try Data(bytes).write(to: URL(fileURLWithPath: path))
    defer { try? FileManager.default.removeItem(atPath: path) }
    return try body(path)
}
