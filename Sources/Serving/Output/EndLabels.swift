// The words that metrics have for the ends of requests: known ones only, since each word is a series of its own.

/// A finish reason as a label's value.
package func finishReasonLabel(_ reason: String) -> String { finishReasons.contains(reason) ? reason : "other" }

/// An error's code as a label's value.
package func errorCodeLabel(_ code: String) -> String { errorCodes.contains(code) ? code : "other" }

private let finishReasons: Set = ["stop", "length", "tool_calls"]

private let errorCodes: Set = [
    "bad_output", "context_length_exceeded", "crashed_daemon_repeatedly", "device_failed", "empty_prompt",
    "invalid_request", "invalid_value", "model_unavailable", "no_token_allowed", "rate_limit_exceeded",
    "token_out_of_range",
]
