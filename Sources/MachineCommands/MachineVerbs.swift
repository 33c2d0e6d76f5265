// The verbs that look at this machine, for the program's list.

package import ArgumentParser
import ModelCommands

package enum MachineVerbs {
    /// All of them, in the order of the help.
    package static let all: [any ParsableCommand.Type] = [Devices.self, Models.self, Bench.self, DatabaseVerbs.self]
}
