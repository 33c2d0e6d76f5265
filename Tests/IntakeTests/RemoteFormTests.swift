// The forms in which an enqueue goes over HTTP: its order, its files and its answer.

import Foundation
import StoreContract
import TestSupport
import Testing

@testable import Intake

@Suite struct RemoteFormTests {
    @Test func ordersComeBackAsTheyWere() throws {
        var order = EnqueueOrder(files: ["a b&c=d.jsonl"])
        #expect(try EnqueueOrder(fields: order.fields) == order)
        order.skipsInvalid = true
        order.maxErrors = 7
        order.name = "ünı"
        order.ifNotExists = true
        order.modelMap = ["a=b", "*=c"]
        order.model = "m"
        order.priority = BatchPriority(rawValue: -3)!
        order.deadlineMS = 17
        #expect(try EnqueueOrder(fields: order.fields) == order)
        let several = EnqueueOrder(files: ["a", "b", "a"])
        #expect(try EnqueueOrder(fields: several.fields) == several)
    }

    @Test(arguments: [
        [], [("file", "")], [("file", "a\u{1B}[2J")],
        [("file", "a"), ("why", "b")], [("file", "a"), ("skip_invalid", "1")],
        [("file", "a"), ("max_errors", "0")],
        [("file", "a"), ("max_errors", "1000000000")], [("file", "a"), ("name", "17")], [("file", "a"), ("name", "")],
        [("file", "a"), ("name", "a\nb")], [("file", "a"), ("file", "b"), ("name", "c")],
        [("file", "a"), ("if_not_exists", "true")], [("file", "a"), ("priority", "1001")],
        [("file", "a"), ("deadline_ms", "-1")], [("file", "a"), ("map_model", "x")],
    ])
    func ordersThatCannotBe(_ fields: [(String, String)]) {
        #expect(throws: InvalidOrder.self) { try EnqueueOrder(fields: fields.map { (name: $0.0, value: $0.1) }) }
    }

    /// Wherever the stream is cut into what arrives, its files are the same.
    @Test(arguments: 0..<50)
    func framesHoldFilesWhateverArrives(_ seed: UInt64) {
        var random = SplitMix64(seed: seed)
        let files = (0..<3).map { _ in
            (0..<Int.random(in: 0..<400, using: &random)).map { _ in UInt8.random(in: 0...255, using: &random) }
        }
        var stream: [UInt8] = []
        for file in files {
            var rest = file[...]
            while !rest.isEmpty {
                let piece = rest.prefix(Int.random(in: 1...150, using: &random))
                stream += FileFrames.header(piece.count) + piece
                rest = rest.dropFirst(piece.count)
            }
            stream += FileFrames.header(0)
        }
        var (found, reader): ([[UInt8]], _) = ([[]], FileFrames.Reader())
        var rest = stream[...]
        while !rest.isEmpty {
            var arrived = rest.prefix(Int.random(in: 1...60, using: &random))
            rest = rest.dropFirst(arrived.count)
            while !arrived.isEmpty {
                let (skipped, part) = reader.next(arrived)
                arrived = arrived.dropFirst(skipped)
                switch part {
                case .bytes(let count):
                    found[found.count - 1] += arrived.prefix(count)
                    arrived = arrived.dropFirst(count)
                case .endOfFile: found.append([])
                case nil: #expect(arrived.isEmpty)
                }
            }
        }
        #expect(found == files + [[]])
    }

    @Test func answersKeepTheirErrors() throws {
        let fault = EnqueueError.empty(file: "a")
        let answer = EnqueueAnswer(
            told: [ToldError(fault)], stored: [.existing(BatchID(rawValue: 3))], failure: ToldError(fault, text: "b"))
        let text = try QueueJSON.text(
            ServerFault(.init(message: "b", type: "c"), storeError: .emptyBatch, enqueue: answer))
        let back = try QueueJSON.value(ServerFault.self, of: text)
        #expect(back.enqueue?.told == answer.told && back.enqueue?.stored == answer.stored)
        #expect(back.storeError == .emptyBatch && back.enqueue?.failure?.description == "b")
        #expect(EnqueueError.fault(of: try #require(back.enqueue?.told.first)) == .input)
        #expect(String(decoding: text, as: UTF8.self).contains("\"param\":null"))
    }
}
