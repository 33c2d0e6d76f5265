// Which chips each replica's bridge may see.

import Platform

/// The devices that a bridge may use, as TT_VISIBLE_DEVICES names them.
struct VisibleDevices {
    /// What the configuration or the environment names; nil for every device.
    let named: String?
    /// The driver's numbers of the cards that were found.
    let cards: [String]

    /// TT_VISIBLE_DEVICES for a replica's bridge: an equal part, in order, of what is named or there. A single replica sees
    /// what the configuration says; nil leaves it to the library.
    ///
    /// - Throws: `ConfigurationError.contradiction` where they cannot be cut into equal parts.
    func part(of replica: Replica) throws(ConfigurationError) -> String? {
        guard replica.count > 1 else { return named }
        let devices = named.map { $0.split(separator: ",").map { $0.filter { !$0.isWhitespace } } } ?? cards
        guard !devices.isEmpty else {
            throw .contradiction(
                "data_parallel_size is \(replica.count), and no devices are known that it could divide",
                remedy: "name them in bridge.visible_devices")
        }
        guard devices.count.isMultiple(of: replica.count) else {
            throw .contradiction(
                "data_parallel_size = \(replica.count) does not divide the \(devices.count) visible devices "
                    + devices.joined(separator: ","),
                remedy: "lower it, or name devices that it divides in bridge.visible_devices")
        }
        let size = devices.count / replica.count
        return devices[replica.index * size..<(replica.index + 1) * size].joined(separator: ",")
    }

    /// A line for each of `count` replicas where there are several, or why they cannot be had.
    func lines(replicas count: Int) -> [String] {
        guard count > 1 else { return [] }
        do throws(ConfigurationError) {
            var lines: [String] = []
            for replica in Replica.all(count) { lines.append("\(replica): devices \(try part(of: replica) ?? "")") }
            return lines
        } catch {
            return [error.description]
        }
    }
}
