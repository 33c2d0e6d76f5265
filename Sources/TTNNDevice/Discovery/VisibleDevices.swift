// The chips that each replica's bridge may use.

import Platform

/// The devices that bridges may use, in the form of TT_VISIBLE_DEVICES.
struct VisibleDevices {
    /// The devices that the configuration or the environment names; nil for all devices.
    let named: String?
    /// The driver's numbers of the cards that were found.
    let cards: [String]

    /// TT_VISIBLE_DEVICES for a replica's bridge: an equal part, in order, of the named devices or of all cards. A
    /// single replica gets the configured value; nil leaves it to the library.
    ///
    /// - Throws: `ConfigurationError.contradiction` if the devices cannot be divided into equal parts.
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

    /// A line for each of `count` replicas if there are several, or the reason why they are not possible.
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
