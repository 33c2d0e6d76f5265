// Decides what a decode step takes from the host and what it continues on the device (TT contract §1.6).

import Platform

/// Plans decode steps by comparing each with the one that the device ran last.
///
/// A transition reloads everything: the first decode step, the first after a prefill (rows have joined: new requests or
/// such as were preempted), a row that left, and a row whose tokens the device samples from now on.
/// Otherwise the device goes on by itself, unless a row is sampled on the host, whose token the device does not have.
struct DecodePlanner {
    /// What a step looks like to the planner.
    struct Step: Equatable {
        /// `InputBatch.layoutVersion`.
        var layoutVersion: Int
        /// `InputBatch.tableVersion`.
        var tableVersion: Int
        /// How the rows in use are sampled, in the order of their slots.
        var sampling: [RowSampling]
    }

    /// Whether the device can continue by itself at all: only decode steps that are traces write their own inputs.
    let keepsInputs: Bool
    /// The decode step that the device ran last, whose inputs and sampling parameters it has.
    private var last: Step?

    /// A planner for a device that has run nothing.
    init(keepsInputs: Bool) { self.keepsInputs = keepsInputs }

    /// The step ran: its state is on the device now.
    mutating func ran(_ step: Step) { last = step }

    /// The plan for `step`.
    func plan(_ step: Step) -> DecodePlan {
        guard let last, last.layoutVersion == step.layoutVersion, !step.takesOverFromHost(last) else {
            let samplesOnDevice = step.sampling.contains { $0.isOnDevice }
            return DecodePlan(
                inputs: .reloadAll, reloadSamplingParams: true, resetSamplingState: samplesOnDevice)
        }
        let samplingChanged = last.sampling != step.sampling
        let inputs: DecodePlan.Inputs
        if !keepsInputs || step.sampling.contains(.onHost) {
            inputs = .reloadAll
        } else {
            inputs = last.tableVersion == step.tableVersion ? .keep : .reloadPageTable
        }
        return DecodePlan(
            inputs: inputs, reloadSamplingParams: samplingChanged, resetSamplingState: false)
    }
}

extension DecodePlanner.Step {
    /// Whether a row is sampled on the device now that the host sampled in `last`.
    fileprivate func takesOverFromHost(_ last: DecodePlanner.Step) -> Bool {
        zip(last.sampling, sampling).contains { before, now in !before.isOnDevice && now.isOnDevice }
    }
}

extension RowSampling {
    fileprivate var isOnDevice: Bool { self != .onHost }
}
