// Which cards are found, and why they cannot be used, on machines that the tests describe.

import Foundation
import Platform
import TestSupport
import Testing

@testable import TTNNDevice
@testable import TTNNSettings

@Suite("Tenstorrent platform")
struct TTNNPlatformTests {
    /// A machine with two cards, of which only the first has a node.
    private let machine: TemporaryFolder
    private let paths: SystemPaths

    init() throws {
        machine = try TemporaryFolder()
        var paths = SystemPaths()
        paths.deviceNodes = machine.file("dev/tenstorrent")
        paths.sysfs = machine.file("sys")
        paths.processes = machine.file("proc")
        paths.topologyXML = machine.file("topology.xml")
        self.paths = paths
        try write("topology.xml", Self.topology)
    }

    private func write(_ path: String, _ text: String) throws { try machine.write(path, text) }

    /// The driver's view of the card at `address`.
    private func add(card index: Int, at address: String) throws {
        let folder = "sys/class/tenstorrent/tenstorrent!\(index)"
        try write(folder + "/tt_card_type", "n150\n")
        try write(folder + "/tt_fw_bundle_ver", "18.6.0.0\n")
        try FileManager.default.createSymbolicLink(
            atPath: machine.file(folder + "/device"),
            withDestinationPath: "../../../devices/pci0000:00/\(address)")
        try write("dev/tenstorrent/\(index)", "")
    }

    private func discover(_ python: String = "/nowhere/python", _ environment: [String: String] = [:])
        -> PlatformDiscovery
    {
        var settings = BridgeConfiguration()
        settings.python = python
        return TTNNPlatform(settings, paths: paths, environment: environment).discover(EngineConfiguration())
    }

    @Test func withoutCards() throws {
        try write("topology.xml", Self.topology.replacing("1e52", with: "8086"))
        #expect(discover() == .absent(reason: "no Tenstorrent card on the PCI bus"))
    }

    @Test func withoutADriver() throws {
        let discovery = discover()
        #expect(
            discovery.devices.map(\.summary) == [
                "Wormhole at PCI 0000:01:00.0, NUMA node 0", "Blackhole at PCI 0000:81:00.0, NUMA node 1",
            ])
        #expect(discovery.reason?.contains("modprobe tenstorrent") == true)
    }

    @Test func withoutANode() throws {
        try write("sys/module/tenstorrent/version", "2.4.1\n")
        try add(card: 0, at: "0000:01:00.0")
        let discovery = discover()
        #expect(discovery.reason?.contains("0000:81:00.0") == true)
        let first = try #require(discovery.devices.first)
        #expect(first.name == "0" && first.summary == "n150 (Wormhole) at PCI 0000:01:00.0, NUMA node 0")
        #expect(first.details.contains("driver tt-kmd 2.4.1") && first.details.contains("firmware bundle 18.6.0.0"))
    }

    @Test func withoutPermission() throws {
        try write("sys/module/tenstorrent/version", "2.4.1\n")
        try add(card: 0, at: "0000:01:00.0")
        try add(card: 1, at: "0000:81:00.0")
        chmod(paths.deviceNodes + "/1", 0)
        // Nobody keeps anything from root.
        let reason = discover().reason ?? ""
        #expect(getuid() == 0 || (reason.contains("/dev/tenstorrent/1") && reason.contains("udev")))
    }

    @Test func withoutTheInterpreterOrWhatItNeeds() throws {
        try write("sys/module/tenstorrent/version", "2.4.1\n")
        try add(card: 0, at: "0000:01:00.0")
        try add(card: 1, at: "0000:81:00.0")
        #expect(discover().reason?.contains("set bridge.python") == true)
        // An interpreter without ttnn, whatever else it has.
        let reason = try #require(discover("python3", ["PYTHONPATH": "/nowhere", "PATH": searchPath]).reason)
        #expect(reason.contains("cannot be imported") || reason.contains("is not installed"), "\(reason)")
        #expect(reason.contains("set bridge.python"))
    }

    @Test func theModelClassesOfAnInterpreter() throws {
        try write("site/ttnn.py", "")
        let mock = [
            "TT_METAL_MOCK_CLUSTER_DESC_PATH": "/c.yaml", "PYTHONPATH": machine.file("site"),
            "PATH": searchPath,
        ]
        let without = discover("python3", mock)
        guard without.reason?.contains("numpy") != true else { return }
        #expect(without.reason?.contains("finds no TT model class") == true)
        let file = "site/models/tt_transformers/tt/generator_vllm.py"
        try write(file, "")
        let empty = discover("python3", mock).reason ?? ""
        #expect(empty.contains("TT model classes can be imported") && empty.contains("has no class"), "\(empty)")
        try write(
            file,
            """
            from vllm.model_executor.models.gemma3_mm import Gemma3Processor
            from vllm.model_executor.models.interfaces import SupportsMultiModal
            from vllm.multimodal import MULTIMODAL_REGISTRY
            from vllm.multimodal.processing import BaseDummyInputsBuilder

            class Builder(BaseDummyInputsBuilder[int]):
                pass

            @MULTIMODAL_REGISTRY.register_processor(Gemma3Processor, info=Builder)
            class LlamaForCausalLM(SupportsMultiModal):
                def initialize_vllm_model():
                    pass

            class MistralForCausalLM:
                pass
            """)
        let with = discover("python3", mock)
        #expect(with.reason == nil)
        let details = with.devices[0].details
        #expect(details.contains("models: TTLlamaForCausalLM"), "\(details)")
        #expect(details.contains { $0.contains("a dispatcher") })
        #expect(details.contains { $0.contains("vllm not installed") })
        #expect(
            details.contains {
                $0.hasPrefix("TTMistralForCausalLM cannot be used") && $0.contains("bridge.model_class")
            })
    }

    @Test func anOldTTNNIsRefused() throws {
        try write("site/ttnn.py", "")
        try write("site/ttnn-0.62.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: ttnn\nVersion: 0.62.0\n")
        let discovery = discover(
            "python3",
            [
                "TT_METAL_MOCK_CLUSTER_DESC_PATH": "/c.yaml", "PYTHONPATH": machine.file("site"),
                "PATH": searchPath,
            ])
        guard discovery.reason?.contains("numpy") != true else { return }
        #expect(
            discovery.reason?.contains("ttnn 0.62.0 is older than 0.77") == true, "\(String(describing: discovery))")
    }

    @Test func overridesNameTheClass() throws {
        try write("site/ttnn.py", "")
        try write("site/mine.py", "class Llama:\n    initialize_vllm_model = None\n")
        let variables = [
            "TT_METAL_MOCK_CLUSTER_DESC_PATH": "/c.yaml", "PYTHONPATH": machine.file("site"),
            "PATH": searchPath, "TT_MODEL_CLASS_OVERRIDES": "LlamaForCausalLM=mine:Llama",
            "TT_VLLM_BUILTIN_MODELS": "0",
        ]
        let discovery = discover("python3", variables)
        guard discovery.reason?.contains("numpy") != true else { return }
        #expect(discovery.devices[0].details.contains("models: TTLlamaForCausalLM"), "\(discovery)")
        let wrong = discover("python3", variables.merging(["TT_MODEL_CLASS_OVERRIDES": "Llama"]) { $1 })
        #expect(wrong.reason?.contains("Architecture=module:Class") == true, "\(wrong)")
    }

    private var searchPath: String { ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin" }

    @Test func holdersOfACardAreFound() throws {
        try write("dev/tenstorrent/0", "")
        try write("proc/17/comm", "python3\n")
        try write("proc/17/fd/none", "")
        try write("proc/18/comm", "bash\n")
        try write("proc/18/fd/none", "")
        try FileManager.default.createSymbolicLink(
            atPath: machine.file("proc/17/fd/5"), withDestinationPath: paths.deviceNodes + "/0")
        let recovery = DeviceRecovery(paths: paths)
        #expect(recovery.holders() == [DeviceRecovery.Holder(pid: 17, name: "python3")])
    }

    /// Two packages, a Wormhole card at the first and a Blackhole card at the second.
    private static let topology = """
        <?xml version="1.0" encoding="UTF-8"?>
        <!DOCTYPE topology SYSTEM "hwloc2.dtd">
        <topology version="2.0">
          <object type="Machine" os_index="0" cpuset="0x3" complete_cpuset="0x3" allowed_cpuset="0x3" nodeset="0x3" complete_nodeset="0x3" allowed_nodeset="0x3" gp_index="1">
            \(package(0, bus: "01", device: "401e"))
            \(package(1, bus: "81", device: "b140"))
          </object>
        </topology>
        """

    private static func package(_ index: Int, bus: String, device: String) -> String {
        let set = "0x\(index + 1)"
        let sets = "cpuset=\"\(set)\" complete_cpuset=\"\(set)\" nodeset=\"\(set)\" complete_nodeset=\"\(set)\""
        let place = "pci_busid=\"0000:\(bus):00.0\" pci_type=\"1200 [1e52:\(device)] [1e52:\(device)] 00\""
        return """
            <object type="Package" os_index="\(index)" \(sets) gp_index="\(10 + index)">
              <object type="NUMANode" os_index="\(index)" \(sets) gp_index="\(20 + index)" local_memory="1073741824"/>
              <object type="Core" os_index="\(index)" \(sets) gp_index="\(30 + index)">
                <object type="PU" os_index="\(index)" \(sets) gp_index="\(40 + index)"/>
              </object>
              <object type="Bridge" gp_index="\(50 + index)" bridge_type="0-1" depth="0" bridge_pci="0000:[\(bus)-\(bus)]">
                <object type="PCIDev" gp_index="\(60 + index)" \(place) pci_link_speed="0.000000"/>
              </object>
            </object>
            """
    }
}
