// The models as clients of the server may call them: by names, and never by paths.

package import ModelFiles

extension Configuration {
    /// The catalogue for clients: names of models lead to them, but of paths only the configured one.
    package var clientCatalogue: ModelCatalogue { catalogue.withoutPaths(but: rememberedModel) }
}
