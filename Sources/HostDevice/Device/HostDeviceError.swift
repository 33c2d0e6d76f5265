// What can go wrong before the host device runs, in words for a person.

public import Platform

/// A host device that cannot be opened, or a model that cannot be put on it.
public enum HostDeviceError: PlatformError, Equatable {
    /// `TTBATCH_ISA` names kernels that this processor does not have.
    case unknownInstructionSet(String, available: [String])
    /// The kernels that `TTBATCH_ISA` names do not give the portable kernels' bits on this processor.
    case failedSelfCheck(String)
    /// Each replica needs a core of its own.
    case tooManyReplicas(Int, cores: Int)
    /// hwloc cannot describe the machine.
    case noTopology(reason: String)
    /// The system gives no more memory.
    case outOfMemory(bytes: Int, reason: String)

    /// Memory is the model's need; the rest stays as it is.
    public var cause: DeviceFault.Cause? {
        if case .outOfMemory = self { .model } else { nil }
    }

    /// One line for a person.
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
