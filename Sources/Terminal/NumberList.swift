// Numbers on the command line.

import ArgumentParser

/// Comma-separated numbers above 0.
package struct NumberList: ExpressibleByArgument, CustomStringConvertible {
    package let numbers: [Int]
    package var description: String { numbers.map(String.init).joined(separator: ",") }

    package init(_ numbers: [Int]) { self.numbers = numbers }

    package init?(argument: String) {
        let numbers = argument.split(separator: ",", omittingEmptySubsequences: false).map { Int($0) ?? 0 }
        guard numbers.allSatisfy((1...Int(Int32.max)).contains) else { return nil }
        self.numbers = numbers
    }
}
