// Reads the JSON of a body into a `RequestBody`, or reports every problem in it. It is the only reader: both the
// validation of a file and the run of a stored job use it.

import JSONText

/// Reads one body. The body is valid if `problems` is empty afterwards.
struct BodyReader {
    let endpoint: Endpoint
    /// The prefix of field names in paths: "body." in a batch request, empty in the short form.
    let prefix: String
    var problems = ProblemCollector()

    private var seen: UInt128 = 0
    var request = RequestBody(prompt: .text(""))
    /// The fields about logprobs, which depend on each other.
    var logprobs = LogprobFields()
    private var truncationSide: String?
    private var reasoningEffort: String?
    private var prompts: [RequestBody.Prompt]?
    private var chat = RequestBody.Chat(messages: [])
    private var hasPrompt = false
    /// Fields of the other endpoint with values that have an effect.
    private var foreignFields: [BodyField] = []
    /// Fields with a value other than null.
    private var given: [(field: BodyField, value: JSONNode)] = []
    /// Which calls are wanted.
    var toolChoice = RequestBody.ToolChoice.auto
    var offersTools = true
    private var addsGenerationPrompt: Bool?
    private var maxCompletionTokens: Int?

    init(endpoint: Endpoint, prefix: String, problems: ProblemCollector = ProblemCollector()) {
        self.endpoint = endpoint
        self.prefix = prefix
        self.problems = problems
    }

    /// Reads `root` without the member `excluded` (the short form's `custom_id`). Returns nil if there are problems.
    mutating func read(_ root: JSONNode, without excluded: StaticString? = nil) -> RequestBody? {
        guard root.kind == .object else {
            problems.addType(prefix.isEmpty ? "body" : String(prefix.dropLast()), root, wanted: "an object")
            return nil
        }
        for (key, value) in root.members {
            if let excluded, key.isString(excluded) { continue }
            readMember(key.string, value)
        }
        finish()
        return problems.found.isEmpty ? request : nil
    }

    private mutating func readMember(_ name: String, _ value: JSONNode) {
        // Paths are built only for problems, so all functions below take them as autoclosures.
        let prefix = prefix
        guard let (number, rule) = BodyFieldRule.named(name) else {
            addUnknown(name, prefix + name)
            return
        }
        let bit = UInt128(1) << UInt128(number)
        guard seen & bit == 0 else {
            problems.add(.duplicateKey, prefix + name, nil, "is given twice", "keep one")
            return
        }
        seen |= bit
        if case .read(let field) = rule, !value.isNull { given.append((field, value)) }
        switch rule {
        case .read(let field): read(field, value, prefix + name)
        case .neutral(let values): checkNeutral(value, values, prefix + name)
        case .ignoredString: _ = string(value, prefix + name)
        case .ignoredObject where value.kind != .object && !value.isNull:
            problems.addType(prefix + name, value, wanted: "an object")
        case .ignoredObject: break
        }
    }

    private mutating func addUnknown(_ name: String, _ path: @autoclosure () -> String) {
        if problems.isFull { return }
        let remedy = BodyFieldRule.remedy(forUnknown: name, endpoint: endpoint)
        problems.add(
            .unknownField, Excerpt.shortened(path()), nil, "is not a field of OpenAI's or vLLM's requests", remedy)
    }

    private mutating func checkNeutral(_ value: JSONNode, _ accepted: [JSONValue], _ path: @autoclosure () -> String) {
        if value.isNull || accepted.contains(where: { value.equals($0) }) { return }
        problems.add(.unsupportedField, path(), value, "is not supported yet", "remove the field")
    }

    private mutating func read(_ field: BodyField, _ value: JSONNode, _ path: @autoclosure () -> String) {
        if let only = field.onlyEndpoint, only != endpoint {
            if field.isNeutral(value) { return }
            foreignFields.append(field)
            return
        }
        switch field {
        case .prompt, .messages: readPrompt(field, value, path())
        case .tools, .toolChoice, .templateArguments, .addGenerationPrompt, .continueFinalMessage, .documents,
            .chatTemplate, .reasoningEffort:
            readTemplateField(field, value, path())
        case .maxTokens, .maxCompletionTokens, .minTokens: readLength(field, value, path())
        case .temperature, .topP, .topK, .seed: readSampling(field, value, path())
        case .minP, .typicalP, .presencePenalty, .frequencyPenalty, .repetitionPenalty:
            readFactor(field, value, path())
        case .logitBias, .allowedTokenIDs, .badWords: readTokenRule(field, value, path())
        case .logprobs, .topLogprobs, .logprobTokenIDs, .promptLogprobs, .returnTokensAsTokenIDs:
            readLogprobs(field, value, path())
        case .n, .bestOf: readCount(field, value, path())
        case .truncatePromptTokens, .truncationSide: readTruncation(field, value, path())
        case .echo: request.echoes = bool(value, path()) ?? false
        case .includeStop: request.includesStop = bool(value, path()) ?? false
        case .skipSpecialTokens: request.skipsSpecialTokens = bool(value, path()) ?? true
        // No decoder here writes spaces between control tokens.
        case .spacesBetweenSpecialTokens: _ = bool(value, path())
        case .addSpecialTokens: request.addsSpecialTokens = bool(value, path())
        case .responseFormat, .structuredOutputs, .guidedJSON, .guidedRegex, .guidedChoice, .guidedGrammar:
            readStructure(field, value, path())
        case .repetitionDetection: request.repetition = repetition(value, path())
        case .jsonConfidence: request.wantsConfidence = bool(value, path()) ?? false
        case .classify, .score: readScoring(field, value, path())
        case .store: request.asksToBeStored = bool(value, path()) ?? false
        case .stream: request.asksForStream = bool(value, path()) ?? false
        case .streamOptions:
            if !value.isNull, value.kind != .object { problems.addType(path(), value, wanted: "an object") }
            if value.kind == .object {
                for (key, value) in value.members where key.isString("include_usage") {
                    request.streamsUsage = value.equals(true)
                }
            }
        case .model: readModel(value, path())
        case .stop: request.stop = stopStrings(value, path()) ?? []
        case .stopTokenIDs: request.stopTokenIDs = tokenIDs(value, path()) ?? []
        case .ignoreEOS: request.ignoresEOS = bool(value, path()) ?? false
        case .parallelToolCalls: request.allowsParallelCalls = bool(value, path()) ?? true
        case .includeReasoning: request.includesReasoning = bool(value, path()) ?? true
        case .returnTokenIDs: request.returnsTokenIDs = bool(value, path()) ?? false
        }
    }

    private mutating func readModel(_ value: JSONNode, _ path: @autoclosure () -> String) {
        request.model = string(value, path())
        if request.model?.isEmpty == true {
            problems.add(.invalidValue, path(), value, "is empty", "name a model, or remove the field")
        }
    }

    private mutating func readPrompt(_ field: BodyField, _ value: JSONNode, _ path: @autoclosure () -> String) {
        if value.isNull { return }
        hasPrompt = true
        if field == .prompt {
            prompts = readPrompts(value, path())
        } else if let messages = readMessages(value, path()) {
            chat.messages = messages
            prompts = [.chat(chat)]
        }
    }

    private mutating func readTemplateField(_ field: BodyField, _ value: JSONNode, _ path: @autoclosure () -> String) {
        if value.isNull { return }
        switch field {
        case .tools: chat.tools = readTools(value, path())
        case .templateArguments:
            chat.templateArguments = readTemplateArguments(value, path())
        case .addGenerationPrompt: addsGenerationPrompt = bool(value, path())
        case .continueFinalMessage: chat.continuesFinalMessage = bool(value, path()) ?? false
        case .documents: chat.documents = readDocuments(value, path())
        case .chatTemplate: chat.template = readTemplate(value, path())
        case .reasoningEffort: reasoningEffort = string(value, path())
        default: readToolChoice(value, path())
        }
    }

    private mutating func readLength(_ field: BodyField, _ value: JSONNode, _ path: @autoclosure () -> String) {
        let lowest: Int64 = field == .minTokens || endpoint == .completions ? 0 : 1
        let advised = field == .minTokens ? 0 : 1
        let read = integer(value, path(), in: lowest...Int64(Int32.max), "use \(advised) or more, up to 2147483647")
        switch field {
        case .minTokens: request.minTokens = read.map(Int.init)
        case .maxTokens: request.maxTokens = read.map(Int.init)
        default: maxCompletionTokens = read.map(Int.init)
        }
    }

    private mutating func readSampling(_ field: BodyField, _ value: JSONNode, _ path: @autoclosure () -> String) {
        switch field {
        case .temperature:
            request.temperature = number(value, path())
            guard let given = request.temperature, !(0...2).contains(given) else { return }
            problems.add(.invalidValue, path(), value, given < 0 ? "is below 0" : "is above 2", "use 0 (greedy) to 2")
        case .topP:
            request.topP = number(value, path())
            guard let given = request.topP, given <= 0 || given > 1 else { return }
            let remedy = "use a number above 0, up to 1 (1 keeps every token)"
            problems.add(.invalidValue, path(), value, given <= 0 ? "is not above 0" : "is above 1", remedy)
        case .topK:
            let range = -1...Int64(Int32.max)
            request.topK = integer(value, path(), in: range, "use -1 or 0 (every token), or 1 and more").map(Int.init)
        default:
            // -1 asks for no seed of its own, as in vLLM.
            request.seed = integer(value, path(), in: .min ... .max, "use a 64-bit integer").flatMap {
                $0 == -1 ? nil : $0
            }
        }
    }

    /// Checks that the body is for the endpoint. If it is for the other one, that is reported as a single problem.
    private mutating func checkEndpoint() {
        let otherPrompt = hasPrompt ? nil : foreignFields.first { $0 == .prompt || $0 == .messages }
        for field in otherPrompt.map({ [$0] }) ?? foreignFields {
            guard let only = field.onlyEndpoint else { continue }
            let complaint = "belongs to \(only.rawValue), not to \(endpoint.rawValue)"
            let remedy = otherPrompt == nil ? "remove it, or change the endpoint" : "change the endpoint"
            problems.add(.unsupportedField, prefix + field.rawValue, nil, complaint, remedy)
        }
        if !hasPrompt, otherPrompt == nil {
            let name = endpoint == .completions ? "prompt" : "messages"
            problems.add(.missingField, prefix + name, nil, "is missing", "every \(endpoint.rawValue) request needs it")
        }
    }

    /// Checks the rules that involve several fields.
    private mutating func finish() {
        checkEndpoint()
        if let other = maxCompletionTokens {
            if let given = request.maxTokens, given != other {
                let complaint = "\(other) contradicts max_tokens \(given)"
                problems.add(
                    .invalidValue, prefix + "max_completion_tokens", nil, complaint, "give only one of the two")
            }
            request.maxTokens = other
        }
        if let least = request.minTokens, let most = request.maxTokens, least > most {
            let complaint = "\(least) is above max_tokens \(most)"
            problems.add(.invalidValue, prefix + "min_tokens", nil, complaint, "use 0 to \(most)")
        }
        if case .chat = prompts?.first {
            finishChat()
            prompts = [.chat(chat)]
        }
        if let prompts { request.prompts = prompts }
        finishLogprobs()
        finishChoices()
        finishScoring(given)
    }

    /// The effort is a variable of the template, as in vLLM.
    private mutating func addReasoningEffort() {
        guard let reasoningEffort else { return }
        var members: [JSONValue.Member] = []
        if case .object(let given)? = chat.templateArguments { members = given }
        guard !members.contains(where: { $0.key == "reasoning_effort" }) else {
            return problems.add(
                .duplicateKey, prefix + "reasoning_effort", nil, "stands in chat_template_kwargs as well", "keep one")
        }
        members.append(.init("reasoning_effort", .string(reasoningEffort)))
        chat.templateArguments = .object(members)
    }

    private mutating func readTruncation(_ field: BodyField, _ value: JSONNode, _ path: @autoclosure () -> String) {
        if field == .truncationSide {
            truncationSide = string(value, path())
            guard let side = truncationSide, side != "left", side != "right" else { return }
            return problems.add(.invalidValue, path(), value, "is no side", "use \"left\" or \"right\"")
        }
        let remedy = "use -1 (as many as fit), or the number of tokens to keep"
        guard let most = integer(value, path(), in: -1...Int64(Int32.max), remedy) else { return }
        if most == 0 { return problems.add(.invalidValue, path(), value, "keeps nothing", remedy) }
        request.truncation = RequestBody.Truncation(most: most < 0 ? nil : Int(most))
    }

    private mutating func readCount(_ field: BodyField, _ value: JSONNode, _ path: @autoclosure () -> String) {
        guard let count = integer(value, path(), in: 1...128, "use 1 to 128") else { return }
        if field == .n { request.choices = Int(count) } else { request.bestOf = Int(count) }
    }

    /// The most texts that one request may ask for.
    private static let mostTexts = 8192

    /// Checks the rules about several texts of one request.
    private mutating func finishChoices() {
        let texts = max(request.choices, request.bestOf ?? 1) * request.prompts.count
        if texts > Self.mostTexts {
            problems.add(
                .invalidValue, prefix + (request.bestOf == nil ? "n" : "best_of"), nil,
                "asks for \(texts) texts of \(request.prompts.count) prompts",
                "ask for at most \(Self.mostTexts) in one request")
        }
        if truncationSide == "right" { request.truncation?.cutsEnd = true }
        if let bestOf = request.bestOf, bestOf < request.choices {
            problems.add(
                .invalidValue, prefix + "best_of", nil, "\(bestOf) is below n \(request.choices)",
                "use n or more, or remove it")
        }
        if max(request.choices, request.bestOf ?? 1) > 1, request.temperature == 0 || request.topK == 1 {
            problems.add(
                .invalidValue, prefix + (request.choices > 1 ? "n" : "best_of"), nil,
                "asks for several texts, and without randomness they are all the same",
                "use 1, or a temperature above 0" + (request.topK == 1 ? " and another top_k" : ""))
        }
        if request.maxTokens == 0, !request.echoes, request.promptLogprobs == nil {
            problems.add(
                .invalidValue, prefix + "max_tokens", nil, "0 asks for nothing",
                "use 1 or more, or ask for the prompt with echo or prompt_logprobs")
        }
    }

    /// The last message is either continued or answered, as in vLLM: `add_generation_prompt` is true by default.
    private mutating func finishChat() {
        chat.tools = offersTools ? chat.tools : nil
        chat.addsGenerationPrompt = addsGenerationPrompt ?? true
        addReasoningEffort()
        finishToolChoice(chat)
        guard chat.continuesFinalMessage else { return }
        if chat.addsGenerationPrompt {
            problems.add(
                .invalidValue, prefix + "continue_final_message", nil,
                "contradicts add_generation_prompt, which is true" + (addsGenerationPrompt == nil ? " by default" : ""),
                "set add_generation_prompt to false as well")
        }
        if case .array(let messages) = chat.messages, let last = messages.last, last["content"] ?? .null == .null {
            problems.add(
                .invalidValue, prefix + "continue_final_message", nil,
                "messages[\(messages.count - 1)] has no content to continue",
                "give it a text, or remove continue_final_message")
        }
    }
}
