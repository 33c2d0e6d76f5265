// Encodes and decodes texts from standard input with a tokenizer of a file or a folder, for scripts that compare it with
// other software, and measures its speed.
//
//   tokenizer-driver PATH                          reads lines of JSON, writes a line of JSON for each:
//                                                  {"text": …} gives {"ids": […], "parsed": […]}, {"ids": […]} gives {"text": …, "pieces": …}
//   tokenizer-driver PATH --bench FILE [ROUNDS]    encodes a file's text several times; --bench-lines: line by line

import Foundation
import ModelFiles
import Tokenizers

struct Request: Decodable {
    let text: String?
    let ids: [Int32]?
}

struct Encoded: Encodable {
    let ids: [Int32]
    let parsed: [Int32]
    let prompt: [Int32]
}

struct Decoded: Encodable {
    let text: String
    let pieces: String
}

/// A GGUF file, a file of tokens, or a folder with one.
func load(_ path: String) throws -> Tokenizer {
    var url = URL(filePath: path)
    if ["json", "tiktoken"].contains(url.pathExtension) { url.deleteLastPathComponent() }
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: url.path, isDirectory: &isFolder), isFolder.boolValue else {
        return try Tokenizer(GGUFFile(path: path).metadata, preTokenizer: ProcessInfo.processInfo.environment["PRE"])
    }
    func bytes(_ name: String) -> [UInt8]? { (try? Data(contentsOf: url.appending(path: name))).map { Array($0) } }
    let name = URL(filePath: path).lastPathComponent
    let vocabulary: HuggingFaceTokenizerFiles.Vocabulary
    if name.hasSuffix(".tiktoken"), let file = bytes(name) {
        vocabulary = .tiktoken(file, name: name)
    } else if name.hasSuffix(".json"), name.contains("tekken"), let file = bytes(name) {
        vocabulary = .tekken(file)
    } else {
        vocabulary = .tokenizerJSON(bytes(name.hasSuffix(".json") ? name : "tokenizer.json") ?? [])
    }
    return try Tokenizer(
        huggingFace: HuggingFaceTokenizerFiles(
            path: url.path, vocabulary: vocabulary, config: bytes("tokenizer_config.json"),
            specialTokensMap: bytes("special_tokens_map.json")))
}

let arguments = CommandLine.arguments
guard arguments.count > 1 else {
    FileHandle.standardError.write(Data("usage: tokenizer-driver PATH [--bench FILE [ROUNDS]]\n".utf8))
    exit(64)
}
do {
    let start = ContinuousClock.now
    let tokenizer = try load(arguments[1])
    let loaded = ContinuousClock.now - start
    if arguments.count > 3, arguments[2].hasPrefix("--bench") {
        let text = try String(contentsOfFile: arguments[3], encoding: .utf8)
        let isWhole = arguments[2] == "--bench"
        let texts = isWhole ? [text] : text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        var best = Duration.seconds(1000)
        var count = 0
        for _ in 0..<(arguments.count > 4 ? Int(arguments[4]) ?? 5 : 5) {
            let before = ContinuousClock.now
            count = try texts.reduce(0) { try $0 + tokenizer.encode($1, specials: .text).count }
            best = min(best, ContinuousClock.now - before)
        }
        let seconds = Double(best.components.attoseconds) * 1e-18 + Double(best.components.seconds)
        print("loaded \(loaded) ids \(count) best \(seconds) MB/s \(Double(text.utf8.count) / seconds / 1e6)")
        exit(0)
    }
    let encoder = JSONEncoder()
    while let line = readLine() {
        let request = try JSONDecoder().decode(Request.self, from: Data(line.utf8))
        let answer: Data
        if let text = request.text {
            answer = try encoder.encode(
                Encoded(
                    ids: tokenizer.encode(text, specials: .text), parsed: tokenizer.encode(text, specials: .parsed),
                    prompt: tokenizer.encode(prompt: text)))
        } else {
            let ids = request.ids ?? []
            var detokenizer = Detokenizer(tokenizer)
            let pieces = ids.map { detokenizer.push($0) }.joined() + detokenizer.finish()
            answer = try encoder.encode(Decoded(text: tokenizer.decode(ids), pieces: pieces))
        }
        print(String(decoding: answer, as: UTF8.self))
    }
} catch {
    FileHandle.standardError.write(Data("\(error)\n".utf8))
    exit(65)
}
