// The model that online requests run on: what is loaded now, for threads other than the one that loads it.

import Glibc
import ModelFiles
package import Platform
package import Prompts
package import Runtime
import Synchronization
import Tokenizers

/// A loaded model that takes online requests.
package struct OnlineModel: Sendable {
    /// The name by which it was requested.
    package let name: String
    /// The limits that each replica's engine runs with.
    package let limits: StepLimits
    /// Prepares requests for it.
    package let preparer: RequestPreparer
    /// Runs them.
    package let requests: OnlineRequests
    /// When it was loaded.
    package let loadedAt: Milliseconds
    /// What computes it, e.g. `host, avx2`; nil if that is not known.
    package let device: String?
    /// How many copies of it there are, each on its own part of the devices.
    package let replicas: Int

    /// The name for callers, who learn no paths.
    package var shownName: String { ModelCatalogue.shown(name) }

    /// Whether callers mean it by `name`: no path, even if the model was given as one.
    package func isCalled(_ name: String) -> Bool { name == shownName }
    /// The number of token ids.
    package var vocabularySize: Int { preparer.tokenizer.vocabularySize }

    /// The text of tokens, with that of control tokens.
    package func text(of tokens: [Int32]) -> String {
        var detokenizer = Detokenizer(preparer.tokenizer, skipsControl: false)
        return tokens.map { detokenizer.push($0) }.joined() + detokenizer.finish()
    }

    /// The texts of the tokens that begin, end and fill prompts; nil where it has none.
    package var markers: (bos: String?, eos: String?, padding: String?) {
        let markers = preparer.tokenizer.markers
        func text(_ token: Int32?) -> String? { token.map { self.text(of: [$0]) } }
        return (text(markers.bos), text(markers.eos), text(markers.padding))
    }
    /// The longest text, prompt and answer together, in tokens.
    package var contextLength: Int { limits.maxModelLen }

}

/// Gives other threads the model that a `ModelHost` has loaded.
package final class LiveModel: Sendable {
    private let model = Mutex<OnlineModel?>(nil)
    /// What online requests get of the engines.
    package let share: OnlineShareSettings

    /// Nothing is loaded yet.
    package init(_ share: OnlineShareSettings) { self.share = share }

    /// The loaded model; nil if there is none.
    package var current: OnlineModel? { model.withLock { $0 } }

    /// The host has loaded a model.
    func begin(_ loaded: ModelHost.Loaded, on host: ModelHost) {
        let requests = OnlineRequests(model: loaded, on: host, limit: share.limit)
        let online = OnlineModel(
            name: loaded.name, limits: loaded.limits, preparer: loaded.preparer, requests: requests,
            loadedAt: TimeSource.system.now, device: loaded.systemMembers?["device"], replicas: loaded.replicaCount)
        model.withLock { $0 = online }
    }

    /// Waits until no request is in flight, or `isOver` is true.
    package func drain(until isOver: () -> Bool) {
        while let model = current, model.requests.count > 0, !isOver() { usleep(10_000) }
    }

    /// The host unloads it: requests in flight fail, and no more come.
    func end() {
        let last = model.withLock { model in
            defer { model = nil }
            return model
        }
        last?.requests.close()
    }
}

/// What online requests get of the engines.
package struct OnlineShareSettings: Sendable, Equatable {
    /// Batch slots of their own, per replica.
    package var slots: Int
    /// The most tokens of batches' prompts in one prefill step.
    package var prefillTokens: Int
    /// The most requests that run or wait.
    package var limit: Int

    /// A share.
    package init(slots: Int, prefillTokens: Int, limit: Int) {
        self.slots = slots
        self.prefillTokens = prefillTokens
        self.limit = limit
    }
}
