// Every key of the `tt:` section: its values, its default, and what is said about a wrong one.

import Platform
import Testing

struct TTConfigTests {
    private let n150 = ClusterType(name: "N150", architecture: .wormhole)

    @Test func defaultsAreTheContracts() throws {
        let config = try TTConfig(parsing: [:])
        #expect(config == TTConfig())
        #expect(config.sampleOnDeviceMode == .decodeOnly)
        #expect(config.traceMode == .all)
        #expect(config.traceRegionBytes(on: ClusterType(name: "TG", architecture: .wormhole)) == 50_000_000)
        #expect(config.traceRegionBytes(on: n150) == 52_000_000)
        #expect(config.enableModelWarmup)
        #expect(config.optimizations == nil)
        #expect(config.workerL1Size == nil && config.fabricConfig == nil && config.numCommandQueues == nil)
    }

    @Test func everyKeyIsRead() throws {
        let config = try TTConfig(
            parsing: [
                "sample_on_device_mode": .string("all"), "trace_mode": .string("decode_only"),
                "enable_model_warmup": .boolean(false), "trace_region_size": .integer(70_000_000),
                "worker_l1_size": .integer(1_344_544), "l1_small_size": .integer(24_576),
                "num_command_queues": .integer(2), "dispatch_core_axis": .string("col"),
                "fabric_config": .string("FABRIC_1D_RING"), "fabric_reliability_mode": .string("RELAXED_INIT"),
                "always_compat_sampling": .boolean(false), "optimizations": .string("accuracy"),
                "register_test_models": .boolean(true), "data_parallel": .integer(4),
            ])
        #expect(config.sampleOnDeviceMode == .all)
        #expect(config.traceMode == .decodeOnly)
        #expect(!config.enableModelWarmup)
        #expect(config.traceRegionSize == 70_000_000 && config.traceRegionBytes(on: n150) == 70_000_000)
        #expect(config.workerL1Size == 1_344_544 && config.l1SmallSize == 24_576 && config.numCommandQueues == 2)
        #expect(config.dispatchCoreAxis == .col)
        #expect(config.fabricConfig == .ring && config.fabricReliabilityMode == .relaxed)
        #expect(config.optimizations == .accuracy)
        #expect(config.registerTestModels && config.dataParallel == 4)
        #expect(config.givenKeys == Set(TTConfig.keys))
    }

    @Test func traceModeMayBeABoolean() throws {
        #expect(try TTConfig(parsing: ["trace_mode": .boolean(true)]).traceMode == .all)
        let untraced = try TTConfig(parsing: ["trace_mode": .boolean(false), "trace_region_size": .integer(5)])
        #expect(untraced.traceMode == .none)
        #expect(untraced.traceRegionBytes(on: n150) == nil)
    }

    @Test(arguments: TTConfig.keys)
    func aWrongValueIsRefusedWithKeyAndValue(key: String) {
        for value in [ConfigurationValue.string("nonsense"), .list([]), .null, .number(0.5), .integer(-1)] {
            let error = #expect(throws: ConfigurationError.self) { try TTConfig(parsing: [key: value]) }
            guard case .invalidValue(key, value, let expected) = error else {
                Issue.record("\(String(describing: error))")
                continue
            }
            #expect(!expected.isEmpty)
        }
    }

    @Test func messagesNameKeyValueAndWhatIsAllowed() {
        #expect(
            message(["sample_on_device_mode": .string("sometimes")])
                == "sample_on_device_mode: \"sometimes\" is not valid; expected one of: all, decode_only, none")
        #expect(
            message(["trace_mode": .integer(1)])
                == "trace_mode: 1 is not valid; expected true, false or one of: all, decode_only, none")
        #expect(
            message(["num_command_queues": .integer(3)])
                == "num_command_queues: 3 is not valid; expected a whole number, between 1 and 2")
        #expect(message(["always_compat_sampling": .boolean(true)]).hasPrefix("always_compat_sampling = true: "))
        #expect(message(["mpi_args": .string("-n 2")]).contains("MPI"))
    }

    @Test func anUnknownKeyNamesTheNearestKnownOne() {
        #expect(message(["trace_moed": .boolean(true)]) == "unknown key trace_moed; did you mean trace_mode?")
        #expect(message(["colour": .string("red")]).hasPrefix("unknown key colour; known: sample_on_device_mode, "))
    }

    private func message(_ values: [String: ConfigurationValue]) -> String {
        do {
            _ = try TTConfig(parsing: values)
            return "no error"
        } catch {
            return error.description
        }
    }
}
