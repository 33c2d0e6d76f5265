// Models in several GGUF files: any part leads to all of them, and what is wrong with one is named.

import Foundation
import ModelFileBuilders
import RandomModels
import TestSupport
import Testing

@testable import ModelFiles

@Suite struct SplitGGUFTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func name(_ part: Int, of count: Int = 3) -> String { "m-0000\(part)-of-0000\(count).gguf" }

    /// Parts 1 to 3 with a tensor each; `change` is given each part and its index.
    private func writeParts(_ change: (Int, inout GGUFBuilder) -> Void = { _, _ in }) throws {
        for index in 0..<3 {
            var part = GGUFBuilder()
            if index == 0 { part = .llama } else { part.addFloats("blk.0.t\(index).weight", [4], [1, 2, 3, 4]) }
            part.set("split.no", .uint16(UInt16(index)))
            part.set("split.count", .uint16(3))
            part.set("split.tensors.count", .int32(3))
            change(index, &part)
            try folder.write(name(index + 1), part.build())
        }
    }

    @Test func anyPartLeadsToAllOfThem() throws {
        try writeParts()
        for part in 1...3 {
            let bundle = try ModelBundle(path: folder.file(name(part)))
            #expect(
                bundle.weights.tensors.keys.sorted() == ["blk.0.t1.weight", "blk.0.t2.weight", "token_embd.weight"])
            #expect(bundle.config.name == "m" && bundle.config.path == folder.file(name(1)))
            try bundle.weights.checkUnchanged()
        }
    }

    @Test func changesOfEveryPartAreNoticed() throws {
        try writeParts()
        for part in 1...3 {
            let bundle = try ModelBundle(path: folder.file(name(1)))
            #expect(truncate(folder.file(name(part)), 8) == 0)
            let error = #expect(throws: ModelFileError.self) { try bundle.weights.checkUnchanged() }
            #expect(error?.description.contains(name(part)) == true)
            try writeParts()
        }
    }

    @Test func aMissingPartIsNamed() throws {
        try writeParts()
        try FileManager.default.removeItem(atPath: folder.file(name(2)))
        let error = #expect(throws: ModelFileError.self) { try ModelBundle(path: folder.file(name(3))) }
        #expect(error == .missingFile(path: folder.file(name(2)), neededBy: folder.file(name(3))))
        #expect(error?.mayPass == true)
    }

    @Test func partsThatDoNotFitAreNamed() throws {
        let changes: [(String, (Int, inout GGUFBuilder) -> Void)] = [
            ("split.no is 0", { if $0 == 1 { $1.set("split.no", .uint16(0)) } }),
            ("split.no is missing", { if $0 == 2 { $1.set("split.no", nil) } }),
            ("split.count 4", { if $0 == 2 { $1.set("split.count", .uint16(4)) } }),
            ("split.count missing", { if $0 == 1 { $1.set("split.count", nil) } }),
            ("tensor blk.0.t1.weight is in another part", { if $0 == 2 { $1.tensors[0].name = "blk.0.t1.weight" } }),
            ("split.tensors.count is 4", { $1.set("split.tensors.count", .int32($0 == 0 ? 4 : 3)) }),
            ("split.tensors.count", { if $0 == 0 { $1.set("split.tensors.count", nil) } }),
        ]
        for (message, change) in changes {
            try writeParts(change)
            let error = #expect(throws: ModelFileError.self) { try ModelBundle(path: folder.file(name(1))) }
            #expect(error?.description.contains(message) == true, "\(error?.description ?? "") lacks \(message)")
        }
    }

    @Test(arguments: ["model.gguf", "m-00001-of-00002.gguf"])
    func aPartWithAnotherNameIsRefused(name: String) throws {
        try writeParts()
        let path = folder.file(name)
        try FileManager.default.copyItem(atPath: folder.file(self.name(1)), toPath: path)
        let error = #expect(throws: ModelFileError.self) { try ModelBundle(path: path) }
        #expect(error?.description.contains("-of-3.gguf") == true)
    }

    @Test func theRandomModelIsTheSameInParts() throws {
        let model = try #require(
            try RandomModel.names.lazy.map { try RandomModel($0) }.first { $0.container("split") != nil })
        let whole = try ModelBundle(path: try #require(model.gguf))
        let parts = try #require(model.container("split"))
        for file in try FileManager.default.contentsOfDirectory(atPath: parts) {
            let bundle = try ModelBundle(path: parts + "/" + file)
            #expect(try bundle.description() == whole.description())
            #expect(
                bundle.weights.tensors.mapValues { Array($0.bytes) }
                    == whole.weights.tensors.mapValues { Array($0.bytes) })
        }
    }

    @Test(arguments: [
        ("a-00001-of-00003.gguf", SplitName(prefix: "a", index: 0, count: 3)),
        ("/x/a-b-00012-of-00012.gguf", SplitName(prefix: "/x/a-b", index: 11, count: 12)),
        ("a-00000-of-00003.gguf", nil), ("a-00004-of-00003.gguf", nil), ("a-1-of-3.gguf", nil), ("a.gguf", nil),
        ("-00001-of-00003.gguf", nil), ("/-00001-of-00003.gguf", nil), ("a-00001-of-00003.gguf.part", nil),
    ])
    func namesOfParts(name: String, wanted: SplitName?) {
        #expect(SplitName(name) == wanted)
        if let wanted { #expect(wanted.path(ofPart: wanted.index) == name) }
    }
}
