// OpenAI's batch output line. ttbatch's own members are under one key, `ttbatch`.

import JSONText

extension OutputLine {
    /// Appends the line as an OpenAI batch output object and a line feed.
    public func encode(into output: inout [UInt8]) {
        output.append(json: "{\"id\":")
        output.append(string: id)
        output.append(json: ",\"custom_id\":")
        output.append(string: customID)
        switch outcome {
        case .completed(let completion):
            completion.encodeResponse(into: &output)
            output.append(json: ",\"error\":null")
        case .refused(let refusal):
            refusal.encodeResponse(into: &output)
            output.append(json: ",\"error\":null")
        case .notRun(let reason, let message):
            output.append(json: ",\"response\":null,\"error\":{\"code\":")
            output.append(string: reason.rawValue)
            output.append(json: ",\"message\":")
            output.append(string: message)
            output.append(json: "}")
        }
        encodeOwnMembers(into: &output)
        output.append(json: "}\n")
    }
}

extension OutputLine {
    /// Appends what OpenAI's format has no place for, if there is anything.
    private func encodeOwnMembers(into output: inout [UInt8]) {
        var choices: [Completion.Choice] = []
        if case .completed(let completion) = outcome { choices = completion.choices }
        var isFirst = true
        /// Appends a member with a value for each choice, if one of them has any.
        func add<Value>(
            _ name: StaticString, _ values: KeyPath<Completion.Choice, Value?>, _ encode: (Value, inout [UInt8]) -> Void
        ) {
            guard choices.contains(where: { $0[keyPath: values] != nil }) else { return }
            output.append(json: isFirst ? ",\"ttbatch\":{" : ",")
            isFirst = false
            output.append(json: name)
            output.appendArray(choices.map { $0[keyPath: values] }) { value, output in
                if let value { encode(value, &output) } else { output.append(json: "null") }
            }
        }
        if let timings {
            output.append(json: ",\"ttbatch\":{")
            isFirst = false
            timings.encode(into: &output)
        }
        if case .completed(let completion) = outcome, let seed = completion.seed {
            output.append(json: isFirst ? ",\"ttbatch\":{\"seed\":" : ",\"seed\":")
            isFirst = false
            output.append(integer: seed)
        }
        // Few results have any of these.
        if choices.contains(where: \.hasOwnMembers) {
            add("\"structured\":", \.isComplete) { $1.append(string: $0 ? "complete" : "incomplete") }
            add("\"unread\":", \.unread) { $1.append(string: $0) }
            add("\"scores\":", \.scores) { $1.append(contentsOf: $0.utf8) }
            add("\"confidence\":", \.confidence) { $1.append(contentsOf: $0.utf8) }
        }
        if !isFirst { output.append(UInt8(ascii: "}")) }
    }
}

extension Completion.Choice {
    fileprivate var hasOwnMembers: Bool { isComplete != nil || unread != nil || scores != nil || confidence != nil }
}

/// Appends the start of a response, up to its body.
private func encodeResponseHead(status: Int, requestID: String, into output: inout [UInt8]) {
    output.append(json: ",\"response\":{\"status_code\":")
    output.append(integer: status)
    output.append(json: ",\"request_id\":")
    output.append(string: requestID)
    output.append(json: ",\"body\":")
}

extension Completion {
    fileprivate func encodeResponse(into output: inout [UInt8]) {
        encodeResponseHead(status: 200, requestID: requestID, into: &output)
        encodeBody(into: &output)
        output.append(json: "}")
    }

    /// Appends the object that OpenAI's API answers with.
    package func encodeBody(into output: inout [UInt8]) {
        output.append(json: "{\"id\":")
        output.append(string: id)
        output.append(json: ",\"object\":")
        output.append(string: endpoint == .completions ? "text_completion" : "chat.completion")
        output.append(json: ",\"created\":")
        output.append(integer: created)
        output.append(json: ",\"model\":")
        output.append(string: model)
        if let fingerprint {
            output.append(json: ",\"system_fingerprint\":")
            output.append(string: fingerprint)
        }
        output.append(json: ",\"choices\":")
        output.appendArray(Array(choices.enumerated())) { encode($0.element, index: $0.offset, into: &$1) }
        output.append(json: ",\"usage\":{\"prompt_tokens\":")
        output.append(integer: promptTokens)
        output.append(json: ",\"completion_tokens\":")
        output.append(integer: completionTokens)
        output.append(json: ",\"total_tokens\":")
        output.append(integer: promptTokens + completionTokens)
        output.append(json: ",\"prompt_tokens_details\":{\"cached_tokens\":")
        output.append(integer: cachedTokens)
        output.append(json: "}}")
        // vLLM puts it beside the choices of a chat, and into those of a completion.
        if endpoint == .chatCompletions, let logprobs = choices[0].promptLogprobs {
            output.append(json: ",\"prompt_logprobs\":")
            output.append(promptLogprobs: logprobs)
        }
        output.append(json: "}")
    }

    private func encode(_ choice: Choice, index: Int, into output: inout [UInt8]) {
        output.append(json: "{\"index\":")
        output.append(integer: index)
        output.append(UInt8(ascii: ","))
        switch endpoint {
        case .completions:
            output.append(json: "\"text\":")
            output.append(string: choice.text)
        case .chatCompletions:
            encodeMessage(choice, index: index, into: &output)
        }
        output.append(json: ",\"logprobs\":")
        switch (choice.logprobs, endpoint) {
        case (nil, _): output.append(json: "null")
        case (let logprobs?, .completions): output.append(completionLogprobs: logprobs)
        case (let logprobs?, .chatCompletions): output.append(chatLogprobs: logprobs)
        }
        output.append(json: ",\"finish_reason\":")
        output.append(string: choice.finishReason.rawValue)
        output.append(json: ",\"stop_reason\":")
        switch choice.stopReason {
        case .string(let string): output.append(string: string)
        case .token(let token): output.append(integer: token)
        case nil: output.append(json: "null")
        }
        if let tokenIDs = choice.tokenIDs {
            output.append(json: ",\"token_ids\":")
            output.appendArray(tokenIDs.completion) { $1.append(integer: $0) }
            output.append(json: ",\"prompt_token_ids\":")
            output.appendArray(tokenIDs.prompt) { $1.append(integer: $0) }
        }
        if endpoint == .completions, let logprobs = choice.promptLogprobs {
            output.append(json: ",\"prompt_logprobs\":")
            output.append(promptLogprobs: logprobs)
        }
        output.append(json: "}")
    }
}

extension Completion {
    private func encodeMessage(_ choice: Choice, index: Int, into output: inout [UInt8]) {
        output.append(json: "\"message\":{\"role\":\"assistant\",\"content\":")
        let hasOther = choice.reasoning != nil || !choice.toolCalls.isEmpty
        output.append(optionalString: choice.text.isEmpty && hasOther ? nil : choice.text)
        output.append(json: ",\"refusal\":null")
        if let reasoning = choice.reasoning {
            output.append(json: ",\"reasoning\":")
            output.append(string: reasoning)
        }
        if !choice.toolCalls.isEmpty {
            output.append(json: ",\"tool_calls\":")
            output.appendArray(Array(choice.toolCalls.enumerated())) { call, output in
                output.append(json: "{\"id\":")
                output.append(string: ToolCall.id(of: id, choice: index, call: call.offset))
                output.append(json: ",\"type\":\"function\",\"function\":{\"name\":")
                output.append(string: call.element.name)
                output.append(json: ",\"arguments\":")
                output.append(string: call.element.arguments)
                output.append(json: "}}")
            }
        }
        output.append(UInt8(ascii: "}"))
    }
}

extension Refusal {
    fileprivate func encodeResponse(into output: inout [UInt8]) {
        encodeResponseHead(status: status, requestID: requestID, into: &output)
        output.append(json: "{\"error\":{\"message\":")
        output.append(string: message)
        output.append(json: ",\"type\":")
        output.append(string: type)
        output.append(json: ",\"param\":")
        output.append(optionalString: param)
        output.append(json: ",\"code\":")
        output.append(optionalString: code)
        output.append(json: "}}}")
    }
}

extension OutputLine.Timings {
    fileprivate func encode(into output: inout [UInt8]) {
        output.append(json: "\"queued_ms\":")
        output.append(integer: queued)
        output.append(json: ",\"prefill_ms\":")
        output.append(integer: prefill)
        output.append(json: ",\"decode_ms\":")
        output.append(integer: decode)
        output.append(json: ",\"total_ms\":")
        output.append(integer: total)
        output.append(json: ",\"attempt\":")
        output.append(integer: attempt)
    }
}

extension [UInt8] {
    /// Appends a string or null.
    mutating func append(optionalString value: String?) {
        if let value { append(string: value) } else { append(json: "null") }
    }
}
