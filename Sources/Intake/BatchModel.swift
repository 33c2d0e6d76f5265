// The model of a batch, and whether the `model` of a line refers to the same file.

import JSONText
import ModelFiles
import OpenAIFormats
import PromptFiles
import Runtime
import StoreContract

/// The model of a batch: the requested one, else that of the first valid line, else the configured one.
struct BatchModel {
    /// The name of the model that runs; stored with the batch.
    let name: String
    /// The model name in results, unless a line uses another one.
    let shownName: String
    private let entry: CatalogueEntry
    private let catalogue: ModelCatalogue
    private let map: ModelMap
    private var verdicts: [String: Bool] = [:]
    /// The model name in results of lines without one; nil: `shownName`.
    private let unnamed: String?
    /// The check of prompts against the model file.
    let check: PromptCheck

    /// The model must exist and be readable, so that no night is lost because of a wrong name.
    ///
    /// - Throws: `ModelLookupError`, `ModelFileError`, `TokenizerError`; `EnqueueError.unknownModel` if a line's name
    ///   leads to no model.
    init(
        _ first: PromptFileLine, in file: String, _ options: Enqueuer.Options, _ catalogue: ModelCatalogue,
        now: Milliseconds
    ) throws {
        for (from, to) in options.modelMap.targets {
            do throws(ModelLookupError) { _ = try catalogue.resolve(to) } catch {
                throw EnqueueError.unknownTarget(from: from, error)
            }
        }
        self.catalogue = catalogue
        map = options.modelMap
        var line: PromptLine?
        if case .valid(let valid) = first { line = valid }
        let written = options.requestedModel ?? line?.model.map { options.modelMap[$0] ?? $0 }
        do throws(ModelLookupError) {
            name = try catalogue.remembered(written ?? map.standard ?? options.defaultModel)
            entry = try catalogue.resolve(name)
        } catch {
            // If the name comes from a line, the error names the line and how to run it.
            guard options.requestedModel == nil, let line, let asked = line.model else { throw error }
            throw EnqueueError.unknownModel(
                LineError(file: file, line: line.lineNumber, problem: Self.unknown(asked, in: line, error)))
        }
        let bundle = try ModelBundle(entry)
        try options.check(bundle.config)
        check = try PromptCheck(bundle, options.engine, now: now)
        var asked = line?.model
        if let other = asked, !Self.isCalled(map[other] ?? other, entry, in: catalogue) { asked = nil }
        shownName = ModelCatalogue.shown(asked ?? name)
        let own = ModelCatalogue.shown(name)
        unnamed = own == shownName ? nil : own
    }

    /// Whether a line may call the model `other`, which may be another name of the same file.
    mutating func isCalled(_ other: String) -> Bool {
        if let verdict = verdicts[other] { return verdict }
        let verdict = Self.isCalled(map[other] ?? other, entry, in: catalogue)
        verdicts[other] = verdict
        return verdict
    }

    private static func isCalled(_ name: String, _ entry: CatalogueEntry, in catalogue: ModelCatalogue) -> Bool {
        (try? catalogue.resolve(name))?.isSameModel(as: entry) ?? false
    }

    /// The model name in the result of a line that asks for `asked`, if it differs from `shownName`.
    func ownName(_ asked: String?) -> String? {
        guard let asked else { return unnamed }
        let own = ModelCatalogue.shown(asked)
        return own == shownName ? nil : own
    }

    private static func unknown(_ asked: String, in line: PromptLine, _ error: ModelLookupError) -> RequestProblem {
        let (complaint, known): (String, String) =
            switch error {
            case .unknown(_, let known, let directory) where known.isEmpty:
                (
                    "is not a model here",
                    "there is none in \(directory): `ttbatch models pull` shows what can be fetched"
                )
            case .unknown(_, let known, _): ("is not a model here", "known: \(known.joined(separator: ", "))")
            case .noFile, .notInHubCache: ("is not a model here", "`ttbatch models` shows those that are")
            case .ambiguous(_, let candidates): ("fits several files", candidates.joined(separator: ", "))
            case .circular, .behind: ("leads to no model", "\(error)")
            }
        let mapping = "\(asked)=NAME".quotedForShell
        return RequestProblem(
            code: .modelNotFound, place: .field(line.fieldPrefix + "model"), value: Excerpt.quoted(asked),
            complaint: complaint,
            remedy: "run it on one that is with --map-model \(mapping) (or models: in the configuration); \(known)")
    }

    /// The problem, reported once, of lines that ask for the model `asked`.
    func mismatch(_ asked: String, in line: PromptLine) -> RequestProblem {
        RequestProblem(
            code: .modelMismatch, place: .field(line.fieldPrefix + "model"), value: Excerpt.quoted(asked),
            complaint: "is not the model of this batch, \"\(name)\"",
            remedy:
                "run it on this one with --map-model \("\(asked)=\(name)".quotedForShell), or put its prompts into a "
                + "file of their own; reported once for all lines that name it")
    }
}
