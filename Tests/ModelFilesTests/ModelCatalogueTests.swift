// Which file a model's name leads to.

import Foundation
import TestSupport
import Testing

@testable import ModelFiles

@Suite struct ModelCatalogueTests {
    let folder: TemporaryFolder
    let catalogue: ModelCatalogue

    init() throws {
        folder = try TemporaryFolder()
        for name in ["SmolLM2.Q4_1.gguf", "Llama-3.Q4_0.gguf", "Llama-3.Q8_0.gguf", "notes.txt"] {
            try folder.write(name, "")
        }
        catalogue = ModelCatalogue(directory: folder.path, named: ["mine": "/x/y.gguf"])
    }

    @Test func namesAreFilesWithoutTheirEndingAndConfiguredOnes() {
        #expect(catalogue.entries.map(\.name) == ["Llama-3.Q4_0", "Llama-3.Q8_0", "SmolLM2.Q4_1", "mine"])
    }

    @Test(arguments: [
        ("SmolLM2.Q4_1", "SmolLM2.Q4_1"), ("smollm2.q4_1", "SmolLM2.Q4_1"), ("SMOLLM2", "SmolLM2.Q4_1"),
        ("llama-3.q8_0", "Llama-3.Q8_0"), ("Mine", "mine"),
    ])
    func namesAndUniqueBeginningsAreFound(name: String, found: String) throws {
        #expect(try catalogue.resolve(name).name == found)
    }

    @Test func anAmbiguousNameNamesItsCandidates() {
        let error = ModelLookupError.ambiguous(name: "llama-3", candidates: ["Llama-3.Q4_0", "Llama-3.Q8_0"])
        #expect(throws: error) { try catalogue.resolve("llama-3") }
    }

    @Test(arguments: ["smol", "llama", "notes", ""])
    func otherNamesAreUnknown(name: String) {
        let error = #expect(throws: ModelLookupError.self) { try catalogue.resolve(name) }
        #expect(error == .unknown(name: name, known: catalogue.entries.map(\.name), directory: folder.path))
        #expect(error?.description.contains("SmolLM2.Q4_1") == true)
    }

    @Test func withoutModelsTheRemedyIsTold() {
        let empty = ModelCatalogue(directory: folder.path + "/none", named: [String: String]())
        let error = #expect(throws: ModelLookupError.self) { try empty.resolve("x") }
        #expect(error?.description.contains("ttbatch models pull") == true)
    }

    @Test func pathsAreTakenAsTheyAre() throws {
        let path = folder.path + "/SmolLM2.Q4_1.gguf"
        #expect(try catalogue.resolve(path) == CatalogueEntry(name: path, path: path))
        #expect(throws: ModelLookupError.noFile(path: "./none.gguf")) { try catalogue.resolve("./none.gguf") }
        #expect(throws: ModelLookupError.noFile(path: "SmolLM2.gguf")) { try catalogue.resolve("SmolLM2.gguf") }
    }

    @Test func pathsAreRememberedAbsolute() throws {
        let here = FileManager.default.currentDirectoryPath
        #expect(try catalogue.remembered("a/../b.gguf") == here + "/b.gguf")
        #expect(try catalogue.remembered("/a/./b.gguf") == "/a/b.gguf")
        #expect(try catalogue.remembered("SmolLM2") == "SmolLM2")
        #expect(try catalogue.remembered("mine") == "mine")
    }

    private func naming(_ names: [String: String]) -> ModelCatalogue {
        ModelCatalogue(directory: folder.path, named: names)
    }

    /// A name of the configuration may stand for another one, also one that looks like a path.
    @Test func namesMayStandForOthers() throws {
        let names = naming([
            "gpt-4o-mini": "smollm2", "gpt": "GPT-4o-mini", "meta-llama/Llama-3": "llama-3.q8_0", "mine": "/x/y.gguf",
            "yours": "mine",
        ])
        for name in ["gpt-4o-mini", "GPT-4O-MINI", "gpt"] {
            #expect(try names.resolve(name).name == "SmolLM2.Q4_1" && names.remembered(name) == "smollm2")
        }
        #expect(try names.resolve("meta-llama/Llama-3").name == "Llama-3.Q8_0")
        #expect(try names.remembered("meta-llama/Llama-3") == "llama-3.q8_0")
        #expect(try names.resolve("yours").path == "/x/y.gguf" && names.remembered("yours") == "mine")
        #expect(names.entries.map(\.name) == catalogue.entries.map(\.name))
        #expect(names.aliases == ["gpt", "gpt-4o-mini", "meta-llama/Llama-3", "yours"])
    }

    /// With settings, a name is a model of its own, even if its files are another's.
    @Test func namesWithSettingsAreModelsOfTheirOwn() throws {
        var short = ModelOptions()
        short.maxModelLen = 64
        let named = ModelCatalogue(
            directory: folder.path,
            named: [
                "short": NamedModel("smollm2", options: short), "brief": NamedModel("short"),
                "far": NamedModel("nowhere", options: short), "plain": NamedModel("/x/y.gguf", options: ModelOptions()),
                "big": NamedModel("/x/big.gguf"), "cut": NamedModel("big", options: short),
                "twice": NamedModel("cut", options: ModelOptions()), "through": NamedModel("brief", options: short),
                "Llama-3.Q4_0": NamedModel("llama-3.q4_0", options: short),
                "round": NamedModel("about", options: short), "about": NamedModel("round", options: short),
            ])
        let entry = CatalogueEntry(name: "short", path: folder.path + "/SmolLM2.Q4_1.gguf", options: short)
        for name in ["short", "SHORT", "brief"] {
            #expect(try named.resolve(name) == entry && named.remembered(name).lowercased() == "short")
        }
        let smollm2 = try named.resolve("smollm2")
        #expect(smollm2.path == entry.path && !smollm2.isSameModel(as: entry))
        #expect(try named.resolve("plain").isSameModel(as: CatalogueEntry(name: "x", path: "/x/y.gguf")))
        // A path may be another name, with settings or without; each model keeps its own.
        for (name, path, options) in [
            ("cut", "/x/big.gguf", short), ("twice", "/x/big.gguf", ModelOptions()), ("through", entry.path, short),
            ("Llama-3.Q4_0", folder.path + "/Llama-3.Q4_0.gguf", short),
        ] {
            let wanted = CatalogueEntry(name: name, path: path, options: options)
            #expect(try named.resolve(name) == wanted)
            // A name that both have is the configuration's.
            #expect(named.entries.filter { $0.name == name } == [wanted])
        }
        #expect(named.aliases == ["brief"])
        let error = #expect(throws: ModelLookupError.self) { try named.resolve("far") }
        #expect(error?.description.hasPrefix("models.far in the configuration: model \"nowhere\" is not known") == true)
        #expect(throws: ModelLookupError.circular(name: "round")) { try named.resolve("round") }
    }

    @Test func namesThatLeadNowhereAreTold() throws {
        let names = naming(["a": "b", "b": "A", "c": "nothing", "self": "self"])
        #expect(throws: ModelLookupError.circular(name: "a")) { try names.resolve("a") }
        #expect(throws: ModelLookupError.circular(name: "self")) { try names.remembered("self") }
        let error = #expect(throws: ModelLookupError.self) { try names.resolve("c") }
        #expect(error?.description.hasPrefix("models.c in the configuration: model \"nothing\" is not known") == true)
    }

    @Test(arguments: [
        ("gpt-4o-mini", "gpt-4o-mini"), ("meta-llama/Llama-3.1-8B", "meta-llama/Llama-3.1-8B"),
        ("/srv/models/Tiny.Q4_1.gguf", "Tiny.Q4_1"), ("./a/b.gguf", "b"), ("a/b.gguf", "b"), ("b.gguf", "b"),
        ("/srv/checkpoint/", "checkpoint"), ("~/x.gguf", "x"), ("", ""), ("/", "/"),
    ])
    func resultsShowNoPaths(asked: String, shown: String) {
        #expect(ModelCatalogue.shown(asked) == shown)
    }
}
