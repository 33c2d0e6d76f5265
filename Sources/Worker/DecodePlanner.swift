// Decides what a decode step takes from the host and what it continues on the device (TT contract §1.6).

import Platform

/// Plans decode steps by comparing each with the last one that the device ran.
///
/// Everything is reloaded for the first decode step, for the first one after a prefill (new or preempted requests have
/// joined), after a row has left, and when the device takes over the sampling of a row from the host. Otherwise the
/// device continues from its own state, unless a row's token is sampled on the host or given by the request, because the
/// device does not have it.
struct DecodePlanner {
    /// The properties of a step that the planner compares.
    struct Step: Equatable {
        /// `InputBatch.layoutVersion`.
        var layoutVersion: Int
        /// `InputBatch.tableVersion`.
        var tableVersion: Int
        /// `InputBatch.tokenVersion`.
        var tokenVersion = 0
        /// How the rows in use are sampled, in the order of slots.
        var sampling: [RowSampling]
    }

    /// Whether the device can continue from its own state: only decode steps that run as traces write their own inputs.
    let keepsInputs: Bool
    /// The last decode step that the device ran; the device has its inputs and sampling parameters.
    private var last: Step?

    /// A planner for a device that has run nothing.
    init(keepsInputs: Bool) { self.keepsInputs = keepsInputs }

    /// Records that the device ran `step` and has its state.
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
        if !keepsInputs || step.sampling.contains(.onHost) || last.tokenVersion != step.tokenVersion {
            inputs = .reloadAll
        } else {
            inputs = last.tableVersion == step.tableVersion ? .keep : .reloadPageTable
        }
        return DecodePlan(
            inputs: inputs, reloadSamplingParams: samplingChanged, resetSamplingState: false)
    }
}

extension DecodePlanner.Step {
    /// Whether the device samples a row in this step that the host sampled in `last`.
    fileprivate func takesOverFromHost(_ last: DecodePlanner.Step) -> Bool {
        zip(last.sampling, sampling).contains { before, now in !before.isOnDevice && now.isOnDevice }
    }
}

extension RowSampling {
    fileprivate var isOnDevice: Bool { self != .onHost }
}
