// What a request to stop leads to, in words.

import BatchDaemon

extension StopSignal.Level {
    /// What becomes of running prompts.
    ///
    /// - Parameter again: what a further request is called, e.g. "press again".
    func words(running: Int64, graceMS: Int64, again: String) -> String {
        let prompts = "\(running) running prompt\(running == 1 ? "" : "s")"
        switch self {
        case .none: return "going on"
        case _ where running == 0: return "nothing is running"
        case .graceful:
            let grace = Quantity.duration(milliseconds: graceMS)
            return "finishing \(prompts), up to \(grace); \(again) to put them back"
        case .immediate: return "putting \(prompts) back into the queue"
        }
    }
}
