// What the files of a model folder must say, the errors where they do not, and what the files beside tokenizer.json add.

import Jinja
import ModelFiles
import Testing

@testable import Tokenizers

struct HuggingFaceLoadingTests {
    /// A tokenizer.json of three letters, with these members in place of its own.
    private func file(_ members: [String: String] = [:], model: [String: String] = [:]) -> String {
        var parts = [
            "version": #""1.0""#,
            "added_tokens":
                #"[{"id": 5, "content": "<s>", "special": true}, {"id": 6, "content": "</s>", "special": true}]"#,
        ]
        var modelParts = [
            "type": #""BPE""#, "vocab": #"{"a": 0, "b": 1, "c": 2, "ab": 3, "é": 4}"#, "merges": #"["a b"]"#,
        ]
        for (key, value) in model { modelParts[key] = value }
        parts["model"] = object(modelParts)
        for (key, value) in members { parts[key] = value }
        return object(parts)
    }

    private func object(_ members: [String: String]) -> String {
        "{" + members.sorted { $0.key < $1.key }.map { "\"\($0)\": \($1)" }.joined(separator: ", ") + "}"
    }

    private func load(
        _ text: String, _ change: (inout HuggingFaceTokenizerFiles) -> Void = { _ in }
    ) throws -> Tokenizer {
        var files = HuggingFaceTokenizerFiles(path: "folder", vocabulary: .tokenizerJSON(Array(text.utf8)))
        change(&files)
        return try Tokenizer(huggingFace: files)
    }

    private func message(_ body: () throws -> Tokenizer) -> String {
        #expect(throws: TokenizerError.self) { _ = try body() }?.description ?? ""
    }

    @Test func readsTheSmallest() throws {
        let tokenizer = try load(file())
        #expect(try tokenizer.encode("abc<s>é", specials: .parsed) == [3, 2, 5, 4])
        #expect(try tokenizer.encode("<s>", specials: .text) == [])
        #expect(tokenizer.vocabularySize == 7 && tokenizer.isControl(5) && !tokenizer.isControl(0))
    }

    @Test(arguments: [
        (
            "normalizer", #"{"type": "BertNormalizer"}"#,
            "normalizer: the normaliser BertNormalizer, which WordPiece models use"
        ),
        (
            "normalizer", #"{"type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": "Precompiled"}]}"#,
            "normalizer.normalizers[1]: the normaliser Precompiled"
        ),
        ("normalizer", #"{"type": "New"}"#, "normalizer: the normaliser New is not known"),
        (
            "normalizer", #"{"type": "Replace", "pattern": {"Regex": "(?<a>b)\\k<a>"}, "content": ""}"#,
            "normalizer.pattern.Regex: the regular expression cannot be used: the escape \\k"
        ),
        (
            "normalizer", #"{"type": "Replace", "pattern": {"String": ""}, "content": ""}"#,
            "normalizer.pattern.String: is empty"
        ),
        (
            "pre_tokenizer",
            #"{"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": true}, {"type": "Unheard"}]}"#,
            "pre_tokenizer.pretokenizers[1]: the pre-tokeniser Unheard is not known"
        ),
        (
            "pre_tokenizer",
            #"{"type": "Split", "pattern": {"Regex": "\\X"}, "behavior": "Isolated", "invert": false}"#,
            "the escape \\X"
        ),
        (
            "pre_tokenizer", #"{"type": "Split", "pattern": {"Regex": "("}, "behavior": "Isolated", "invert": false}"#,
            "a group without end"
        ),
        (
            "pre_tokenizer", #"{"type": "Split", "pattern": {"Regex": "a"}, "behavior": "Cut", "invert": false}"#,
            "pre_tokenizer.behavior: the behavior Cut is not known"
        ),
        ("pre_tokenizer", #"{"type": "Metaspace", "replacement": "ab"}"#, "replacement is not one character"),
        ("pre_tokenizer", #"{"type": "ByteLevel"}"#, "pre_tokenizer: add_prefix_space is missing"),
        ("pre_tokenizer", #"{"type": "FixedLength", "length": 0}"#, "length is 0"),
        ("pre_tokenizer", "[]", "pre_tokenizer: type is missing"),
        ("post_processor", #"{"type": "Other"}"#, "post_processor: the post-processor Other is not known"),
        (
            "post_processor", #"{"type": "BertProcessing", "cls": ["<s>", 99], "sep": ["</s>", 6]}"#,
            "post_processor.cls[1]: is not a number from 0 to 6"
        ),
        (
            "post_processor",
            #"{"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>"}}], "special_tokens": {}}"#,
            "the special token <s> is not listed"
        ),
        ("post_processor", #"{"type": "TemplateProcessing", "single": []}"#, "the text itself is missing"),
        ("decoder", #"{"type": "WordPiece"}"#, "decoder: the decoder WordPiece is not supported"),
        (
            "decoder", #"{"type": "Sequence", "decoders": [{"type": "Fuse"}, {"type": "CTC"}]}"#,
            "decoder.decoders[1]: the decoder CTC is not supported"
        ),
        (
            "decoder", #"{"type": "Sequence", "decoders": [{"type": "Fuse"}, {"type": "ByteFallback"}]}"#,
            "the decoder ByteFallback of a whole text"
        ),
        (
            "decoder", #"{"type": "Strip", "content": " ", "start": 0, "stop": 1}"#,
            "the decoder Strip at the end of a text"
        ),
        (
            "model", #"{"type": "Unigram", "vocab": []}"#,
            "model: the model Unigram is not supported; supported are BPE and WordLevel"
        ),
        ("model", #"{"type": "WordPiece", "vocab": {}}"#, "model: the model WordPiece is not supported"),
        ("model", #"{"type": "Cloud", "vocab": {}}"#, "model: the model Cloud is not known"),
        ("model", "null", "model is missing"),
        ("version", #""2.0""#, "has the version 2.0"),
        (
            "added_tokens", #"[{"id": 3, "content": "<x>", "special": true}]"#,
            "added_tokens[0]: has the id 3 of another token"
        ),
        ("added_tokens", #"[{"id": 2000000000, "content": "<x>"}]"#, "added_tokens[0].id: is not a number from 0 to"),
        ("added_tokens", #"[{"id": -1, "content": "<x>"}]"#, "added_tokens[0].id"),
        ("added_tokens", #"[{"id": 7}]"#, "added_tokens[0]: content is missing"),
    ])
    func refusesByTypeAndPlace(_ member: String, _ value: String, _ reason: String) throws {
        let message = message { try load(file([member: value])) }
        #expect(message.hasPrefix("folder/tokenizer.json: ") && message.contains(reason), "\(message)")
    }

    @Test(arguments: [
        ("vocab", #"{"a": 0, "b": 0}"#, "two tokens have the id 0"),
        ("vocab", #"{"a": -1}"#, #"the id of the token "a""#),
        ("vocab", #"{"a": 1.5}"#, #"the id of the token "a""#),
        ("vocab", #"{"a": 1000000000}"#, "model.vocab: has the id 1000000000, but only 1 tokens"),
        ("vocab", "{}", "model.vocab: has no tokens"),
        ("vocab", "[]", "model.vocab: is not an object"),
        ("merges", #"["a z"]"#, #"model.merges[0]: the token "z" is not in the vocabulary"#),
        ("merges", #"["a b", ["b", "c"]]"#, #"model.merges[1]: the token "bc" is not in the vocabulary"#),
        ("merges", #"["a"]"#, "model.merges[0]: is not two tokens"),
        ("merges", #"["a b c"]"#, "model.merges[0]: is not two tokens"),
        ("merges", #"[["a", "b", "c"]]"#, "model.merges[0]: is not two tokens"),
        ("merges", #"[7]"#, "model.merges[0]: is not two tokens"),
        ("merges", "null", "model: merges is missing"),
        ("dropout", "0.1", "model.dropout: dropout, which makes tokens at random, is not supported"),
        ("byte_fallback", "1", "model.byte_fallback: is not true or false"),
        ("unk_token", "1", "model.unk_token: is not a string"),
    ])
    func refusesModels(_ member: String, _ value: String, _ reason: String) throws {
        let message = message { try load(file(model: [member: value])) }
        #expect(message.contains(reason), "\(message)")
    }

    @Test(arguments: [
        ("", "line 1"), ("{", "line 1"), ("[]", "is not a JSON object"), ("{\n\"a\": tru}", "line 2, byte"),
        (String(repeating: "[", count: 300) + String(repeating: "]", count: 300), "nested more than"),
        ("\"\u{0}", "line 1"),
    ])
    func refusesWhatIsNoJSON(_ text: String, _ reason: String) throws {
        let message = message { try load(text) }
        #expect(message.hasPrefix("folder/tokenizer.json: ") && message.contains(reason), "\(message)")
    }

    @Test func spellingsThatLookAlikeAreTwoTokens() throws {
        // U+00E9, and e with U+0301: the same for a Swift String.
        let tokenizer = try load(
            file(model: [
                "vocab": #"{"a": 0, "b": 1, "ab": 2, "\u00e9": 3, "e": 4, "\u0301": 5, "e\u0301": 6}"#,
                "merges": #"["a b", "e \u0301"]"#, "type": #""BPE""#,
            ]).replacing("\"id\": 5", with: "\"id\": 7").replacing("\"id\": 6", with: "\"id\": 8"))
        #expect(try tokenizer.encode("\u{E9}", specials: .text) == [3])
        #expect(try tokenizer.encode("e\u{301}", specials: .text) == [6])
    }

    // MARK: The files beside it

    @Test func namedTokensComeFromTheConfiguration() throws {
        let tokenizer = try load(file()) {
            $0.specialTokensMap = Array(#"{"bos_token": "</s>", "pad_token": {"content": "a"}}"#.utf8)
            $0.config = Array(
                #"{"bos_token": {"content": "<s>"}, "eos_token": "</s>", "unk_token": null, "pad_token": "a"}"#.utf8)
        }
        #expect(tokenizer.markers.bos == 5 && tokenizer.markers.eos == 6 && tokenizer.markers.padding == 0)
        #expect(tokenizer.markers.unknown == nil && !tokenizer.markers.addsBOS)
        #expect(tokenizer.endOfGenerationTokens == [6])
        #expect(try tokenizer.encode(prompt: "ab") == [3])
        let mapped = try load(file()) { $0.specialTokensMap = Array(#"{"bos_token": "<s>"}"#.utf8) }
        #expect(mapped.markers.bos == 5)
    }

    @Test func thePostProcessorFramesPrompts() throws {
        let template =
            #"{"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}], "pair": [], "special_tokens": {"<s>": {"id": "<s>", "ids": [5], "tokens": ["<s>"]}}}"#
        let config = #"{"bos_token": "<s>", "eos_token": "</s>""#
        let tokenizer = try load(file(["post_processor": template])) { $0.config = Array((config + "}").utf8) }
        #expect(try tokenizer.encode(prompt: "ab") == [5, 3] && tokenizer.markers.addsBOS)
        #expect(try tokenizer.encode(prompt: "<s>ab") == [5, 3])
        // As transformers 5: what the configuration says replaces it.
        let without = try load(file(["post_processor": template])) {
            $0.config = Array((config + #", "add_bos_token": false}"#).utf8)
        }
        #expect(try without.encode(prompt: "ab") == [3] && !without.markers.addsBOS)
        let both = try load(file()) {
            $0.config = Array((config + #", "add_bos_token": true, "add_eos_token": true}"#).utf8)
        }
        #expect(try both.encode(prompt: "ab") == [5, 3, 6] && both.markers.addsEOS)
    }

    @Test(arguments: [([4], [4, 6]), ([0, 2], [0, 2, 6]), ([], [6])] as [([Int], Set<Int32>)])
    func generationEndsWhereTheFolderSays(_ ids: [Int], _ expected: Set<Int32>) throws {
        let tokenizer = try load(file()) {
            $0.config = Array(#"{"eos_token": "</s>"}"#.utf8)
            $0.endTokens = ids
        }
        #expect(tokenizer.endOfGenerationTokens == expected)
    }

    @Test func theConfigurationOverridesFlags() throws {
        let tokenizer = try load(file()) {
            $0.config = Array(
                #"{"added_tokens_decoder": {"5": {"content": "<s>", "special": true, "rstrip": true, "normalized": false}, "7": {"content": "<t>", "special": false}}}"#
                    .utf8)
        }
        #expect(try tokenizer.encode("<s>  ab<t>", specials: .parsed) == [5, 3, 7])
        #expect(try tokenizer.encode("<t>", specials: .text) == [7])
    }

    @Test(arguments: [
        (
            #"{"added_tokens_decoder": {"x": {"content": "<t>"}}}"#,
            "tokenizer_config.json: added_tokens_decoder.x: is not the id"
        ),
        (#"{"added_tokens_decoder": {"99999999": {"content": "<t>"}}}"#, "far beyond the last token"),
        (#"{"bos_token": 1}"#, "tokenizer_config.json: bos_token: is not a string"),
        ("{", "tokenizer_config.json: line 1"),
    ])
    func refusesConfigurations(_ config: String, _ reason: String) throws {
        let message = message { try load(file()) { $0.config = Array(config.utf8) } }
        #expect(message.contains("folder/") && message.contains(reason), "\(message)")
    }

    @Test(arguments: [7, -1])
    func refusesEndsOfGenerationThatAreNoTokens(_ id: Int) throws {
        let message = message { try load(file()) { $0.endTokens = [1, id] } }
        #expect(message.contains("folder: eos_token_id: the token \(id) of generation_config.json or config.json"))
    }

    @Test func refusesToAddTokensThatAreNone() throws {
        for name in ["bos", "eos"] {
            let message = message {
                try load(file()) { $0.config = Array(#"{"add_\#(name)_token": true, "\#(name)_token": "<x>"}"#.utf8) }
            }
            #expect(message.contains("folder/tokenizer_config.json: add_\(name)_token: is true, but there is no"))
        }
    }

    @Test func refusesAPreTokenizer() throws {
        let files = HuggingFaceTokenizerFiles(path: "folder", vocabulary: .tokenizerJSON(Array(file().utf8)))
        #expect(message { try Tokenizer(.huggingFace(files), preTokenizer: "qwen2") }.contains("remove tokenizer.pre"))
    }

    @Test func aTableIsNotMuchLargerThanItsFile() throws {
        // Each id would be near enough, if the tokens before it counted as the file's.
        let tokens = (0..<12).map { #""\#(140_000 << $0)": {"content": "<\#($0)>"}"# }.joined(separator: ",")
        let message = message {
            try load(file()) { $0.config = Array(#"{"added_tokens_decoder": {\#(tokens)}}"#.utf8) }
        }
        #expect(message.contains("far beyond the last token"))
    }

    // MARK: Templates

    private func rendered(_ change: (inout HuggingFaceTokenizerFiles) -> Void, tools: JinjaValue? = nil) throws
        -> String
    {
        var files = HuggingFaceTokenizerFiles(path: "folder", vocabulary: .tokenizerJSON(Array(file().utf8)))
        files.config = Array(#"{"bos_token": "<s>"}"#.utf8)
        change(&files)
        let tokenizer = try Tokenizer(huggingFace: files)
        let template = try ChatTemplate(huggingFace: files, tokenizer: tokenizer)
        return try template.render(messages: [], tools: tools, now: WallClockTime(secondsSinceEpoch: 0))
            .segments.map(\.text).joined()
    }

    @Test func templatesAreFoundWhereTransformersFindsThem() throws {
        let config = #"{"bos_token": "<s>", "chat_template": "config {{ bos_token }}"}"#
        let list =
            #"{"chat_template": [{"name": "default", "template": "one"}, {"name": "tool_use", "template": "two"}, {"name": "rag", "template": "{% if"}]}"#
        #expect(try rendered { $0.config = Array(config.utf8) } == "config <s>")
        #expect(try rendered { $0.config = Array(list.utf8) } == "one")
        #expect(try rendered({ $0.config = Array(list.utf8) }, tools: ["x"]) == "two")
        #expect(
            try rendered {
                $0.config = Array(config.utf8)
                $0.chatTemplate = Array("file {{ bos_token }}".utf8)
            } == "file <s>")
        #expect(
            try rendered(
                {
                    $0.chatTemplate = Array("file".utf8)
                    $0.namedChatTemplates = ["tool_use": Array("tools".utf8)]
                }, tools: ["x"]) == "tools")
        let missing = #expect(throws: TokenizerError.self) { try rendered { _ in } }
        #expect(missing?.description.contains("folder: the model has no chat template") == true)
    }
}
