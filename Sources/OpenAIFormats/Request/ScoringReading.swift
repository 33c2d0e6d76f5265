// The fields `classify` and `score`: texts whose probabilities are wanted, in place of a generated one.

import JSONText

extension BodyReader {
    /// Reads `{"labels": […]}`, or an array of texts.
    mutating func readScoring(_ field: BodyField, _ value: JSONNode, _ path: String) {
        if value.isNull { return }
        guard request.scoring == nil else {
            return problems.add(.invalidValue, path, nil, "stands beside classify or score", "give one of the two")
        }
        if field == .score {
            request.scoring = scoredTexts(value, path).map { RequestBody.Scoring(texts: $0, classifies: false) }
            return
        }
        guard let labels = members(value, path, ["labels"])?["labels"] else {
            if value.kind == .object {
                problems.add(.missingField, "\(path).labels", nil, "is missing", "give an array of texts")
            }
            return
        }
        guard let texts = scoredTexts(labels, "\(path).labels") else { return }
        if texts.count == 1 {
            problems.add(.invalidValue, "\(path).labels", nil, "has one label", "give two or more")
        }
        request.scoring = RequestBody.Scoring(texts: texts, classifies: true)
    }

    private static let mostTexts = 128

    private mutating func scoredTexts(_ node: JSONNode, _ path: String) -> [String]? {
        guard node.kind == .array else {
            problems.addType(path, node, wanted: "an array of texts")
            return nil
        }
        let elements = Array(node.elements)
        guard (1...Self.mostTexts).contains(elements.count) else {
            problems.add(
                .invalidValue, path, nil, elements.isEmpty ? "is empty" : "has \(elements.count) texts",
                "give 1 to \(Self.mostTexts) texts")
            return nil
        }
        var texts: [String] = []
        var seen: Set<[UInt8]> = []
        for (index, element) in elements.enumerated() {
            let place = "\(path)[\(index)]"
            guard element.kind == .string else {
                problems.addType(place, element, wanted: "a string")
                return nil
            }
            let text = element.string
            guard !text.isEmpty, seen.insert(Array(text.utf8)).inserted else {
                problems.add(
                    .invalidValue, place, element, text.isEmpty ? "is empty" : "is given twice",
                    text.isEmpty ? "give a text" : "keep one")
                return nil
            }
            texts.append(text)
        }
        return texts
    }

    /// Fields that mean something beside texts that are scored.
    private static let besideScoring: Set<BodyField> = [
        .model, .prompt, .messages, .tools, .toolChoice, .templateArguments, .addGenerationPrompt,
        .continueFinalMessage, .documents, .chatTemplate, .reasoningEffort, .addSpecialTokens, .truncatePromptTokens,
        .truncationSide, .seed, .stream, .streamOptions, .classify, .score,
    ]

    /// Refuses fields that are about a generated text, with values that are not as without them.
    mutating func finishScoring(_ given: [(field: BodyField, value: JSONNode)]) {
        guard let scoring = request.scoring else { return }
        let name = scoring.classifies ? "classify" : "score"
        func refuse(_ field: BodyField, _ value: JSONNode) {
            problems.add(
                .invalidValue, prefix + field.rawValue, value,
                "has no effect beside \(name), which generates no text", "remove it")
        }
        for (field, value) in given {
            // Fields of the other endpoint are refused as such.
            guard field.onlyEndpoint == nil || field.onlyEndpoint == endpoint, !field.isNeutral(value) else { continue }
            let isOfCalls = field == .toolChoice && request.toolChoice != .auto
            if isOfCalls || !Self.besideScoring.contains(field) { refuse(field, value) }
        }
    }
}
