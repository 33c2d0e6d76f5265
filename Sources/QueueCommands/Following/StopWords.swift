// The effect of a request to stop, in words.

import Runtime
import Terminal

extension StopSignal.Level {
    /// What is done with prompts that have been claimed.
    ///
    /// - Parameters:
    ///   - inFlight: the number of jobs in flight.
    ///   - running: the number of these in batch slots, if known; the others wait for one.
    ///   - again: the words for a further request, e.g. "press again".
    package func words(inFlight: Int64, running: Int64?, graceMS: Int64, again: String) -> String {
        let running = min(running ?? inFlight, inFlight)
        var prompts = "\(running) running prompt\(running == 1 ? "" : "s")"
        if running < inFlight { prompts += " and \(inFlight - running) that wait for a slot" }
        switch self {
        case .none: return "going on"
        case _ where inFlight == 0: return "nothing is running"
        case .graceful:
            let grace = Quantity.duration(milliseconds: graceMS)
            return "finishing \(prompts), up to \(grace); \(again) to put them back"
        case .immediate: return "putting \(prompts) back into the queue"
        }
    }
}
