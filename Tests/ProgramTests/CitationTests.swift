// The sections and files that comments and documents cite exist in this repository.

import Foundation
import TestSupport
import Testing

/// Finds citations in texts and reports those whose section or file does not exist.
///
/// A section is cited by a document's short name and its number, several after each other: `design` with one number, or
/// `TT contract` with three, joined by commas, "and" or "to". In a document with numbered sections a number without a name
/// is one of its own. A file is cited by its path, or by the end of its path where that is enough.
struct CitationChecker {
    /// The documents with numbered sections, by the names that comments have for them.
    static let documents = [
        "TT contract": "docs/tt-contract.md", "store rules": "docs/store.md", "design": "docs/design.md",
        "bridge protocol": "docs/bridge-protocol.md",
    ]
    private static let sign = "\u{A7}"

    /// The numbers of each document's headings, by its path.
    private let sections: [String: Set<String>]
    /// The files and folders of the repository, and every end of their paths.
    private let ends: Set<String>

    /// A checker for a repository with `files`, of which `text` gives the documents.
    init(files: [String], text: (String) throws -> String) rethrows {
        var sections: [String: Set<String>] = [:]
        for path in Set(Self.documents.values) {
            sections[path] = Set(
                try text(path).split(separator: "\n").compactMap { line in
                    line.firstMatch(of: #/^#+ ([0-9]+(?:\.[0-9]+)*)\.? /#).map { String($0.1) }
                })
        }
        self.sections = sections
        var ends: Set<String> = []
        for file in files {
            let names = file.split(separator: "/")
            for last in 1...names.count {
                for first in 0..<last { ends.insert(names[first..<last].joined(separator: "/")) }
            }
        }
        self.ends = ends
    }

    /// The wrong citations of `text`, the content of `path`.
    func problems(in text: String, of path: String) -> [String] {
        let prose = Self.prose(text, of: path)
        return sectionProblems(in: prose, of: path) + fileProblems(in: prose)
    }

    // MARK: - Sections

    private func sectionProblems(in prose: String, of path: String) -> [String] {
        var problems: [String] = []
        var parts = prose.split(separator: Self.sign, omittingEmptySubsequences: false)[...]
        guard var before = parts.popFirst() else { return [] }
        var document: String?
        for part in parts {
            if !before.isEmpty { document = Self.document(namedBefore: before) ?? (sections[path] == nil ? nil : path) }
            let number = part.prefixMatch(of: #/[0-9]+(\.[0-9]+)*/#).map { String($0.0) } ?? ""
            let place = "\(Self.sign)\(number)"
            if number.isEmpty {
                problems.append("\(place) has no number")
            } else if let document {
                if sections[document]?.contains(number) != true { problems.append("\(document) has no \(place)") }
            } else {
                problems.append("\(place) does not say of which document")
            }
            // "and", "to" or a comma keeps the document for the next section.
            let rest = part.dropFirst(number.count)
            before = rest.wholeMatch(of: #/,? |,? and |,? to /#) == nil ? rest : ""
        }
        return problems
    }

    private static func document(namedBefore text: Substring) -> String? {
        let words = text.drop(while: \.isWhitespace).reversed().drop { $0 == " " || $0 == "`" }.reversed()
        let named = String(words)
        let names = Array(documents) + documents.values.map { ($0, $0) }
        return names.first { name, _ in
            named.hasSuffix(name) && named.dropLast(name.count).last?.isLetter != true
        }?.1
    }

    // MARK: - Files

    private func fileProblems(in prose: String) -> [String] {
        // What a URL leads to is not checked.
        let words = prose.replacing(#/[a-z]+:\/\/[^\s)>\]]+/#, with: "")
        let path = #/(?:Sources|Tests|migrations|docs|etc)\/[\w\/.+-]*\w|[\w\/.+-]*\w\.(?:md|swift|py|sql)\b/#
        return words.matches(of: path).compactMap { match in
            // Paths such as `/etc/passwd` and `$HOME/docs/x` are not the repository's, and `EngineTests/name` is a test.
            if match.range.lowerBound > words.startIndex {
                let before = words[words.index(before: match.range.lowerBound)]
                if before.isLetter || "/$~{}.-_*<".contains(before) { return nil }
            }
            var named = match.0
            while named.hasPrefix("../") { named = named.dropFirst(3) }
            if named.hasPrefix("/") || ends.contains(String(named)) { return nil }
            return "there is no \(match.0)"
        }
    }

    // MARK: - Texts

    /// The text of a document, or the comments of a program, with lines joined so that a citation may go over their ends.
    private static func prose(_ text: String, of path: String) -> String {
        let kind = path.split(separator: "/").last?.split(separator: ".").dropFirst().last ?? ""
        if kind == "md" { return text.split(separator: "\n").joined(separator: " ") }
        let mark = ["swift", "c", "h", "cpp"].contains(kind) ? "//" : kind == "sql" ? "--" : "#"
        var isInDocstring = false
        var comments: [Substring] = []
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            let quotes = kind == "py" || kind == "" ? line.ranges(of: "\"\"\"").count : 0
            let isDocstring = isInDocstring || quotes > 0
            if quotes % 2 == 1 { isInDocstring.toggle() }
            if isDocstring {
                comments.append(line.drop(while: \.isWhitespace))
            } else if let start = Self.comment(in: line, mark) {
                comments.append(line[start...].drop { "/-#! ".contains($0) })
            } else if comments.last?.isEmpty == false {
                comments.append("")
            }
        }
        return comments.map { $0.isEmpty ? "\n" : $0 }.joined(separator: " ")
    }

    /// Where a line's comment begins: at its mark behind a blank, or at its beginning.
    private static func comment(in line: Substring, _ mark: String) -> Substring.Index? {
        line.ranges(of: mark).map(\.lowerBound).first { start in
            start == line.startIndex || line[line.index(before: start)].isWhitespace
        }
    }
}

@Suite("Citations")
struct CitationTests {
    private static let sign = "\u{A7}"
    private static let folders = ["Sources", "Tests", "migrations", "etc", "docs"]
    /// Extensions of programs and documents; data does not cite.
    private static let kinds: Set = ["swift", "c", "h", "cpp", "py", "sql", "md", "yaml", "sh", ""]

    /// A repository of two documents' sections and two files.
    private let checker = CitationChecker(
        files: ["docs/design.md", "Sources/Engine/Scheduler.swift", "etc/test"],
        text: { $0 == "docs/design.md" ? "# The design\n\n## 4 The engine\n\n### 4.1 Steps\n" : "## 1 Models\n" })

    /// The checker can fail: wrong citations are reported, right ones are not.
    @Test(arguments: [
        ("// Prefill first (design \(sign)4, \(sign)4.1; TT contract \(sign)1).", []),
        ("// Prefill first (design\n    // \(sign)9).", ["docs/design.md has no \(sign)9"]),
        ("/// As design \(sign)4 to \(sign)5 say", ["docs/design.md has no \(sign)5"]),
        ("let a = 1 // see docs/design.md \(sign)4.2", ["docs/design.md has no \(sign)4.2"]),
        ("// (\(sign)4)", ["\(sign)4 does not say of which document"]),
        ("// redesign \(sign)4", ["\(sign)4 does not say of which document"]),
        ("// design \(sign)4; and then \(sign)4.1", ["\(sign)4.1 does not say of which document"]),
        ("// TT contract \(sign)", ["\(sign) has no number"]),
        ("// `Scheduler.swift`, Engine/Scheduler.swift and etc/test; not /etc/hosts, https://a.b/docs/c.md", []),
        ("// See Schedule.swift and Tests/Gone", ["there is no Schedule.swift", "there is no Tests/Gone"]),
        ("let text = \"Gone.swift \(sign)7\"", []),
    ])
    func wrongCitationsAreReported(text: String, expected: [String]) {
        #expect(checker.problems(in: text, of: "Sources/Engine/Scheduler.swift").sorted() == expected.sorted())
    }

    @Test func aNumberedDocumentMayCiteItself() {
        #expect(checker.problems(in: "See \(Self.sign)4.1.", of: "docs/design.md") == [])
        #expect(checker.problems(in: "See \(Self.sign)4.1.", of: "docs/json.md").count == 1)
    }

    @Test func everyCitedSectionAndFileExists() throws {
        let root = Locations.repository
        let files = try Self.folders.flatMap { folder in
            let names = try FileManager.default.subpathsOfDirectory(atPath: root.appending(path: folder).path)
            return names.map { "\(folder)/\($0)" }
        }
        let paths = files + ["README.md", "CONTRIBUTING.md", "Package.swift", "LICENSE"]
        let checker = try CitationChecker(files: paths) { try Self.text($0) }
        for path in paths.sorted() where Self.kinds.contains(URL(filePath: path).pathExtension) {
            guard let text = try? Self.text(path) else { continue }
            for problem in checker.problems(in: text, of: path) { Issue.record("\(path): \(problem)") }
        }
    }

    /// Tests/KnownBugs.md names tests as filters do.
    @Test func everyTestOfAKnownBugExists() throws {
        let tests = Locations.repository.appending(path: "Tests").path
        let names = try FileManager.default.subpathsOfDirectory(atPath: tests).filter { $0.hasSuffix(".swift") }
        let suites = try names.map { (path: $0, text: try Self.text("Tests/" + $0)) }
        let list = try Self.text("Tests/KnownBugs.md")
        let cited = list.matches(of: #/`(\w+)\.(\w+)\/(\w+)`/#)
        #expect(cited.count > 42)
        for test in cited {
            let exists = suites.contains { path, text in
                path.hasPrefix(test.1 + "/") && text.contains("struct \(test.2) ") && text.contains("func \(test.3)(")
            }
            #expect(exists, "\(test.0)")
        }
    }

    private static func text(_ path: String) throws -> String {
        try String(contentsOf: Locations.repository.appending(path: path), encoding: .utf8)
    }
}
