// A request as Swift values. It is read once to validate a line, and again from the stored bytes to run it.

public import JSONText
public import Sampling

/// The body of a completion or chat completion request, valid by construction.
///
/// An optional field is nil if the request leaves it out or gives null. Then the default of the model or the daemon
/// applies.
public struct RequestBody: Sendable, Hashable {
    /// The prompt, in one of its forms.
    public enum Prompt: Sendable, Hashable {
        case text(String)
        /// Token ids, each in 0 ..< 2^31; at least one.
        case tokens([Int32])
        case chat(Chat)
    }

    /// A conversation for the model's chat template.
    public struct Chat: Sendable, Hashable {
        /// An array of at least one message object, in the order and with the members of the request. Members that are
        /// null or have no effect (`refusal: null`, `annotations: []`) are left out, except a null `content`.
        public var messages: JSONValue
        /// An array of tool definitions; nil if there are none or `tool_choice` is "none".
        public var tools: JSONValue?
        /// `chat_template_kwargs`: more variables for the template; an object. `reasoning_effort` is one of them.
        public var templateArguments: JSONValue?
        /// Texts that the answer may draw on: an array of at least one object whose members are strings; nil for none.
        public var documents: JSONValue?
        /// The template to use instead of the model's.
        public var template: String?
        /// Whether the prompt ends with the start of an answer. If false, it ends with the last message.
        public var addsGenerationPrompt = true
        /// Whether the answer continues the content of the last message. `addsGenerationPrompt` is false then.
        public var continuesFinalMessage = false
    }

    /// How a prompt that is too long is cut.
    public struct Truncation: Sendable, Hashable {
        /// Most tokens of the prompt; nil for as many as leave room for one generated token.
        public var most: Int?
        /// Whether the prompt's end is cut off; else its beginning.
        public var cutsEnd = false
    }

    /// What changes tokens' logits before one is chosen.
    public struct Shaping: Sendable, Hashable {
        /// -2 ... 2.
        public var presencePenalty: Double?
        /// -2 ... 2.
        public var frequencyPenalty: Double?
        /// Above 0.
        public var repetitionPenalty: Double?
        /// What is added to the logits of token ids: -100 ... 100.
        public var logitBias: [Int32: Double] = [:]
        /// The only token ids that may be chosen; not empty.
        public var allowedTokenIDs: [Int32]?
        /// Words that the text never contains; none of them is empty.
        public var badWords: [String] = []
    }

    /// The logprobs that are wanted of each token.
    public struct Logprobs: Sendable, Hashable {
        /// The number of most probable tokens: 0 ... 20.
        public var top: Int
        /// Token ids that are always among them.
        public var tokens: [Int32] = []
    }

    /// What the text must be.
    public struct Structure: Sendable, Hashable {
        /// The grammar.
        public var source: GrammarSource
        /// The field that has it: `response_format.json_schema.schema`.
        public var path: String
    }

    /// Texts whose probabilities are wanted, in place of a generated one.
    public struct Scoring: Sendable, Hashable {
        /// The texts, each of them once; none is empty.
        public var texts: [String]
        /// Whether one of them is the answer, so that their probabilities make 1.
        public var classifies: Bool
    }

    /// The prompts; one, or several of a completion.
    public var prompts: [Prompt]
    /// The requested model; never empty.
    public var model: String?
    /// The limit of generated tokens; 0 if only logprobs of the prompt are wanted. `max_completion_tokens` and `max_tokens` mean the same.
    public var maxTokens: Int?
    /// The number of tokens before which the text does not end: 0 ... maxTokens.
    public var minTokens: Int?
    /// The temperature, 0 (greedy) ... 2.
    public var temperature: Double?
    /// The nucleus probability, above 0 and at most 1.
    public var topP: Double?
    /// The number of tokens to sample from: -1 or 0 for all, else at least 1.
    public var topK: Int?
    /// The probability of a token relative to that of the most probable one, from which on it may be chosen: 0 ... 1.
    public var minP: Double?
    /// The probability mass of typical tokens: above 0 and at most 1.
    public var typicalP: Double?
    /// What changes logits.
    public var shaping = Shaping()
    /// The seed of the random numbers; equal seeds give equal texts. Choice *i* of a prompt draws with the seed + *i*.
    public var seed: Int64?
    /// Strings that end the text; none of them is empty.
    public var stop: [String] = []
    /// Token ids that end the text, each in 0 ..< 2^31.
    public var stopTokenIDs: [Int32] = []
    /// Whether the end-of-sequence token is handled like any other token and does not end the text.
    public var ignoresEOS = false
    /// When a text ends because it repeats itself; nil for never.
    public var repetition: RepetitionLimit?
    /// Which tools the text must call. Unless it is `auto`, `structure` sees to that.
    public var toolChoice = ToolChoice.auto
    /// Whether an answer may have more than one call.
    public var allowsParallelCalls = true
    /// Whether the model's reasoning is part of the result.
    public var includesReasoning = true
    /// Whether the probability of each value of a JSON text is wanted.
    public var wantsConfidence = false
    /// The texts that are scored behind the prompt; nil if a text is generated.
    public var scoring: Scoring?
    /// What the text must be; nil for anything.
    public var structure: Structure?
    /// Whether the result contains `token_ids` and `prompt_token_ids`.
    public var returnsTokenIDs = false
    /// The number of texts for each prompt: 1 ... 128.
    public var choices = 1
    /// The number of texts that are generated for each prompt, of which the most probable are returned; at least
    /// `choices`.
    public var bestOf: Int?
    /// The logprobs that are wanted of generated tokens, and with `echo` also of the prompt's.
    public var logprobs: Logprobs?
    /// The number of most probable tokens that are wanted at each token of the prompt: 0 ... 20.
    public var promptLogprobs: Int?
    /// Whether logprobs name tokens by their ids: `token_id:123`.
    public var namesTokensByID = false
    /// Whether the text begins with the prompt.
    public var echoes = false
    /// Whether the stop string or stop token that ends the text is part of it.
    public var includesStop = false
    /// Whether control tokens are left out of the text.
    public var skipsSpecialTokens = true
    /// Whether the tokenizer adds the tokens that begin and end a prompt; nil: to completions, not to chats, whose
    /// templates write them.
    public var addsSpecialTokens: Bool?
    /// How a prompt that is too long is cut; nil: not at all.
    public var truncation: Truncation?
    /// Whether the request and its answer are to be kept, as those of batches always are.
    public var asksToBeStored = false
    /// Whether the answer was to be streamed, which has no effect in a batch.
    public var asksForStream = false
    /// Whether a stream ends with the usage.
    public var streamsUsage = false

    init(prompt: Prompt) { prompts = [prompt] }

    /// Reads the body of a request: the bytes of a `PromptLine`, or any other JSON object.
    ///
    /// - Throws: `InvalidRequest` with every problem; paths start with `body.`.
    public static func parse(_ body: some Collection<UInt8>, endpoint: Endpoint) throws(InvalidRequest) -> RequestBody {
        do {
            return try JSONParser().withDocument(of: body) { root in
                var reader = BodyReader(endpoint: endpoint, prefix: "body.")
                guard let request = reader.read(root) else {
                    throw InvalidRequest(problems: reader.problems.found)
                }
                return request
            }
        } catch let error as InvalidRequest {
            throw error
        } catch {
            let fault = JSONSyntaxScanner.fault(in: Array(body), of: .text)
            throw InvalidRequest(problems: [fault.asProblem])
        }
    }
}

extension JSONSyntaxScanner.Fault {
    package var asProblem: RequestProblem {
        let code: RequestProblem.Code =
            switch kind {
            case .notJSON: .invalidJSON
            case .notUTF8: .invalidUTF8
            }
        return RequestProblem(code: code, place: .column(offset + 1), complaint: problem, remedy: remedy)
    }
}
