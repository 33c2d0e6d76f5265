// What shows that a form was sent from the server's own page: other sites can make a browser post, but cannot read this.

import HTTPTypes
import Runtime

/// The token in the forms of this server's page. It is new with each start of the server.
package struct FormToken: Sendable {
    /// 32 hexadecimal digits.
    package let text: String

    /// Makes a token.
    package init() {
        text = randomHexadecimal(32)
    }

    /// Throws 403 unless `sent` is the token.
    package func check(_ sent: String?) throws(APIError) {
        guard let sent, isEqualInConstantTime(sent, text) else {
            throw APIError(
                status: .forbidden, type: "invalid_request_error",
                message: "the form is not from this page, or the server was started again: load the page anew",
                code: "form_token")
        }
    }
}
