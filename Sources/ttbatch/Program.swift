// The program: parses the command line, runs a command, and turns errors into messages and exit codes.

import ArgumentParser
import DaemonCommands
import Glibc
import KeyCommands
import MachineCommands
import PartialRuns
import QueueCommands
import RunCommands
import Settings
import Terminal

@main
struct Program: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ttbatch",
        abstract: "Bulk text generation on Tenstorrent hardware, and on the CPU.",
        discussion: """
            A prompt file has one JSON object on each line: an OpenAI batch request, or {"prompt": …} or \
            {"messages": […]} with sampling fields beside it. `run` does everything at once; `enqueue` and `daemon` do \
            it apart, for cron and for nights.

            Exit codes: 0 done · 1 failed · 2 usage or configuration · 3 invalid input · 4 batch has failed jobs · \
            5 batch was cancelled or expired · 6 not found · 7 batch has not ended · 8 conflict · 9 another result · 75 try again later · \
            130 interrupted
            """,
        version: Version.current,
        groupedSubcommands: [
            CommandGroup(name: "Generate:", subcommands: [Run.self, Enqueue.self, Daemon.self, MergeResults.self]),
            CommandGroup(
                name: "Look and act:",
                subcommands: [
                    List.self, Show.self, Status.self, Hosts.self, Wait.self, Results.self, Pause.self, Resume.self,
                    Cancel.self, Retry.self, Rerun.self,
                ]),
            CommandGroup(name: "The server:", subcommands: [Keys.self]),
            CommandGroup(name: "This machine:", subcommands: MachineVerbs.all),
        ])

    static func main() {
        // If the reader has gone (head, less), the write fails, which ends the program without a message.
        signal(SIGPIPE, SIG_IGN)
        var verb: any ParsableCommand.Type = Program.self
        do {
            var command = try parseAsRoot(OptionText.joined(Array(CommandLine.arguments.dropFirst())))
            verb = type(of: command)
            try command.run()
        } catch let code as ExitCode {
            Glibc.exit(code.rawValue)
        } catch {
            end(with: error, of: verb)
        }
    }

    /// Prints the error and exits.
    private static func end(with error: any Error, of verb: any ParsableCommand.Type) -> Never {
        if let status = status(of: error) {
            StandardError.print("ttbatch: \(error)")
            Glibc.exit(status.rawValue)
        }
        if let mistake = error as? ValidationError {
            // The command found the error itself; the parser would print the usage of the whole program.
            StandardError.print("Error: \(mistake.message)\nUsage: \(usageString(for: verb))")
            Glibc.exit(ExitStatus.usage.rawValue)
        }
        // The parser's own errors, and requests for help.
        let code = exitCode(for: error)
        let message = fullMessage(for: error)
        if code == .success {
            StandardOutput.print(message)
            Glibc.exit(0)
        }
        StandardError.print(message)
        Glibc.exit(code == .validationFailure ? ExitStatus.usage.rawValue : ExitStatus.operationalError.rawValue)
    }

    private static func status(of error: any Error) -> ExitStatus? {
        if let status = ExitStatus(queueError: error) ?? ExitStatus(machineError: error) { return status }
        // The parser's errors have exit codes of their own.
        let isParsers =
            error is ValidationError || error is CleanExit
            || String(reflecting: type(of: error)).hasPrefix("ArgumentParser.")
        return isParsers ? nil : .operationalError
    }
}
