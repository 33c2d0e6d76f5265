// What is JSON and what is not: agreement with Foundation's parser, and of the scanner that locates faults with simdjson.

import Foundation
import JSONText
import Testing

@Suite struct JSONSyntaxTests {
    static let corpus: [(json: String, isValid: Bool)] = [
        ("null", true), ("true", true), ("[]", true), ("{}", true), (" [ ] ", true), ("\"\"", true), ("0", true),
        ("-0", true),
        ("-1.5e-3", true), ("1E+2", true), ("[1,2,3]", true), (#"{"a":{"b":[1,{"c":null}]}}"#, true),
        (#""\u00e9\ud83d\ude00\b\f\n\r\t\/\\\"""#, true), ("\"é😀\u{2028}\u{7F}\"", true), (#""\u0000""#, true),
        ("9223372036854775807", true), ("-9223372036854775808", true), ("18446744073709551615", true), ("1e308", true),
        ("1e-999", true), ("0.1", true), ("[[[[[[]]]]]]", true), (#"{"":""}"#, true), ("\t{\r\n}\n", true),
        ("", false), (" ", false), ("{", false), ("}", false), ("[", false), ("]", false), ("[1,]", false),
        ("[,1]", false),
        (#"{"a":1,}"#, false), (#"{"a"}"#, false), (#"{"a":}"#, false), (#"{a:1}"#, false), ("{'a':1}", false),
        (#"{"a":1 "b":2}"#, false), (#"{"a":1}}"#, false), (#"{"a":1}{"#, false), ("[1 2]", false), ("[1}", false),
        ("01", false), ("-", false), ("+1", false), (".5", false), ("1.", false), ("1e", false), ("1e+", false),
        ("0x10", false),
        ("--1", false), ("1.2.3", false), ("NaN", false), ("Infinity", false), ("-Infinity", false), ("nul", false),
        ("nulll", false), ("True", false), ("truefalse", false), ("\"", false), ("\"a", false), (#""\"#, false),
        (#""\x""#, false), (#""\u12""#, false), (#""\u12g4""#, false), (#""\u+123""#, false), (#""\ud800""#, false),
        (#""\ud800\u0041""#, false), (#""\udc00""#, false), ("\"a\nb\"", false), ("\"a\tb\"", false),
        ("\"\u{1}\"", false),
        ("// x\n1", false), ("/* x */1", false), ("1 // x", false), ("[1,2", false), ("\u{FEFF}1", false),
        ("1,2", false),
        ("\u{A0}1", false), ("{\"a\":1,,\"b\":2}", false), ("[\"a\",\n4\n,1,", false), ("\"\\", false),
        ("[\"x\"", false),
        ("{\"x\":true,", false), ("[-]", false), ("[- 1]", false), ("[1.e5]", false), ("[1e5.]", false),
        ("[0e]", false),
        ("[tru]", false), ("[a", false), ("{1:1}", false), ("{\"a\":/*comment*/\"b\"}", false), ("<null>", false),
        ("*", false),
        ("1e999", false), ("-1e999", false), ("123456789012345678901234567890", false),
    ]

    /// Where Foundation is laxer than RFC 8259 (a comma before the end, a byte order mark), or rounds what we refuse.
    static let foundationAccepts: Set<String> = ["[1,]", #"{"a":1,}"#, "\u{FEFF}1", "123456789012345678901234567890"]

    @Test(arguments: corpus) func agreesWithFoundation(_ json: String, _ isValid: Bool) {
        let isAccepted = (try? JSONValue(parsing: Array(json.utf8))) != nil || json == "18446744073709551615"
        #expect(isAccepted == isValid)
        let foundation = try? JSONSerialization.jsonObject(with: Data(json.utf8), options: [.fragmentsAllowed])
        #expect((foundation != nil) == (isValid || Self.foundationAccepts.contains(json)))
    }

    @Test(arguments: corpus) func scannerFindsAFaultExactlyWhereThereIsOne(_ json: String, _ isValid: Bool) {
        #expect((JSONSyntaxScanner.firstFault(in: Array(json.utf8), of: .line) == nil) == isValid)
    }

    static let faults: [(String, String)] = [
        (#"{"a":1,}"#, #"column 8: unexpected "}" after a comma; remove the comma before it"#),
        (#"[1,]"#, #"column 4: unexpected "]" after a comma; remove the comma before it"#),
        (#"{"a" 1}"#, #"column 6: unexpected "1" where a colon should be"#),
        (#"{"a":1 "b":2}"#, #"column 8: unexpected "\"" where a comma or } should be"#),
        (
            #"{'a':1}"#,
            "column 2: unexpected ' where a key in double quotes or } should be; use double quotes for strings"
        ),
        (#"{"a":True}"#, "column 6: True is Python, not JSON; write true"),
        (#"{"a":NaN}"#, "column 6: JSON has no NaN; use a finite number, or leave the field out"),
        (#"{"a":yes}"#, #"column 6: unexpected word "yes"; put text in double quotes"#),
        (#"{"a":01}"#, "column 6: a number with a leading zero; write it without"),
        (#"{"a":1.}"#, "column 8: a digit should follow the decimal point"),
        (#"{"a":"b}"#, "column 6: the string that starts here is not closed; close it with a double quote"),
        (#"{"a":"\q"}"#, #"column 7: an unknown escape in a string; write a backslash itself as \\"#),
        (#"{"a":"\ud800"}"#, "column 7: a lone high surrogate escape; write the character itself, in UTF-8"),
        (
            #"{"a":1"#,
            "column 7: the line ends where a comma or } should be; put the whole object on one line (jq -c . writes it so)"
        ),
        (
            #"{"a":1} {"b":2}"#,
            #"column 9: unexpected "{" after the end of the value; put one JSON object on each line"#
        ),
        (#"{"a":1e999}"#, "column 6: 1e999 is too large for a number; use a smaller number"),
        (
            "{\"a\":\"x\ty\"}",
            #"column 8: a raw control character (0x9) in a string; escape it, for example as \n or \t"#
        ),
        (
            "\u{FEFF}{}",
            #"column 1: unexpected U+FEFF (a byte order mark) where a value should be; remove it: sed 's/\xEF\xBB\xBF//'"#
        ),
        ("{\"a\":\u{A0}1}", "column 6: unexpected U+00A0 where a value should be"),
        ("{\u{200B}}", "column 2: unexpected U+200B where a key in double quotes or } should be"),
        ("{\u{E0001}}", "column 2: unexpected U+E0001 where a key in double quotes or } should be"),
        (#"{"é":ü}"#, #"column 7: unexpected "ü" where a value should be"#),
    ]

    @Test(arguments: faults) func saysWhereAndWhy(_ json: String, _ message: String) {
        let fault = JSONSyntaxScanner.fault(in: Array(json.utf8), of: .line)
        let text =
            "column \(fault.offset + 1): \([fault.problem, fault.remedy].compactMap(\.self).joined(separator: "; "))"
        #expect(text == message && fault.kind == .notJSON)
    }

    static let faultsOfTexts: [(String, String)] = [
        ("{\n  \"a\": [1\n}\n", #"3:1: unexpected "}" where a comma or ] should be"#),
        ("{\n  \"é\": 1,\r\n  \"b\": tru\n}", "3:8: unexpected word; put text in double quotes"),
        ("{\n  \"a\": 1", "2:9: the text ends where a comma or } should be"),
        ("{\n  \"a\": \"\\", "2:9: the text ends in the middle of an escape"),
        ("{}\n{}\n", #"2:1: unexpected "{" after the end of the value"#),
        ("\n", "2:1: the text ends where a value should be"),
    ]

    /// No remedy for a file of many lines is one for JSONL.
    @Test(arguments: faultsOfTexts) func saysTheLineInATextOfMany(_ json: String, _ message: String) {
        let bytes = Array(json.utf8)
        let fault = JSONSyntaxScanner.fault(in: bytes, of: .text)
        let place = fault.place(in: bytes)
        let complaint = [fault.problem, fault.remedy].compactMap(\.self).joined(separator: "; ")
        #expect("\(place.line):\(place.column): \(complaint)" == message)
    }

    @Test func findsTheFirstByteThatIsNotUTF8() {
        let bytes = Array("{\"a\":\n\"".utf8) + [0xE9] + Array("\"}".utf8)
        let fault = JSONSyntaxScanner.fault(in: bytes, of: .text)
        #expect(fault.kind == .notUTF8 && fault.place(in: bytes) == (2, 2))
        #expect(fault.problem == "the byte 0xE9 is not valid UTF-8")
    }

    @Test func keepsOrderAndKindsOfNumbers() throws {
        let text = #"{"z":1,"a":1.0,"m":[-0.5,1e16,true,null,"x"],"k":-7}"#
        let value = try JSONValue(parsing: Array(text.utf8))
        #expect(value == ["z": 1, "a": 1.0, "m": [-0.5, 1e16, true, nil, "x"], "k": -7])
        #expect(value["z"] == .int(1) && value["a"] == .double(1) && value["b"] == nil)
        var bytes: [UInt8] = []
        value.encode(into: &bytes)
        #expect(String(decoding: bytes, as: UTF8.self) == text.replacing("1e16", with: "1e+16"))
    }

    @Test func refusesWhatAValueCannotHold() {
        #expect(throws: JSONValue.ReadError.duplicateKey("a")) {
            try JSONValue(parsing: Array(#"[{"a":1,"a":1}]"#.utf8))
        }
        #expect(throws: JSONValue.ReadError.integerOutOfRange("18446744073709551615")) {
            try JSONValue(parsing: Array("18446744073709551615".utf8))
        }
    }

    @Test func writesStringsThatFoundationReadsBack() throws {
        let all = String(String.UnicodeScalarView((0..<0x300).compactMap { Unicode.Scalar($0) }))
        // Every length, so that each byte stands in each place of the eight that are looked at together.
        for drop in 0..<16 {
            let text = String(all.unicodeScalars.dropFirst(drop)) + "\"\\\u{2028}\u{2029}😀"
            var bytes: [UInt8] = []
            bytes.append(string: text)
            let back = try JSONSerialization.jsonObject(with: Data(bytes), options: [.fragmentsAllowed]) as? String
            #expect(back.map { Array($0.utf8) } == Array(text.utf8))
        }
        var bytes: [UInt8] = []
        bytes.append(string: "a\u{1}\"\\\n\u{8}\u{2028}")
        #expect(String(decoding: bytes, as: UTF8.self) == "\"a\\u0001\\\"\\\\\\n\\b\u{2028}\"")
    }
}
