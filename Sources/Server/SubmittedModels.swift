// The enqueuer of batches that come over HTTP: its models are those that clients may name.

import Intake
import ModelFiles
import Settings
import StoreContract

extension Configuration {
    /// An enqueuer into `store` that takes names of models, and no paths. The configured model can be called as
    /// `/v1/models` calls it.
    func enqueuer(into store: any JobStore) -> Enqueuer {
        let path = try? catalogue.remembered(model)
        var options = Enqueuer.Options(defaultModel: model)
        options.engine = engine
        let shown = ModelCatalogue.shown(model)
        if shown != model, let map = try? ModelMap(parsing: ["\(shown)=\(model)"]) { options.modelMap = map }
        return Enqueuer(store: store, catalogue: catalogue.withoutPaths(but: path), options: options)
    }
}
