// What shows that a form was sent from the server's own page: other sites can make a browser post, but cannot read this.

import HTTPTypes

/// The token in the forms of this server's page. It is new with each start of the server.
package struct FormToken: Sendable {
    /// 32 hexadecimal digits.
    package let text: String

    /// Makes a token.
    package init() {
        var random = SystemRandomNumberGenerator()
        text = (0..<32).map { _ in String(Int.random(in: 0..<16, using: &random), radix: 16) }.joined()
    }

    /// Throws 403 unless `sent` is the token.
    package func check(_ sent: String?) throws(APIError) {
        guard let sent, isEqualInConstantTime(Array(sent.utf8), Array(text.utf8)) else {
            throw APIError(
                status: .forbidden, type: "invalid_request_error",
                message: "the form is not from this page, or the server was started again: load the page anew",
                code: "form_token")
        }
    }
}

/// Whether both are the same, in a time that depends on their lengths only, so that nobody learns where they differ.
package func isEqualInConstantTime(_ left: [UInt8], _ right: [UInt8]) -> Bool {
    guard left.count == right.count else { return false }
    var difference: UInt8 = 0
    for (a, b) in zip(left, right) { difference |= a ^ b }
    return difference == 0
}
