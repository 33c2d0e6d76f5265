// Which model a batch asks for, and whether a line's `model` means the same.

import ModelFiles
import PromptFiles

/// The model of a batch: as asked for, else as the first valid line says, else as configured.
struct BatchModel {
    /// The name that the batch remembers.
    let name: String
    private let path: String
    private let catalogue: ModelCatalogue
    private var verdicts: [String: Bool] = [:]

    /// The model must be there and readable, so that no night is lost to a name.
    ///
    /// - Throws: `ModelLookupError`, `ModelFileError`.
    init(_ first: PromptFileLine, _ options: Enqueuer.Options, _ catalogue: ModelCatalogue) throws {
        var asked = options.requestedModel
        if asked == nil, case .valid(let line) = first { asked = line.model }
        name = ModelCatalogue.remembered(asked ?? options.defaultModel)
        path = try catalogue.resolve(name).path
        try options.check(try ModelConfig(gguf: try GGUFFile(path: path)))
        self.catalogue = catalogue
    }

    /// Whether a line may call the model `other`: another name of the same file is as good.
    mutating func isCalled(_ other: String) -> Bool {
        if other == name { return true }
        if let verdict = verdicts[other] { return verdict }
        let verdict = (try? catalogue.resolve(ModelCatalogue.remembered(other)).path) == path
        verdicts[other] = verdict
        return verdict
    }
}
