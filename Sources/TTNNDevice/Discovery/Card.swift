// Discovers Tenstorrent cards from the host, without opening one.

import CHwloc
import Foundation

/// A card on the PCI bus.
struct Card: Equatable {
    /// PCI vendor id of all cards.
    static let vendor: UInt16 = 0x1e52

    /// Its PCI address, for example `0000:01:00.0`.
    var address: String
    /// PCI device id.
    var device: UInt16
    /// The NUMA node that it is attached to.
    var memoryNode: Int?
    /// The driver's device node; nil if the driver does not serve the card.
    var node: DeviceNode?
    /// Facts from sysfs, for example `firmware bundle 18.6.0`.
    var facts: [String] = []
    /// The driver's name of the board, for example `n150`.
    var board: String?

    /// A card's node in /dev.
    struct DeviceNode: Equatable {
        let path: String
        /// Whether this user may read and write it.
        let isAccessible: Bool
    }

    /// The driver's number of the card.
    var number: String? { node.map { String($0.path.split(separator: "/").last ?? "") } }

    /// The chip's name, from its PCI device id.
    var chip: String {
        switch device {
        case 0xfaca: "Grayskull"
        case 0x401e: "Wormhole"
        case 0xb140: "Blackhole"
        default: "Tenstorrent chip 0x" + String(device, radix: 16)
        }
    }
}

extension Card {
    /// The cards of the machine, in the order of their PCI addresses.
    static func all(_ paths: SystemPaths) -> [Card] {
        onBus(paths.topologyXML).map { found in
            var card = found
            if let index = nodeIndices(paths)[card.address] { card.read(index, paths) }
            return card
        }.sorted { $0.address < $1.address }
    }

    /// hwloc's I/O objects of the vendor.
    private static func onBus(_ xml: String?) -> [Card] {
        var handle: hwloc_topology_t?
        guard hwloc_topology_init(&handle) == 0, let topology = handle else { return [] }
        defer { hwloc_topology_destroy(topology) }
        hwloc_topology_set_io_types_filter(topology, HWLOC_TYPE_FILTER_KEEP_ALL)
        if let xml, hwloc_topology_set_xml(topology, xml) != 0 { return [] }
        guard hwloc_topology_load(topology) == 0 else { return [] }
        var cards: [Card] = []
        var object = hwloc_get_next_pcidev(topology, nil)
        while let device = object {
            let pci = device.pointee.attr.pointee.pcidev
            if pci.vendor_id == vendor {
                let address = [pad(UInt32(pci.domain), 4), pad(UInt32(pci.bus), 2), pad(UInt32(pci.dev), 2)]
                let parent = hwloc_get_non_io_ancestor_obj(topology, device)
                let node = parent.map { hwloc_bitmap_first($0.pointee.nodeset) }
                cards.append(
                    Card(
                        address: address.joined(separator: ":") + "." + String(pci.func, radix: 16),
                        device: pci.device_id, memoryNode: node.flatMap { $0 >= 0 ? Int($0) : nil }))
            }
            object = hwloc_get_next_pcidev(topology, device)
        }
        return cards
    }

    private static func pad(_ number: UInt32, _ width: Int) -> String {
        let digits = String(number, radix: 16)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }

    /// The driver's number of each card, by PCI address.
    private static func nodeIndices(_ paths: SystemPaths) -> [String: Int] {
        let folder = paths.sysfs + "/class/tenstorrent"
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        var indices: [String: Int] = [:]
        for name in names {
            guard let index = Int(name.split(separator: "!").last ?? ""),
                let device = try? FileManager.default.destinationOfSymbolicLink(atPath: "\(folder)/\(name)/device")
            else { continue }
            indices[String(device.split(separator: "/").last ?? "")] = index
        }
        return indices
    }

    private mutating func read(_ index: Int, _ paths: SystemPaths) {
        let path = "\(paths.deviceNodes)/\(index)"
        if FileManager.default.fileExists(atPath: path) {
            node = DeviceNode(path: path, isAccessible: access(path, R_OK | W_OK) == 0)
        }
        func text(_ attribute: String) -> String? {
            let file = "\(paths.sysfs)/class/tenstorrent/tenstorrent!\(index)/\(attribute)"
            return (try? String(contentsOfFile: file, encoding: .utf8))?.trimmingCharacters(in: .whitespacesAndNewlines)
        }
        board = text("tt_card_type")
        for (attribute, name) in [
            ("tt_serial", "serial"), ("tt_fw_bundle_ver", "firmware bundle"), ("tt_asic_id", "ASIC"),
        ] {
            if let value = text(attribute), !value.isEmpty { facts.append("\(name) \(value)") }
        }
    }
}

/// The kernel driver's version; nil if it is not loaded.
func tenstorrentDriverVersion(_ paths: SystemPaths) -> String? {
    let module = paths.sysfs + "/module/tenstorrent"
    guard FileManager.default.fileExists(atPath: module) else { return nil }
    let version = try? String(contentsOfFile: module + "/version", encoding: .utf8)
    return version?.trimmingCharacters(in: .whitespacesAndNewlines) ?? "of unknown version"
}
