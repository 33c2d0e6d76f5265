// Copies what the bridge and its libraries print to the daemon's log, line by line with its level.

import Foundation
import Platform
import Runtime

/// Reads a pipe to its end on its own thread.
final class BridgeOutput: Sendable {
    /// Longer lines are truncated, so that output without newlines does not fill memory.
    static let longestLine = 8192

    private let ended = DispatchSemaphore(value: 0)

    /// Takes over `pipe`; lines without a level get `level`.
    init(pipe: Int32, level: DeviceLogLevel, log: @escaping DeviceLog) {
        DetachedThread.start("bridge output") { [ended] in
            Self.forward(pipe, level, log)
            close(pipe)
            ended.signal()
        }
    }

    /// Waits until all output is in the log; at most a second, in case another process keeps the pipe open.
    func waitForEnd() { _ = ended.wait(timeout: .now() + 1) }

    private static func forward(_ pipe: Int32, _ level: DeviceLogLevel, _ log: DeviceLog) {
        var line: [UInt8] = []
        var part = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = read(pipe, &part, part.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { break }
            for byte in part.prefix(count) {
                if byte == UInt8(ascii: "\n") {
                    tell(line, level, log)
                    line.removeAll(keepingCapacity: true)
                } else if line.count < longestLine {
                    line.append(byte)
                }
            }
        }
        tell(line, level, log)
    }

    private static func tell(_ line: [UInt8], _ level: DeviceLogLevel, _ log: DeviceLog) {
        let printable = String(decoding: line, as: UTF8.self).filter { !$0.isNewline && $0 != "\u{1B}" }
        guard printable.contains(where: { !$0.isWhitespace }) else { return }
        let (told, text) = DeviceLogLevel.leading(printable)
        log(told ?? level, text)
    }
}

extension DeviceLogLevel {
    /// Parses the level of a line: a leading `<4>`, as in the bridge's own lines, or ` | WARNING | `, as in those of
    /// tt-metal and loguru.
    static func leading(_ line: String) -> (level: DeviceLogLevel?, text: String) {
        if line.hasPrefix("<"), line.dropFirst(2).first == ">", let digit = line.dropFirst().first?.wholeNumberValue {
            let level: DeviceLogLevel? =
                switch digit {
                case 0...3: .error
                case 4: .warning
                case 5, 6: .info
                case 7: .debug
                default: nil
                }
            if let level { return (level, String(line.dropFirst(3))) }
        }
        let fields = line.split(separator: "|", maxSplits: 3).dropFirst().prefix(2)
        for field in fields {
            switch field.trimmingCharacters(in: .whitespaces).lowercased() {
            case "critical", "fatal", "error": return (.error, line)
            case "warning", "warn": return (.warning, line)
            case "info", "success": return (.info, line)
            case "debug", "trace": return (.debug, line)
            default: continue
            }
        }
        return (nil, line)
    }
}
