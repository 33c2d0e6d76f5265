// A request as Swift values. It is read once to validate a line, and again from the stored bytes to run it.

public import JSONText

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
        /// `chat_template_kwargs`: more variables for the template; an object.
        public var templateArguments: JSONValue?
        /// Whether the prompt ends with the start of an answer. If false, it ends with the last message.
        public var addsGenerationPrompt = true
        /// Whether the answer continues the content of the last message. `addsGenerationPrompt` is false then.
        public var continuesFinalMessage = false
    }

    /// The prompt.
    public var prompt: Prompt
    /// The requested model; never empty.
    public var model: String?
    /// The limit of generated tokens, at least 1; `max_completion_tokens` and `max_tokens` mean the same.
    public var maxTokens: Int?
    /// The number of tokens before which the text does not end: 0 ... maxTokens.
    public var minTokens: Int?
    /// The temperature, 0 (greedy) ... 2.
    public var temperature: Double?
    /// The nucleus probability, above 0 and at most 1.
    public var topP: Double?
    /// The number of tokens to sample from: -1 or 0 for all, else at least 1.
    public var topK: Int?
    /// The seed of the random numbers; equal seeds give equal texts.
    public var seed: Int64?
    /// Strings that end the text; none of them is empty.
    public var stop: [String] = []
    /// Token ids that end the text, each in 0 ..< 2^31.
    public var stopTokenIDs: [Int32] = []
    /// Whether the end-of-sequence token is handled like any other token and does not end the text.
    public var ignoresEOS = false
    /// Whether the result contains `token_ids` and `prompt_token_ids`.
    public var returnsTokenIDs = false

    init(prompt: Prompt) {
        self.prompt = prompt
    }

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
