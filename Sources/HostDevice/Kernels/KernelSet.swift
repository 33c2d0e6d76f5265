// Chooses the kernels: the best set that the processor has and that computes the same bits as the portable one.

import CHostKernels
import Glibc

/// The kernels of one instruction set.
struct KernelSet: @unchecked Sendable {
    /// The C table, which is constant.
    let pointer: UnsafePointer<hk_kernels>

    /// The kernels.
    var table: hk_kernels { pointer.pointee }

    /// `portable`, `avx2`, `avx512`, `neon` or `neon-i8mm`.
    var name: String { String(cString: table.name) }

    /// The kernels that every machine can run.
    static let portable = KernelSet(pointer: hk_portable())

    /// All sets that this processor can run, best first.
    static let available: [KernelSet] =
        [hk_avx512(), hk_avx2(), hk_neon_i8mm(), hk_neon()].compactMap { $0 }.map(KernelSet.init) + [.portable]

    /// The set called `name`, or the best one if `name` is nil. A set must pass the self-check.
    ///
    /// - Parameter passes: the self-check, which compares a set with the portable one.
    /// - Throws: `HostDeviceError.unknownInstructionSet` if the processor cannot run the set, `.failedSelfCheck` if the
    ///   set computes other bits.
    static func choose(
        named name: String? = nil, passes: (KernelSet) -> Bool = KernelSelfCheck.passes
    ) throws(HostDeviceError) -> KernelSet {
        guard let name else {
            return available.first { $0.name == portable.name || passes($0) } ?? portable
        }
        guard let set = available.first(where: { $0.name == name }) else {
            throw .unknownInstructionSet(name, available: available.map(\.name))
        }
        guard set.name == portable.name || passes(set) else { throw .failedSelfCheck(name) }
        return set
    }

    /// The set that the environment variable `TTBATCH_ISA` names, or the best one.
    static func fromEnvironment() throws(HostDeviceError) -> KernelSet {
        try choose(named: getenv("TTBATCH_ISA").map { String(cString: $0) })
    }
}
