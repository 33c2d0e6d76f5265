"""Checks that JSON objects are what OpenAI's own Python client takes for its types.

Reads JSONL on standard input and validates each line strictly (no coercion, no unknown members but ttbatch's own):
a batch output line with its response body, or a Batch object. Prints one line for each bad line; exit status 1 if any.

    python3 -m venv venv && venv/bin/pip install openai==3.54.0
    TTBATCH_WRITE_OPENAI_FILES=1 swift test --filter OpenAIFormatsTests
    venv/bin/python check_objects.py < output.jsonl && venv/bin/python check_objects.py < batches.jsonl

`output.jsonl` and `batches.jsonl` hold what OutputLineTests.swift and BatchObjectTests.swift compare with byte by byte;
the second command writes them anew.
"""

import copy
import json
import sys

from openai.types import Batch, Completion, CompletionChoice
from openai.types.chat import ChatCompletion
from openai.types.chat.chat_completion import Choice
from openai.types.chat.chat_completion_message import ChatCompletionMessage

TOKEN_KEYS = {"token_ids", "prompt_token_ids"}
TIMING_KEYS = {"queued_ms", "prefill_ms", "decode_ms", "total_ms", "attempt"}
NOT_RUN_CODES = {"batch_expired", "batch_cancelled", "batch_failed"}


def require(condition, message):
    if not condition:
        raise ValueError(message)


def check_known(value, model, own=frozenset()):
    unknown = set(value) - set(model.model_fields) - own
    require(not unknown, f"members unknown to {model.__name__}: {sorted(unknown)}")


def check_logprobs(logprobs, chat):
    if chat:
        for position in logprobs["content"]:
            for token in [position, *position["top_logprobs"]]:
                require(-9999 <= token["logprob"] <= 0, "a logprob above 0")
                require(all(0 <= byte < 256 for byte in token["bytes"]), "bytes of a token")
        return
    tokens, offset = logprobs["tokens"], 0
    lengths = {len(logprobs[key]) for key in ("tokens", "token_logprobs", "top_logprobs", "text_offset")}
    require(lengths == {len(tokens)}, "arrays of different lengths")
    for place, token in enumerate(tokens):
        require(logprobs["text_offset"][place] == offset, "text_offset")
        offset += len(token)
        own, top = logprobs["token_logprobs"][place], logprobs["top_logprobs"][place]
        require((own is None) == (top is None) == (own is None and place == 0) or own is not None, "null logprobs")
        require(top is None or token in top, "the token is not among the top ones")


def check_prompt_logprobs(positions):
    """vLLM's: list[dict[int, Logprob] | None], Logprob(logprob, rank, decoded_token)."""
    require(positions[0] is None, "the first token of a prompt has a logprob")
    for position in positions[1:]:
        for token, value in position.items():
            require(str(int(token)) == token, "a key that is no token id")
            require(set(value) == {"logprob", "rank", "decoded_token"}, "prompt_logprobs members")
            require(-9999 <= value["logprob"] <= 0 and type(value["rank"]) is int, "logprob and rank")


def without_null_of_first_token(body):
    """The body as the client's types say. With `echo`, the first token of a prompt has a null in the arrays of logprobs:
    OpenAI's API sends that too, but its types do not say so."""
    body = copy.deepcopy(body)
    for choice in body["choices"]:
        logprobs = choice["logprobs"]
        if logprobs and logprobs.get("token_logprobs") and logprobs["token_logprobs"][0] is None:
            logprobs["token_logprobs"][0], logprobs["top_logprobs"][0] = 0.0, {}
    return body


def check_completed(body):
    chat = body["object"] == "chat.completion"
    model, choice_model = (ChatCompletion, Choice) if chat else (Completion, CompletionChoice)
    model.model_validate(without_null_of_first_token(body), strict=True)
    check_known(body, model, {"prompt_logprobs"} if chat else frozenset())
    if "prompt_logprobs" in body:
        check_prompt_logprobs(body["prompt_logprobs"])
    require([choice["index"] for choice in body["choices"]] == list(range(len(body["choices"]))), "indices")
    for choice in body["choices"]:
        check_known(choice, choice_model, TOKEN_KEYS | {"stop_reason"} | (set() if chat else {"prompt_logprobs"}))
        if chat:
            check_message(choice["message"], choice["finish_reason"])
        if choice["logprobs"] is not None:
            check_logprobs(choice["logprobs"], chat)
        if "prompt_logprobs" in choice:
            check_prompt_logprobs(choice["prompt_logprobs"])
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


def check_own_members(own):
    timings = set(own) & TIMING_KEYS
    require(not set(own) - TIMING_KEYS - {"structured", "unread", "scores", "confidence", "seed"}, "ttbatch members")
    require(not timings or timings == TIMING_KEYS, "some timings are missing")
    require(all(type(own[key]) is int for key in timings), "ttbatch values")
    require(all(state in ("complete", "incomplete", None) for state in own.get("structured", [])), "structured")
    require(all(reason is None or type(reason) is str for reason in own.get("unread", [])), "unread")
    require(type(own.get("seed", 0)) is int, "seed")
    for scores in own.get("scores", []):
        require(all(set(score) >= {"text", "logprob", "tokens", "greedy"} for score in scores or []), "scores")
        require(all(-9999 <= score["logprob"] <= 0 for score in scores or []), "the logprob of a text")
    for values in own.get("confidence", []):
        require(values is None or all(0 <= value <= 1 for value in values.values()), "confidence")


def check_message(message, finish_reason):
    calls = message.get("tool_calls", [])
    require("tool_calls" not in message or calls, "an empty list of calls")
    require(finish_reason != "tool_calls" or calls, "finished by calls without any")
    require(message["content"] is not None or calls or message.get("reasoning"), "a message without content")
    for call in calls:
        require(isinstance(json.loads(call["function"]["arguments"]), dict), "arguments are no object")
    require(len({call["id"] for call in calls}) == len(calls), "two calls with one id")
    # vLLM's member, which OpenAI's client passes on.
    check_known(message, ChatCompletionMessage, {"reasoning"})


def check_output_line(line):
    require(set(line) - {"ttbatch"} == {"id", "custom_id", "response", "error"}, "output line members")
    require(line["id"].startswith("batch_req_"), "id")
    require(isinstance(line["custom_id"], str) and line["custom_id"], "custom_id")
    require((line["response"] is None) != (line["error"] is None), "exactly one of response and error")
    if "ttbatch" in line:
        check_own_members(line["ttbatch"])
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
