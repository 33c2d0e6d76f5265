// Translates `config.json` to the keys that describe a model.

import JSONText

extension HuggingFaceConfig {
    /// What the configuration says of the computation. Keys that transformers' class does not have are only reported, since
    /// it ignores them.
    ///
    /// - Throws: `ModelFileError` for what would be computed in another way than transformers does.
    func keys(_ weights: ModelWeights, warnings: inout [String]) throws(ModelFileError) -> ModelKeys {
        let configClass = try checkedClass()
        try refuseQuantization()
        try weights.refuseOthers()
        var translation = try KeyTranslation(self, configClass, weights)
        try translation.translate()
        if let warning = translation.warning { warnings.append(warning) }
        return translation.keys
    }

    /// The class of the text model, if the model generates text as that class does.
    private func checkedClass() throws(ModelFileError) -> ConfigClass {
        guard let configClass, let family else { throw unknownClass }
        let classes = family.classes + (isComposite ? ConfigClass.compositeClasses : [])
        if let name = architectures.first, !classes.contains(name) {
            throw .unsupported(
                path: path,
                what: "architecture \(Excerpt.quoted(name)) (supported for \(configClass.modelType): "
                    + family.classes.joined(separator: ", ") + ")")
        }
        return configClass
    }

    private func refuseQuantization() throws(ModelFileError) {
        for keys in isComposite ? [top, text] : [top] {
            guard let quantization = try keys.object("quantization_config") else { continue }
            let method = try quantization.string("quant_method")
            throw .quantized(path: path, method: Excerpt.shortened(method ?? "an unknown method (quantization_config)"))
        }
    }
}
