// A queue behind a server, as options and the environment name it.

package import Intake
import QueueClient
package import StoreContract

/// A server in front of a queue.
package struct QueueServer: Sendable {
    private let url: ServerURL
    private let key: ShownKey?

    /// Reads an address; the key comes from the environment.
    package init(_ address: String, environment: [String: String]) throws(InvalidQueueServer) {
        guard let url = ServerURL(address) else {
            throw InvalidQueueServer(
                "\(address): expected http://HOST:PORT, https://HOST or unix:/PATH/OF/SOCKET, without a name or key in it"
            )
        }
        self.url = url
        do throws(InvalidServer) { key = try ShownKey(environment: environment) } catch {
            throw InvalidQueueServer(error.description)
        }
    }

    /// Its queue; nothing is asked yet.
    ///
    /// - Parameters:
    ///   - patience: seconds for which a server that does not answer is waited for.
    ///   - say: tells the user that it is.
    package func jobs(
        patience: Double = 0, say: @escaping @Sendable (String) -> Void = { _ in }
    ) -> any JobReading & BatchControl {
        RemoteJobs(url, key: key, patience: patience > 0 ? .init(seconds: patience, say: say) : nil)
    }

    /// Stores all files of an order or none; its paths are those of this machine.
    ///
    /// - Parameter report: called with every error but the last, which is thrown.
    package func enqueue(_ order: EnqueueOrder, report: (any Error) -> Void) throws -> [EnqueueReport] {
        try RemoteJobs(url, key: key).enqueue(order, report: report)
    }
}

/// What the user gave is no server, or no key.
package struct InvalidQueueServer: Error, CustomStringConvertible {
    /// One line for people.
    package let description: String

    init(_ description: String) { self.description = description }
}
