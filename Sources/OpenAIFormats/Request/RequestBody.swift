// What a request asks for, as Swift values: read once to validate a line, and again from the stored bytes to run it.

/// The body of a completion or chat completion request, valid by construction.
///
/// Every optional field is nil where the request leaves it out or gives null: the model's or the daemon's default holds.
public struct RequestBody: Sendable, Hashable {
    /// What to continue.
    public enum Prompt: Sendable, Hashable {
        case text(String)
        /// Token ids, each in 0 ..< 2^31; at least one.
        case tokens([Int32])
        case chat(Chat)
    }

    /// A conversation for the model's chat template.
    public struct Chat: Sendable, Hashable {
        /// An array of at least one message object, in the order and with the members given. Members that are null or
        /// say nothing (`refusal: null`, `annotations: []`) are left out, except a null `content`.
        public var messages: JSONValue
        /// An array of tool definitions; nil where there are none or `tool_choice` is "none".
        public var tools: JSONValue?
        /// `chat_template_kwargs`: more variables for the template; an object.
        public var templateArguments: JSONValue?
        /// The prompt ends where an answer begins; false where the last message is to be the prompt's end.
        public var addsGenerationPrompt = true
        /// The answer goes on where the last message's content ends. `addsGenerationPrompt` is false then.
        public var continuesFinalMessage = false
    }

    /// What to continue.
    public var prompt: Prompt
    /// The model wanted, never empty.
    public var model: String?
    /// At least 1. `max_completion_tokens` and `max_tokens` are the same thing.
    public var maxTokens: Int?
    /// 0 ... maxTokens.
    public var minTokens: Int?
    /// 0 (greedy) ... 2.
    public var temperature: Double?
    /// Above 0, at most 1.
    public var topP: Double?
    /// -1 or 0: all tokens; otherwise at least 1.
    public var topK: Int?
    /// The random stream's seed; equal seeds give equal texts.
    public var seed: Int64?
    /// Strings that end the text, none of them empty.
    public var stop: [String] = []
    /// Token ids that end the text, each in 0 ..< 2^31.
    public var stopTokenIDs: [Int32] = []
    /// The end-of-sequence token is emitted like any other and generation goes on.
    public var ignoresEOS = false
    /// `token_ids` and `prompt_token_ids` are wanted in the result.
    public var returnsTokenIDs = false

    init(prompt: Prompt) {
        self.prompt = prompt
    }

    /// Reads the body of a request: the bytes of a `PromptLine`, or any other JSON object.
    ///
    /// - Throws: `InvalidRequest` with every problem found; paths start with `body.`.
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
            let fault = JSONSyntaxScanner.fault(in: Array(body))
            throw InvalidRequest(problems: [fault.asProblem])
        }
    }
}

extension JSONSyntaxScanner.Fault {
    package var asProblem: RequestProblem {
        RequestProblem(code: code, place: .column(offset + 1), complaint: problem, remedy: remedy)
    }
}
