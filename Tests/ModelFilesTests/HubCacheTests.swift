// Models in the cache of the Hugging Face hub, and folders in the catalogue.

import TestSupport
import Testing

@testable import ModelFiles

@Suite struct HubCacheTests {
    private static let commit = "0123456789abcdef0123456789abcdef01234567"
    private let folder: TemporaryFolder
    private let cache: HubCache

    init() throws {
        folder = try TemporaryFolder()
        cache = HubCache(path: folder.file("hub"))
        let model = "hub/models--org--some-model-1.5/"
        try folder.write(model + "refs/main", Self.commit)
        _ = try FolderBuilder.llama.write(to: folder, model + "snapshots/" + Self.commit)
    }

    private var catalogue: ModelCatalogue {
        ModelCatalogue(
            directory: folder.file("models"),
            named: ["mine": "org/some-model-1.5", "other": "org/none"], hub: cache)
    }

    @Test(arguments: [
        (["HF_HUB_CACHE": "/a", "HF_HOME": "/b"], "/a"), (["HUGGINGFACE_HUB_CACHE": "/c", "HF_HOME": "/b"], "/c"),
        (["HF_HOME": "/b", "HF_HUB_CACHE": ""], "/b/hub"), (["XDG_CACHE_HOME": "/d"], "/d/huggingface/hub"),
        (["HOME": "/home/x"], "/home/x/.cache/huggingface/hub"),
        (["HOME": "/home/x", "HF_HOME": "~/y"], "/home/x/y/hub"),
    ])
    func theEnvironmentNamesTheCache(environment: [String: String], path: String) {
        #expect(HubCache(environment: environment).path == path)
    }

    @Test(arguments: [
        ("org/some-model-1.5", true), ("a/b", true), ("org", false), ("a/b/c", false), ("../x", false), ("./x", false),
        ("/x", false), ("a/", false), ("a--b/c", false), ("a/b.gguf", false), ("a/b.git", false), ("a/b c", false),
        ("a/.b", false), ("a/b-", false), ("é/b", false), ("", false),
    ])
    func namesOfTheHub(name: String, isOne: Bool) {
        #expect(HubCache.isModelName(name) == isOne)
    }

    @Test func aModelInTheCacheIsFoundByItsName() throws {
        for name in ["org/some-model-1.5", "mine"] {
            let entry = try catalogue.resolve(name)
            #expect(entry.name == name)
            let bundle = try ModelBundle(path: entry.path)
            #expect(bundle.config.name == "org/some-model-1.5" && bundle.config.path == entry.path)
            _ = try bundle.description()
        }
        #expect(try catalogue.remembered("org/some-model-1.5") == "org/some-model-1.5")
        #expect(ModelCatalogue.shown("org/some-model-1.5") == "org/some-model-1.5")
    }

    @Test func aModelThatTheCacheLacksIsNamedWithTheRemedy() throws {
        let error = #expect(throws: ModelLookupError.self) { try catalogue.resolve("org/none") }
        #expect(error == .notInHubCache(name: "org/none", cache: cache.path))
        #expect(error?.description.contains("hf download org/none") == true)
        #expect(throws: ModelLookupError.self) { try catalogue.resolve("other") }
        #expect(throws: ModelLookupError.noFile(path: "a/b/c")) { try catalogue.resolve("a/b/c") }
    }

    @Test(arguments: ["../../../etc", "", "main", "0123"]) func referencesThatLeadNowhereAreNotFollowed(text: String)
        throws
    {
        try folder.write("hub/models--org--some-model-1.5/refs/main", text)
        #expect(cache.folder(of: "org/some-model-1.5") == nil)
        try folder.write("hub/models--org--some-model-1.5/refs/main", Self.commit + "\n")
        #expect(cache.folder(of: "org/some-model-1.5") != nil)
    }

    @Test func theModelsDirectoryHasFoldersAndSplitFiles() throws {
        _ = try FolderBuilder.llama.write(to: folder, "models/Tiny-Llama")
        _ = try FolderBuilder.llama.writeWithoutWeights(to: folder, "models/weightless")
        for file in ["a.gguf", "big-00001-of-00002.gguf", "big-00002-of-00002.gguf", "part-00002-of-00002.gguf"] {
            try folder.write("models/" + file, "")
        }
        #expect(catalogue.entries.map(\.name) == ["Tiny-Llama", "a", "big", "mine", "other"])
        #expect(try catalogue.resolve("big").path == folder.file("models/big-00001-of-00002.gguf"))
        #expect(try catalogue.resolve("tiny-llama").path == folder.file("models/Tiny-Llama"))
        #expect(try catalogue.resolve(folder.file("models/Tiny-Llama")).path == folder.file("models/Tiny-Llama"))
        #expect(try ModelBundle(path: folder.file("models/Tiny-Llama")).config.name == "Tiny-Llama")
        try folder.write("models/Tiny-Llama.gguf", "")
        let error = #expect(throws: ModelLookupError.self) { try catalogue.resolve("tiny-llama") }
        #expect(error?.description.contains("Tiny-Llama.gguf") == true)
    }

    @Test(arguments: [
        ("/x/big-00001-of-00002.gguf", "big"), ("/srv/Tiny-Llama/", "Tiny-Llama"),
        ("/c/models--org--n/snapshots/abc", "org/n"), ("/c/models--n/snapshots/abc", "abc"),
    ])
    func resultsShowNoPaths(path: String, name: String) {
        #expect(ModelCatalogue.shown(path) == name)
    }
}
