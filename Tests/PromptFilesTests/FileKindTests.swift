// Files that are not JSONL: reported once, with the command that converts them; and lines that only look like such a
// file.

import OpenAIFormats
import PromptFiles
import Testing

@Suite struct FileKindTests {
    /// What is said of a file as a whole; nil where it has lines, good or bad.
    private func verdict(_ bytes: some Collection<UInt8>, readSize: Int = 1 << 20) throws -> String? {
        var options = PromptFileReader.Options()
        options.readSize = readSize
        do {
            _ = try read(bytes, options: options)
            return nil
        } catch let error as PromptFileError {
            return error.description
        }
    }

    private static let csv =
        #"python3 -c 'import csv, json, sys; sys.stdin.reconfigure(encoding="utf-8-sig", newline=""); [print(json.dumps(row)) for row in csv.DictReader(sys.stdin"#

    static let kinds: [(text: String, complaint: String, command: String)] = [
        ("[\n  {\"prompt\": \"x\"}\n]\n", "is a JSON array", "jq -c '.[]' <"),
        ("[{\"prompt\":\"x\"},\n{\"prompt\":\"y\"}]", "is a JSON array", "jq -c '.[]' <"),
        ("[{\"prompt\":\"x\"},{\"prompt\":\"y\"}]\n\n", "is a JSON array", "jq -c '.[]' <"),
        ("\n\n [\n", "is a JSON array", "jq -c '.[]' <"),
        ("{\n  \"prompt\": \"x\"\n}\n", "has JSON objects over several lines", "jq -c . <"),
        ("{\"custom_id\": \"a\",\n \"prompt\": \"x\"}\n", "has JSON objects over several lines", "jq -c . <"),
        ("\"one\"\n\"two\"\n", "has JSON strings", "jq -c '{prompt: .}' <"),
        ("custom_id,prompt\na,hello\n", "is a table (CSV)", csv + ")]' <"),
        ("\u{FEFF}\"custom_id\";\"prompt\"\r\n\"a\";\"b\"\r\n", "is a table (CSV)", csv + ", delimiter=\";\")]' <"),
        ("id\tprompt\n1\tx\n", "is a table (TSV)", csv + ", delimiter=\"\\t\")]' <"),
        ("What is the capital of France?\nTell me a joke\n", "is text", "jq -cR 'select(. != \"\") | {prompt: .}' <"),
        ("Hello, world\n", "is text", "jq -cR"), ("nonsense", "is text", "jq -cR"),
        ("3 apples\n4 pears\n", "is text", "jq -cR"),
        ("[INST] Hello [/INST]\nx\n", "is text", "jq -cR"), ("\"Yes\", she said.\n\nAnd went.\n", "is text", "jq -cR"),
        ("¿Qué?\n", "is text", "jq -cR"), ("- one\n- two\n", "is text", "jq -cR"),
    ]

    @Test(arguments: kinds, [1, 1 << 20])
    func textsOfAnotherKindAreToldOnce(_ kind: (text: String, complaint: String, command: String), readSize: Int) throws
    {
        let verdict = try #require(try verdict(Array(kind.text.utf8), readSize: readSize))
        #expect(verdict.hasPrefix("prompts.jsonl: \(kind.complaint)"), "\(verdict)")
        #expect(verdict.contains("Convert it: \(kind.command)"), "\(verdict)")
        #expect(verdict.hasSuffix(" < prompts.jsonl | ttbatch enqueue -"), "\(verdict)")
    }

    static let magic: [(bytes: [UInt8], complaint: String, command: String)] = [
        ([0xFF, 0xFE, 0x7B, 0], "is UTF-16", "iconv -f UTF-16 -t"),
        ([0xFE, 0xFF, 0, 0x7B], "is UTF-16", "iconv -f UTF-16 -t"),
        ([0x7B, 0, 0x22, 0, 0x70, 0], "is UTF-16", "iconv -f UTF-16LE"),
        ([0, 0x7B, 0, 0x22, 0, 0x70], "is UTF-16", "iconv -f UTF-16BE"),
        ([0xFF, 0xFE, 0, 0, 0x7B, 0, 0, 0], "is UTF-32", "iconv -f UTF-32 -t"),
        ([0x7B, 0, 0, 0], "is UTF-32", "iconv -f UTF-32LE"), ([0, 0, 0, 0x7B], "is UTF-32", "iconv -f UTF-32BE"),
        (Array("BZh91AY".utf8), "is packed (bzip2)", "bzcat"),
        ([0xFD, 0x37, 0x7A, 0x58, 0x5A, 0, 0], "is packed (xz)", "xzcat"),
        ([0x04, 0x22, 0x4D, 0x18, 0x64], "is packed (lz4)", "lz4cat"),
        ([0x50, 0x4B, 3, 4, 20], "is packed (zip)", "funzip"),
        ([UInt8](repeating: 97, count: 257) + Array("ustar".utf8), "is packed (tar)", "tar -xOf -"),
        (Array("GGUF".utf8) + [3, 0, 0, 0, 1], "is no text file", ""),
    ]

    @Test(arguments: magic, [1, 1 << 20])
    func bytesTellOtherFiles(_ kind: (bytes: [UInt8], complaint: String, command: String), readSize: Int) throws {
        let verdict = try #require(try verdict(kind.bytes, readSize: readSize))
        #expect(verdict.hasPrefix("prompts.jsonl: \(kind.complaint)") && verdict.contains(kind.command), "\(verdict)")
    }

    /// One wrong line does not make a file of another kind, and neither does a later one.
    @Test(arguments: [
        "hello\n{\"prompt\":\"x\"}\n", "hello\n\n\n{\"prompt\":\"x\"}\n", "a,b\n{\"prompt\":\"x\"}\n",
        "{\"prompt\":\n{\"prompt\":\"x\"}\n", "{\"prompt\":", "\"x\"\n{\"prompt\":\"x\"}\n", "[1]\n[2]\n", "42\n",
        "{\"prompt\":\"x\"}\nhello\n[\n", "{bad}\nhello\n", "{\"prompt\":\"a\0b\"}\n", "{\"prompt\":\"x\"}", "", "\n",
    ])
    func aWrongLineIsALine(text: String) throws {
        #expect(try verdict(Array(text.utf8)) == nil)
    }

    /// Looking ahead changes no line's number and loses no line.
    @Test func linesAfterTheFirstKeepTheirNumbers() throws {
        let (lines, summary) = try read("hello\n\n \n{\"prompt\":\"x\"}\n\nworld\n")
        #expect(lines.map { $0.valid?.lineNumber ?? $0.invalid?.lineNumber } == [1, 4, 6])
        #expect(summary.blankLines == 3)
        let told = lines.compactMap(\.invalid).flatMap(\.errors).map(\.description)
        let text = "the line is text, not a JSON object; write it as {\"prompt\": …}"
        #expect(told == ["prompts.jsonl:1: \(text)", "prompts.jsonl:6: \(text)"])
    }

    @Test func namesAreQuotedForTheShell() throws {
        #expect("a/b-c_1.jsonl".quotedForShell == "a/b-c_1.jsonl")
        #expect("my prompts.jsonl".quotedForShell == "'my prompts.jsonl'")
        #expect("it's".quotedForShell == #"'it'\''s'"# && "".quotedForShell == "''" && "$x".quotedForShell == "'$x'")
    }
}
