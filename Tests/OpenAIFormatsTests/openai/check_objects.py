"""Checks that JSON objects are what OpenAI's own Python client takes for its types.

Reads JSONL on standard input and validates each line strictly (no coercion, no unknown members but ttbatch's own):
a batch output line with its response body, or a Batch object. Prints one line for each bad line; exit status 1 if any.

    python3 -m venv venv && venv/bin/pip install openai==3.54.0
    TTBATCH_WRITE_OPENAI_FILES=1 swift test --filter OpenAIFormatsTests
    venv/bin/python check_objects.py < output.jsonl && venv/bin/python check_objects.py < batches.jsonl

`output.jsonl` and `batches.jsonl` hold what OutputLineTests.swift and BatchObjectTests.swift compare with byte by byte;
the second command writes them anew.
"""

import json
import sys

from openai.types import Batch, Completion, CompletionChoice
from openai.types.chat import ChatCompletion
from openai.types.chat.chat_completion import Choice

TOKEN_KEYS = {"token_ids", "prompt_token_ids"}
TIMING_KEYS = {"queued_ms", "prefill_ms", "decode_ms", "total_ms", "attempt"}
NOT_RUN_CODES = {"batch_expired", "batch_cancelled", "batch_failed"}


def require(condition, message):
    if not condition:
        raise ValueError(message)


def check_known(value, model, own=frozenset()):
    unknown = set(value) - set(model.model_fields) - own
    require(not unknown, f"members unknown to {model.__name__}: {sorted(unknown)}")


def check_completed(body):
    chat = body["object"] == "chat.completion"
    model, choice_model = (ChatCompletion, Choice) if chat else (Completion, CompletionChoice)
    model.model_validate(body, strict=True)
    check_known(body, model)
    for choice in body["choices"]:
        check_known(choice, choice_model, TOKEN_KEYS | {"stop_reason"})
        # vLLM's: `stop_reason: int | str | None`, in every choice.
        reason = choice["stop_reason"]
        require(reason is None or type(reason) in (int, str), "stop_reason is no string, token or null")
        require(reason is None or choice["finish_reason"] == "stop", "a stop_reason without a stop")
        present = TOKEN_KEYS & set(choice)
        require(not present or present == TOKEN_KEYS, "only one of token_ids and prompt_token_ids")
        for key in present:
            require(all(type(token) is int for token in choice[key]), f"{key} holds something else than integers")
    usage = body["usage"]
    require(usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"], "usage does not add up")


def check_refused(body):
    require(set(body) == {"error"}, "an error body has only an error")
    require(set(body["error"]) == {"message", "type", "param", "code"}, "error members")
    require(isinstance(body["error"]["message"], str), "error message")


def check_output_line(line):
    require(set(line) - {"ttbatch"} == {"id", "custom_id", "response", "error"}, "output line members")
    require(line["id"].startswith("batch_req_"), "id")
    require(isinstance(line["custom_id"], str) and line["custom_id"], "custom_id")
    require((line["response"] is None) != (line["error"] is None), "exactly one of response and error")
    if "ttbatch" in line:
        require(set(line["ttbatch"]) == TIMING_KEYS, "ttbatch members")
        require(all(type(value) is int for value in line["ttbatch"].values()), "ttbatch values")
    if line["error"] is not None:
        require(set(line["error"]) == {"code", "message"}, "error members")
        require(line["error"]["code"] in NOT_RUN_CODES, "error code")
        return
    response = line["response"]
    require(set(response) == {"status_code", "request_id", "body"}, "response members")
    require(response["request_id"].startswith("req_"), "request_id")
    if response["status_code"] == 200:
        check_completed(response["body"])
    else:
        require(400 <= response["status_code"] < 600, "status_code")
        check_refused(response["body"])


def check(line):
    if line.get("object") == "batch":
        Batch.model_validate(line, strict=True)
        check_known(line, Batch, {"ttbatch"})
        require(set(line) >= set(Batch.model_fields), "every member of a Batch is present")
    else:
        check_output_line(line)


def main():
    bad = 0
    for number, text in enumerate(sys.stdin, 1):
        try:
            check(json.loads(text))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            bad += 1
            print(f"{number}: {error}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
