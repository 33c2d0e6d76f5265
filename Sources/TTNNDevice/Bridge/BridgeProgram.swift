// The bridge's Python sources, which are embedded in this binary, and how they are passed to an interpreter.

import Foundation

/// The bridge's program.
enum BridgeProgram {
    /// The task that the interpreter is started for.
    enum Task {
        /// Serve a mesh.
        case serve
        /// Report what the interpreter has installed.
        case probe(InterpreterProbe.Request)

        fileprivate var arguments: [String] {
            switch self {
            case .serve: ["serve"]
            case .probe(let request):
                ["probe", String(decoding: try! BridgeCoding.encoder.encode(request), as: UTF8.self)]
            }
        }
    }

    /// The interpreter's arguments; the socket is file descriptor `socket`.
    static func arguments(_ task: Task, socket: Int32) -> [String] {
        // Unbuffered, so that its last output is not lost when it dies.
        ["-u", "-c", String(decoding: PackageResources.bootstrap_py, as: UTF8.self), "\(socket)"] + task.arguments
    }

    /// The data that the bootstrap reads first: the length and the modules' texts.
    static func sources() -> [UInt8] {
        let texts = modules.mapValues { String(decoding: $0, as: UTF8.self) }
        let object = try! JSONEncoder().encode(texts)
        var bytes: [UInt8] = []
        bytes.append(little: UInt32(object.count))
        return bytes + object
    }

    /// The modules by name; a test compares them with the folder.
    static var modules: [String: [UInt8]] {
        [
            "ttbatch_bridge": PackageResources.__init___py,
            "ttbatch_bridge.capabilities": PackageResources.capabilities_py,
            "ttbatch_bridge.chosen_class": PackageResources.chosen_class_py,
            "ttbatch_bridge.decode": PackageResources.decode_py,
            "ttbatch_bridge.errors": PackageResources.errors_py,
            "ttbatch_bridge.frames": PackageResources.frames_py,
            "ttbatch_bridge.log": PackageResources.log_py,
            "ttbatch_bridge.mesh": PackageResources.mesh_py,
            "ttbatch_bridge.model": PackageResources.model_py,
            "ttbatch_bridge.outputs": PackageResources.outputs_py,
            "ttbatch_bridge.prefill": PackageResources.prefill_py,
            "ttbatch_bridge.probe": PackageResources.probe_py,
            "ttbatch_bridge.registry": PackageResources.registry_py,
            "ttbatch_bridge.rules": PackageResources.rules_py,
            "ttbatch_bridge.sampling": PackageResources.sampling_py,
            "ttbatch_bridge.seeds": PackageResources.seeds_py,
            "ttbatch_bridge.server": PackageResources.server_py,
            "ttbatch_bridge.tensors": PackageResources.tensors_py,
            "ttbatch_bridge.versions": PackageResources.versions_py,
            "ttbatch_bridge.vllm_stub": PackageResources.vllm_stub_py,
            "ttbatch_bridge.weight_cache": PackageResources.weight_cache_py,
        ]
    }
}
