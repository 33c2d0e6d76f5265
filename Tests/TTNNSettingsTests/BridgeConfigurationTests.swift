// The `bridge:` section: its keys, and what is said about a wrong value.

import Platform
import Testing

@testable import TTNNSettings

struct BridgeConfigurationTests {
    @Test func everyKeyIsRead() throws {
        let bridge = try BridgeConfiguration(parsing: [
            "python": .string("/opt/tt/bin/python"), "model_class": .string("a.b:C"), "hf_model": .string("org/model"),
            "extra_models_dir": .string("/m"), "visible_devices": .list([.integer(0), .integer(2)]),
            "open_deadline_s": .integer(1), "load_deadline_s": .integer(2), "warm_up_deadline_s": .integer(3),
            "prefill_deadline_s": .integer(4), "decode_deadline_s": .integer(5), "stop_grace_s": .integer(0),
            "reset_command": .string("tt-smi -r"), "reset_wait_s": .integer(6),
        ])
        #expect(bridge.python == "/opt/tt/bin/python" && bridge.modelClass == "a.b:C" && bridge.hfModel == "org/model")
        #expect(bridge.extraModelsDir == "/m" && bridge.visibleDevices == "0,2")
        #expect((bridge.openDeadline, bridge.loadDeadline, bridge.warmUpDeadline) == (1, 2, 3))
        #expect((bridge.prefillDeadline, bridge.decodeDeadline, bridge.stopGrace) == (4, 5, 0))
        #expect(bridge.resetCommand == ["tt-smi", "-r"] && bridge.resetWait == 6)
    }

    @Test(arguments: BridgeConfiguration.keys)
    func aWrongValueIsRefusedWithItsKey(key: String) {
        for value in [ConfigurationValue.boolean(true), .list([]), .null, .string("")] {
            let error = #expect(throws: ConfigurationError.self) { try BridgeConfiguration(parsing: [key: value]) }
            guard case .invalidValue(key, value, let expected) = error else {
                Issue.record("\(String(describing: error))")
                continue
            }
            #expect(!expected.isEmpty)
        }
    }

    @Test(arguments: ["0,0", "0,,1", "a", "-1", "0;1"])
    func chipsAreNumbers(text: String) {
        #expect(throws: ConfigurationError.self) {
            try BridgeConfiguration(parsing: ["visible_devices": .string(text)])
        }
    }

    @Test func oneChipMayBeANumber() throws {
        #expect(try BridgeConfiguration(parsing: ["visible_devices": .integer(3)]).visibleDevices == "3")
        #expect(try BridgeConfiguration(parsing: ["visible_devices": .string("0, 1")]).visibleDevices == "0,1")
    }

    @Test func anUnknownKeyNamesTheNearest() {
        #expect(throws: ConfigurationError.unknownKey("pyton", known: BridgeConfiguration.keys)) {
            try BridgeConfiguration(parsing: ["pyton": .string("x")])
        }
    }
}
