// Recovery after a bridge has died: finds processes that hold the cards, and resets the cards (TT contract §2.7).

import CoreMetrics
import Foundation
import Platform
import Synchronization
import TTNNSettings

/// Resets the cards. Shared by all bridges of this process: a reset affects every card of the host, so it waits until
/// the last bridge has ended.
final class DeviceRecovery: Sendable {
    /// The paths of the kernel's files.
    private let paths: SystemPaths
    private let bridges = Mutex((running: 0, leftDisorder: false, toReplace: 0))
    /// Bridges that were started in place of one that had failed.
    private let restarts = Counter(label: "ttbatch_bridge_restarts_total")

    init(paths: SystemPaths) { self.paths = paths }

    /// Must be called when a bridge was started.
    func bridgeHasStarted() {
        let isReplacement = bridges.withLock { bridges in
            bridges.running += 1
            guard bridges.toReplace > 0 else { return false }
            bridges.toReplace -= 1
            return true
        }
        if isReplacement { restarts.increment() }
    }

    /// Must be called when a bridge has ended. Resets the cards if it was the last one and any bridge may have left the
    /// cards in a bad state.
    func bridgeHasEnded(
        inDisorder: Bool, _ configuration: BridgeConfiguration, _ log: @escaping DeviceLog
    ) {
        let (isDue, others) = bridges.withLock { bridges in
            bridges.running -= 1
            if inDisorder {
                bridges.leftDisorder = true
                bridges.toReplace += 1
            }
            guard bridges.running == 0 else { return (false, bridges.running) }
            defer { bridges.leftDisorder = false }
            return (bridges.leftDisorder, 0)
        }
        if isDue { run(configuration, log) }
        if inDisorder, others > 0 { log(.info, "the cards can be reset when \(others) more bridges have ended") }
    }

    /// Runs the configured reset command, unless a process holds a card: a reset under it can crash the machine.
    private func run(_ configuration: BridgeConfiguration, _ log: @escaping DeviceLog) {
        guard !configuration.resetCommand.isEmpty else {
            log(.warning, "the cards are not reset: bridge.reset_command is not set (for example: tt-smi -r)")
            return
        }
        let deadline = TimeLimit(seconds: 10)
        var holders = holders()
        while !holders.isEmpty, !deadline.isOver {
            usleep(200_000)
            holders = self.holders()
        }
        guard holders.isEmpty else {
            let names = holders.map { "\($0.name) (pid \($0.pid))" }.joined(separator: ", ")
            log(
                .error, "the cards are not reset, because they are held by \(names): end it, then run the reset command"
            )
            return
        }
        let words = configuration.resetCommand
        log(.warning, "resetting the cards: \(words.joined(separator: " "))")
        do throws(BridgeError) {
            let (process, socket) = try ChildProcess.start(
                words[0], Array(words.dropFirst()), environment: ProcessInfo.processInfo.environment, log: log)
            close(socket)
            let end = process.wait(until: TimeLimit(seconds: 300))
            if end == nil { process.send(SIGKILL) }
            guard end == .exited(0) else {
                log(.error, "the reset command failed: " + (end.map { "\($0)" } ?? "it took more than 300 s"))
                return
            }
        } catch {
            log(.error, "the reset command cannot be started: \(error)")
            return
        }
        sleep(UInt32(configuration.resetWait))
        log(.info, "the cards were reset")
    }

    /// A process that has a card's device node open.
    struct Holder: Equatable {
        let pid: Int32
        let name: String
    }

    /// The processes that hold a card, as far as this user can see them.
    func holders() -> [Holder] {
        let files = FileManager.default
        let processes = (try? files.contentsOfDirectory(atPath: paths.processes)) ?? []
        return processes.compactMap { Int32($0) }.sorted().compactMap { pid in
            let folder = "\(paths.processes)/\(pid)"
            let opened = (try? files.contentsOfDirectory(atPath: folder + "/fd")) ?? []
            let holds = opened.contains { descriptor in
                (try? files.destinationOfSymbolicLink(atPath: "\(folder)/fd/\(descriptor)"))?
                    .hasPrefix(paths.deviceNodes + "/") ?? false
            }
            guard holds else { return nil }
            let name = (try? String(contentsOfFile: folder + "/comm", encoding: .utf8)) ?? "?"
            return Holder(pid: pid, name: name.trimmingCharacters(in: .whitespacesAndNewlines))
        }
    }
}
