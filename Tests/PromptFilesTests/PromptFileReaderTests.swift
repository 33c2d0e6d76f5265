// Files: line ends, encodings, limits, duplicates, and that none of it depends on how the bytes arrive.

import OpenAIFormats
import PromptFiles
import Testing

@Suite struct PromptFileReaderTests {
    private let mixed =
        "\u{FEFF}{\"prompt\":\"one\"}\r\n\r\n  \t\n{\"prompt\":\"two\",\"custom_id\":\"b\"}\n{bad}\n{\"prompt\":\"é😀\"}"

    @Test(arguments: [1, 2, 3, 4, 5, 7, 8, 13, 16, 31, 64, 100, 1 << 20])
    func givesTheSameLinesForEveryReadSize(_ readSize: Int) throws {
        var options = PromptFileReader.Options()
        options.readSize = readSize
        let (lines, summary) = try read(mixed, options: options)
        #expect(lines.map { $0.valid?.customID ?? $0.invalid?.customID } == ["line-1", "b", "line-5", "line-6"])
        #expect(lines.map { $0.valid?.lineNumber } == [1, 4, nil, 6])
        #expect(lines.last?.valid?.request.prompts[0] == .text("é😀"))
        #expect(
            lines[2].invalid?.errors.map(\.description) == [
                #"prompts.jsonl:5:2: unexpected "b" where a key in double quotes or } should be"#
            ])
        #expect((summary.validLines, summary.invalidLines, summary.blankLines, summary.errors) == (3, 1, 2, 1))
    }

    @Test func readsLinesLongerThanItsBuffer() throws {
        var options = PromptFileReader.Options()
        options.readSize = 64
        let prompts = [10, 1000, 100_000, 50].map { String(repeating: "ab\\n", count: $0) }
        let text = prompts.map { "{\"prompt\":\"\($0)\"}\n" }.joined()
        let (lines, _) = try read(text, options: options)
        let expected = prompts.map {
            RequestBody.Prompt.text($0.split(separator: "\\n").joined(separator: "\n") + "\n")
        }
        #expect(lines.map { $0.valid?.request.prompts[0] } == expected)
    }

    @Test(arguments: [1, 7, 64, 1 << 20]) func refusesLinesOverTheLimit(_ readSize: Int) throws {
        var options = PromptFileReader.Options()
        options.readSize = readSize
        options.lineLimit = 20
        let fits = #"{"prompt":"12345678"}"#.replacing("8", with: "")
        #expect(fits.utf8.count == 20)
        let tooLong = #"{"prompt":"12345678"}"#
        for end in ["", "\n", "\r\n"] {
            let (lines, summary) = try read("\(tooLong)\n\(fits)\r\n\(tooLong)\(tooLong)\(end)", options: options)
            #expect(lines.map { $0.valid?.lineNumber } == [nil, 2, nil])
            #expect(
                lines.first?.invalid?.errors.map(\.description) == [
                    "prompts.jsonl:1: the line has more than 20 bytes; put one request on each line"
                ])
            #expect(summary.invalidLines == 2)
        }
    }

    @Test func arraysAmongLinesAreRefused() throws {
        let complaint =
            "[…] is not a JSON object; JSONL has one object on each line (jq -c '.[]' makes it from an array)"
        let told = try read("[1]\n{\"prompt\":\"x\"}\n[2]\n").lines.compactMap(\.invalid).flatMap(\.errors)
        #expect(told.map(\.description) == ["prompts.jsonl:1: \(complaint)", "prompts.jsonl:3: \(complaint)"])
    }

    @Test func emptyFilesHaveNoLines() throws {
        for text in ["", "\n", "\r\n\n", "\u{FEFF}", " "] {
            #expect(try read(text).lines.isEmpty)
        }
    }

    @Test func namesTheByteThatIsNotUTF8() throws {
        let bytes = Array("{\"prompt\":\"é".utf8) + [0xFF] + Array("\"}\n{\"prompt\":\"x\"}".utf8)
        let (lines, summary) = try read(bytes)
        #expect(
            lines.first?.invalid?.errors.map(\.description) == [
                "prompts.jsonl:1:14: the byte 0xFF is not valid UTF-8; convert the file to UTF-8, e.g. with iconv -f WINDOWS-1252 -t UTF-8"
            ])
        #expect(lines.first?.invalid?.errors.first?.problem.code == .invalidUTF8)
        #expect(summary.validLines == 1)
    }

    @Test func findsDuplicateIDs() throws {
        let text = """
            {"custom_id":"a","prompt":"x"}
            {"custom_id":"line-3","prompt":"x"}
            {"prompt":"x"}
            {"custom_id":"a","prompt":""}
            {"prompt":""}
            {"custom_id":"line-5","prompt":"x"}
            """
        let (lines, _) = try read(text)
        let messages = lines.map { $0.invalid?.errors.map(\.description) ?? [] }
        #expect(messages[0] == [] && messages[1] == [])
        #expect(
            messages[2] == [
                "prompts.jsonl:3: custom_id: \"line-3\" (made from the line's number) is the id of line 2 already; "
                    + "give this line a custom_id"
            ])
        #expect(
            messages[3].last
                == "prompts.jsonl:4: custom_id: \"a\" is the id of line 1 already; make it unique in the file")
        #expect(messages[3].count == 2)
        #expect(messages[5].count == 1)
        let ids = lines.compactMap { $0.valid?.customID ?? $0.invalid?.customID }
        #expect(Set(ids).count == 6, "every line of a file has an id of its own, also the invalid ones")
    }

    @Test func findsTheOnlyDuplicateAmongMany() throws {
        let count = 30_000
        var text = (0..<count).map { "{\"custom_id\":\"\($0)\",\"prompt\":\"x\"}\n" }.joined()
        text += "{\"custom_id\":\"777\",\"prompt\":\"x\"}"
        let (lines, summary) = try read(text)
        #expect(summary.validLines == count)
        #expect(lines.last?.invalid?.errors.first?.problem.complaint == "is the id of line 778 already")
    }

    @Test func stopsAtTheLargestNumberOfErrors() throws {
        var options = PromptFileReader.Options()
        options.maxErrors = 3
        let (lines, summary) = try read(String(repeating: "{\"prompt\":\"\"}\n", count: 10), options: options)
        #expect(lines.count == 3)
        #expect(summary.stoppedAtMaxErrors && summary.errors == 3)
    }

    @Test func limitsTheErrorsOfOneLine() throws {
        let fields = (0..<100).map { "\"unknown\($0)\":1" }.joined(separator: ",")
        #expect(try errors(of: "{\"prompt\":\"x\",\(fields)}").count == 20)
    }

    @Test func survivesDeepNesting() throws {
        for depth in [200, 100_000] {
            let nested = String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
            let message = try #require(errors(of: "{\"prompt\":\(nested)}").first)
            #expect(message.hasSuffix("objects and arrays are nested too deep; nest at most 127 deep"))
        }
        let fits = String(repeating: "[", count: 124) + String(repeating: "]", count: 124)
        #expect(
            try errors(
                of: "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"chat_template_kwargs\":{\"a\":\(fits)}}")
                == [])
    }

    @Test func saysWhyAFileCannotBeRead() throws {
        #expect(throws: PromptFileError.cannotOpen(path: "/no/such/file", reason: "No such file or directory")) {
            try PromptFileReader(path: "/no/such/file")
        }
        let directory = try PromptFileReader(path: "/")
        #expect(throws: PromptFileError.cannotRead(path: "/", line: 0, reason: "Is a directory")) {
            try directory.next()
        }
    }
}
