// The models as clients of the server may call them: by names, and never by paths.

package import ModelFiles

extension Configuration {
    /// The catalogue for clients: names of models lead to them, but of paths only the configured one.
    package var clientCatalogue: ModelCatalogue { clientCatalogue(on: rememberedModel) }

    /// The same, with the path of another model: `model`, as batches call it.
    package func clientCatalogue(on model: String?) -> ModelCatalogue { catalogue.withoutPaths(but: model) }

    /// What clients call a model that batches call `model`.
    package static func shownName(of model: String) -> String { ModelCatalogue.shown(model) }
}
