// Errors: their kind, their line, and that limits end what would not end.

import Jinja
import Testing

@Suite struct ErrorTests {
    private func failure(_ source: String, _ context: [String: JinjaValue] = [:]) -> JinjaError? {
        if case .failure(let error) = Golden.render(source, context) { return error }
        return nil
    }

    @Test(arguments: [
        ("a\n{% if %}", JinjaError.Kind.syntax, 2),
        ("{{ 1 }}\n\n{{ x | nosuch }}", .unsupported, 3),
        ("{% include 'x' %}", .unsupported, 1),
        ("a\n\n{{ x.y }}", .undefined, 3),
        ("{% for i in [1] %}\n{{ 1 + 'a' }}{% endfor %}", .type, 2),
        ("{% macro m() %}\n{{ 1 // 0 }}{% endmacro %}\n{{ m() }}", .value, 2),
        ("{% macro m() %}\nx{% endmacro %}\n\n{{ m() ~ x.y }}", .undefined, 4),
        ("\n{{ [].append(1) }}", .security, 2),
        ("\n{{ raise_exception('no') }}", .raised, 2),
        ("{{ 9223372036854775807 + 1 }}", .value, 1),
        ("{{ -(-9223372036854775807 - 1) }}", .value, 1),
        ("{{ 2 ** 64 }}", .value, 1),
        ("{{ 99999999999999999999 }}", .syntax, 1),
    ])
    func errorsNameKindAndLine(_ source: String, _ kind: JinjaError.Kind, _ line: Int) throws {
        let error = try #require(failure(source))
        #expect(error.kind == kind, "\(error)")
        #expect(error.line == line, "\(error)")
    }

    @Test func raisedMessageIsTheTemplatesOwn() throws {
        let error = try #require(failure("{{ raise_exception('roles must ' ~ 'alternate') }}"))
        #expect(error.message == "roles must alternate")
        #expect(error.description.contains("line 1"))
    }

    @Test(arguments: [
        "{{ 'x' * 999999999999 }}",
        "{{ [0] * 999999999999 }}",
        "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}",
        "{% set ns = namespace(x='ab') %}{% for i in range(99) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
        "{% set ns = namespace(x=[]) %}{% for i in range(99999) %}{% set ns.x = [ns.x] %}{% endfor %}",
        "{% set ns = namespace(x=[1]) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x }}",
        "{{ 'a'.center(99999999999) }}", "{{ '%9999999999d' % 1 }}", "{{ 'a' | indent(9999999999) }}",
        "{{ '{:99999999}'.format('a') }}", "{{ [1] | tojson(indent=9999999999) }}",
        "{{ ('a' * 99999).replace('', 'b' * 99999) }}", "{{ range(99999999) }}",
        "{{ [1] | batch(9999999999, 0) | list }}",
    ])
    func hostileTemplatesReachALimit(_ source: String) throws {
        var environment = RenderEnvironment()
        environment.limits.work = 2_000_000
        let error = try #require(throws: JinjaError.self) {
            try Template(source).render([:], environment: environment)
        }
        #expect(error.kind == .limit, "\(error)")
    }

    @Test(arguments: ["(", "[", "{1:", "-", "not ", "a.b(", "x[", "1 if ", "1 + ", "a|trim|", "1 ~ (", "a is b is "])
    func deepExpressionsAreRefused(_ piece: String) throws {
        _ = try #require(failure("{{ " + String(repeating: piece, count: 3_000) + "1 }}"))
    }

    @Test func deepBlocksAndLongChainsAreRefused() throws {
        #expect(failure(String(repeating: "{% if 1 %}", count: 2_000))?.kind == .limit)
        #expect(failure("{{ 1" + String(repeating: " + 1", count: 2_000) + " }}")?.kind == .limit)
        #expect(failure("{{ a" + String(repeating: "|trim", count: 2_000) + " }}")?.kind == .limit)
        #expect(failure("{{ a" + String(repeating: "[0]", count: 2_000) + " }}")?.kind == .limit)
    }

    /// Recursion and nesting together: fine within the limit, refused beyond it, never a stack overflow.
    @Test(arguments: [(5, true), (40, false)])
    func nestedRecursionIsBounded(_ calls: Int, _ renders: Bool) throws {
        let macro =
            "{% macro m(n) %}{{ n if n == 0 else " + String(repeating: "(1 and ", count: 50) + "m(n - 1)"
            + String(repeating: ")", count: 50) + " }}{% endmacro %}{{ m(\(calls)) }}"
        if renders {
            #expect(try Template(macro).render([:]) == "0")
        } else {
            #expect(failure(macro)?.kind == .limit)
        }
    }

    @Test func selfReferencesAreReleased() throws {
        let template = try Template(
            "{% set ns = namespace() %}{% set ns.me = ns %}{% for i in [1] %}{% macro m() %}{{ m }}{% endmacro %}"
                + "{% set ns.m = m %}{% endfor %}{{ ns.me is defined }}")
        #expect(try template.render([:]) == "True")
    }
}
