// Errors before the host device runs, with messages for the operator.

public import Platform

/// Why the host device cannot be opened, or a model cannot be loaded on it.
public enum HostDeviceError: PlatformError, Equatable {
    /// `TTBATCH_ISA` names kernels that this processor does not have.
    case unknownInstructionSet(String, available: [String])
    /// On this processor, the kernels that `TTBATCH_ISA` names do not compute the same bits as the portable kernels.
    case failedSelfCheck(String)
    /// Each replica needs its own core.
    case tooManyReplicas(Int, cores: Int)
    /// hwloc cannot describe the machine.
    case noTopology(reason: String)
    /// The system has no more memory.
    case outOfMemory(bytes: Int, reason: String)

    /// Another model may need less memory; the other errors would happen again.
    public var cause: DeviceFault.Cause? {
        if case .outOfMemory = self { .model } else { nil }
    }

    /// A one-line message.
    public var description: String {
        switch self {
        case .unknownInstructionSet(let name, let available):
            "TTBATCH_ISA is \"\(name)\"; this processor has \(available.joined(separator: ", "))"
        case .failedSelfCheck(let name):
            "TTBATCH_ISA is \"\(name)\", whose kernels fail the self-check on this processor; leave it out"
        case .tooManyReplicas(let replicas, let cores):
            "data_parallel_size = \(replicas): each replica needs a core of its own, and this process may use "
                + "\(cores); lower data_parallel_size to \(cores) or less"
        case .noTopology(let reason):
            "the machine's topology cannot be read: \(reason)"
        case .outOfMemory(let bytes, let reason):
            "\(bytes) bytes of memory cannot be reserved: \(reason); free memory, or lower max_model_len, "
                + "max_num_seqs or kv_cache_memory_bytes"
        }
    }
}
