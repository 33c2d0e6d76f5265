// Numbers, names and messages as the page shows them, and the fields of forms.

import Runtime
import Testing

@testable import HTTPExchange
@testable import PageRoutes

@Suite struct WordTests {
    @Test func numbersAreRead() {
        #expect(
            PageWords.count(0) == "0" && PageWords.count(1_234_567) == "1,234,567" && PageWords.count(-1000) == "−1,000"
        )
        #expect(PageWords.rate(0.421) == "0.42" && PageWords.rate(8.12) == "8.1" && PageWords.rate(1234.4) == "1,234")
        #expect(PageWords.duration(40) == "40 ms" && PageWords.duration(200_000) == "3m 20s")
        #expect(PageWords.duration(183_600_000) == "2d 03h" && PageWords.countdown(12_900) == "12 s")
        #expect(PageWords.percent(0.004) == "< 1 %" && PageWords.percent(0.455) == "46 %")
    }

    @Test func timesOfOtherDaysHaveTheirDates() {
        let now = Milliseconds(rawValue: 1_790_000_000_000)
        #expect(ShownTime(now, now: now).text.count == 5)
        #expect(ShownTime(now + -3 * 86_400_000, now: now).text.contains(", "))
        #expect(ShownTime(now, now: now).iso == "2026-09-21T14:13:20Z")
    }

    /// Where the server keeps its files is nobody's business.
    @Test(arguments: [
        ("/srv/in/a.jsonl does not exist", "a.jsonl does not exist"),
        ("m (/srv/m.gguf): \"/srv/x y\" is cut", "m (m.gguf): \"x y\" is cut"),
        ("/v1/completions takes 3/4 of it", "/v1/completions takes 3/4 of it"),
        ("see https://example.org/a/b", "see https://example.org/a/b"),
    ])
    func messagesHaveNoPaths(text: String, shown: String) { #expect(PageWords.message(text) == shown) }

    @Test func namesHaveNoFolders() {
        #expect(PageWords.name("/srv/in/a.jsonl") == "a.jsonl" && PageWords.name("b.jsonl") == "b.jsonl")
        #expect(PageWords.name("/") == "/" && PageWords.name(String(repeating: "x", count: 999)).count == 201)
    }

    @Test func fieldsAreDecoded() {
        let fields = FormFields("token=a%2Bb&batch=1&batch=2&code=two+words&empty=&bare")
        #expect(fields["token"] == "a+b" && fields.all("batch") == ["1", "2"] && fields["code"] == "two words")
        #expect(fields["empty"] == "" && fields["bare"] == "" && fields["none"] == nil)
        #expect(FormFields("a=%zz")["a"] == "%zz" && FormFields("")["a"] == nil)
    }

    @Test func promptsAreTexts() {
        #expect(RequestText.prompt(Array(#"{"prompt":"a king"}"#.utf8)) == "a king")
        let chat =
            #"{"messages":[{"role":"system","content":"be"},{"role":"user","content":[{"type":"text","text":"hi"}]}]}"#
        #expect(RequestText.prompt(Array(chat.utf8)) == "system: be\n\nuser: hi")
        #expect(RequestText.prompt(Array("{".utf8)) == nil && RequestText.prompt(Array("{}".utf8)) == nil)
    }
}
