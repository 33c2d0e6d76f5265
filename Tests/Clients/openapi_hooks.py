"""Schemathesis' view of OpenAI's description of its API: the part that ttbatch serves, and how valid requests come about.

Every deviation from the description that is accepted is an entry of EXCEPTIONS, with its reason. Whatever else an answer has
that the description does not allow fails the run.
"""

import copy
import json
import os
import time
import urllib.request

import jsonschema_rs
import schemathesis
from hypothesis import strategies as st
from schemathesis.transport.requests import REQUESTS_TRANSPORT

URL = os.environ["TTBATCH_URL"]

SERVED = {
    "/files": ["get", "post"],
    "/files/{file_id}": ["get", "delete"],
    "/files/{file_id}/content": ["get"],
    "/batches": ["get", "post"],
    "/batches/{batch_id}": ["get"],
    "/batches/{batch_id}/cancel": ["post"],
    "/models": ["get"],
    "/models/{model}": ["get"],
    "/completions": ["post"],
    "/chat/completions": ["post"],
}


def may_be_null(*members):
    """These members may be null."""
    def change(schema):
        for member in members:
            schema["properties"][member] = {"anyOf": [schema["properties"][member], {"type": "null"}]}
    return change


def items_may_be_null(*members):
    """So may the items of these members of a completion's logprobs."""
    def change(schema):
        choice = schema["properties"]["choices"]["items"]
        logprobs = choice["properties"]["logprobs"]["anyOf"][0]["properties"]
        for member in members:
            logprobs[member]["items"] = {"anyOf": [logprobs[member]["items"], {"type": "null"}]}
    return change


# What is changed in the description, and why: the schema's name, the change, the reason.
EXCEPTIONS = [
    (
        "Batch",
        may_be_null(
            "errors", "output_file_id", "error_file_id", "in_progress_at", "expires_at", "finalizing_at", "completed_at",
            "failed_at", "expired_at", "cancelling_at", "cancelled_at", "model"),
        "OpenAI's own API answers with null for what is not there yet, and its clients' types have it so",
    ),
    (
        "ListFilesResponse", may_be_null("first_id", "last_id"),
        "an empty list has neither, and the description requires both members",
    ),
    (
        "ListBatchesResponse", may_be_null("first_id", "last_id"),
        "as of files: an empty list has neither",
    ),
    (
        "CreateCompletionResponse", items_may_be_null("token_logprobs", "top_logprobs"),
        "nothing is before the first token of an echoed prompt; OpenAI's own API answers with null there",
    ),
    (
        "CreateChatCompletionStreamResponse",
        lambda schema: may_be_null("logprobs", "finish_reason")(schema["properties"]["choices"]["items"]),
        "the description's own example of a stream has null in both, in all chunks but the last",
    ),
    (
        "CreateChatCompletionStreamResponse", may_be_null("usage"),
        "the description says so in words, and with a keyword that its version of OpenAPI no longer has",
    ),
]
# The same for answers as a whole: the path, the method, the change of its answer 200, the reason.
ANSWERS = [
    (
        "/files/{file_id}/content", "get",
        lambda answer: answer.update(content={"application/octet-stream": {"schema": {"format": "binary"}}}),
        "the contents of a file are bytes; the description has a JSON string, and OpenAI's own API sends octets",
    ),
    (
        "/completions", "post", lambda answer: answer["content"].update({"text/event-stream": {}}),
        "with stream: true it is a stream, which the description says of chats only; the chunks are checked below",
    ),
    (
        "/chat/completions", "post", lambda answer: answer["content"].update({"text/event-stream": {}}),
        "the description's schema is that of a chunk, and Schemathesis takes it for that of an event; checked below, too",
    ),
]


def goes_on(schema):
    """Members that only the last chunks have are null in the others."""
    may_be_null("usage")(schema)
    may_be_null("finish_reason")(schema["properties"]["choices"]["items"])


# The same for chunks of streams of completions, which the description does not have: they are completions otherwise.
CHUNK = (goes_on, "clients of OpenAI's API get null there, as in the chunks of chats, which the description has")


@schemathesis.hook
def before_load_schema(context, raw_schema):
    schemas = raw_schema["components"]["schemas"]
    raw_schema["paths"] = {
        path: {name: item for name, item in raw_schema["paths"][path].items() if name in ("parameters", *methods)}
        for path, methods in SERVED.items()
    }
    raw_schema.pop("security", None)
    for schema, change, _ in EXCEPTIONS:
        change(schemas[schema])
    for path, method, change, _ in ANSWERS:
        change(raw_schema["paths"][path][method]["responses"]["200"])
    make_validators(raw_schema)
    # The description lists hardly any refusal. Each must be its object of an error.
    refusal = {"description": "", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorResponse"}}}}
    for item in raw_schema["paths"].values():
        for method, operation in item.items():
            if method != "parameters":
                operation["responses"] = {"200": operation["responses"]["200"], "4XX": refusal}
    add_links(raw_schema["paths"])


def add_links(paths):
    """What can be done with what an answer tells: requests of objects that are there."""
    def link(path, method, target_path, target_method, **more):
        links = paths[path][method]["responses"]["200"].setdefault("links", {})
        target = paths[target_path][target_method]["operationId"]
        links[f"{target}{len(links)}"] = {"operationId": target, **more}

    made = [("/files", "post", "$response.body#/id"), ("/files", "get", "$response.body#/first_id")]
    for path, method, value in made:
        for target, target_method in [
            ("/files/{file_id}", "get"), ("/files/{file_id}", "delete"), ("/files/{file_id}/content", "get")]:
            link(path, method, target, target_method, parameters={"file_id": value})
        link(path, method, "/batches", "post", requestBody={
            "input_file_id": value, "endpoint": "/v1/completions", "completion_window": "24h"})
    for path, method, value in [
        ("/batches", "post", "$response.body#/id"), ("/batches", "get", "$response.body#/first_id")]:
        link(path, method, "/batches/{batch_id}", "get", parameters={"batch_id": value})
        link(path, method, "/batches/{batch_id}/cancel", "post", parameters={"batch_id": value})
    for member in ("output_file_id", "error_file_id", "input_file_id"):
        value = f"$response.body#/{member}"
        link("/batches/{batch_id}", "get", "/files/{file_id}", "get", parameters={"file_id": value})
        link("/batches/{batch_id}", "get", "/files/{file_id}/content", "get", parameters={"file_id": value})
    link("/models", "get", "/models/{model}", "get", parameters={"model": "$response.body#/data/0/id"})


# MARK: - Answers within answers

VALIDATORS = {}


def make_validators(raw_schema):
    """Schemas of what is a text within an answer: the chunks of a stream, and the lines of a file of results."""
    chunk = copy.deepcopy(raw_schema["components"]["schemas"]["CreateCompletionResponse"])
    CHUNK[0](chunk)
    for name, value in {
        "completion chunk": chunk, "chat chunk": {"$ref": "#/components/schemas/CreateChatCompletionStreamResponse"},
        "completion": {"$ref": "#/components/schemas/CreateCompletionResponse"},
        "chat": {"$ref": "#/components/schemas/CreateChatCompletionResponse"},
        "error": {"$ref": "#/components/schemas/ErrorResponse"},
    }.items():
        VALIDATORS[name] = jsonschema_rs.Draft202012Validator(
            {**value, "components": {"schemas": raw_schema["components"]["schemas"]}})


def check_value(name, value):
    error = next(VALIDATORS[name].iter_errors(value), None)
    assert error is None, f"not a {name} of OpenAI's: {error.message[:300]} at {error.instance_path}"


@schemathesis.check
def chunks_are_described(context, response, case):
    """The events of a stream."""
    if response.headers.get("content-type", [""])[0] != "text/event-stream":
        return
    *events, rest = response.content.decode().split("\n\n")
    assert rest == "" and events.pop() == "data: [DONE]", "the stream does not end with [DONE]"
    for event in events:
        assert event.startswith("data: ") and "\n" not in event, f"not an event: {event[:300]}"
        value = json.loads(event[6:])
        name = "error" if "error" in value else "chat chunk" if "chat" in case.operation.path else "completion chunk"
        check_value(name, value)


@schemathesis.check
def results_are_described(context, response, case):
    """The lines of a file of results."""
    if not case.operation.path.endswith("/content") or response.status_code != 200:
        return
    for line in response.content.splitlines():
        if not line.startswith(b'{"id":"batch_req_'):
            continue
        value = json.loads(line)
        # What is ttbatch's own is in a member of its own.
        members = [name for name in value if name != "ttbatch"]
        assert members == ["id", "custom_id", "response", "error"], f"not a line of results: {members}"
        if value["response"] is None:
            assert isinstance(value["error"]["code"], str) and isinstance(value["error"]["message"], str)
        else:
            body = value["response"]["body"]
            names = {"text_completion": "completion", "chat.completion": "chat"}
            check_value(names.get(body.get("object"), "error"), body)


# MARK: - What is there before the first request


def ask(method, path, body=None, kind="application/json"):
    data = json.dumps(body).encode() if isinstance(body, dict) else body
    url = path if path.startswith("http") else URL + path
    request = urllib.request.Request(url, data, {"Content-Type": kind} if data else {}, method=method)
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def upload(lines):
    content = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    form = (
        '--b\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n'
        f'--b\r\nContent-Disposition: form-data; name="file"; filename="a.jsonl"\r\n\r\n{content}\r\n--b--\r\n')
    return ask("POST", "/files", form.encode(), "multipart/form-data; boundary=b")["id"]


def run_batch(file, endpoint="/v1/completions", wanted=("completed", "failed", "cancelled"), cancel=False):
    batch = ask("POST", "/batches", {
        "input_file_id": file, "endpoint": endpoint, "completion_window": "24h", "metadata": {"a": "b"}})
    if cancel:
        while batch["status"] == "validating":
            batch = ask("GET", f"/batches/{batch['id']}")
        batch = ask("POST", f"/batches/{batch['id']}/cancel")
    while batch["status"] not in wanted:
        time.sleep(0.1)
        batch = ask("GET", f"/batches/{batch['id']}")
    return batch


def line(number, url="/v1/completions", **body):
    return {"custom_id": f"r{number}", "method": "POST", "url": url, "body": body}


MODEL = ask("GET", "/models")["data"][0]["id"]
LINES = [
    line(0, prompt="the king", max_tokens=2), line(1, prompt="a", max_tokens=1, logprobs=2),
    line(2, prompt="the king", max_tokens=9, echo=True, logprobs=0, n=2), "{", line(3, prompt="a", temperature=9),
]
CHAT_LINES = [
    line(number, "/v1/chat/completions", messages=[{"role": "user", "content": "hi"}], max_tokens=5, **more)
    for number, more in enumerate([{}, {"logprobs": True, "top_logprobs": 2}, {"n": 2}])
]
GOOD = upload(LINES[:3])
# One of each kind: with results, with errors of lines, and with a file of requests that were cancelled.
BATCHES = [
    run_batch(GOOD), run_batch(upload(CHAT_LINES), "/v1/chat/completions"), run_batch(upload(LINES)),
    run_batch(upload([line(number, prompt="a", max_tokens=200, ignore_eos=True) for number in range(60)]), cancel=True),
]
assert [batch["status"] for batch in BATCHES] == ["completed", "completed", "failed", "cancelled"], BATCHES
FILES = [batch[name] for batch in BATCHES for name in ("input_file_id", "output_file_id", "error_file_id") if batch[name]]
assert BATCHES[0]["output_file_id"] and BATCHES[3]["error_file_id"]
# In a queue that is paused batches stay open, for those who cancel them.
ask("POST", URL.removesuffix("/v1") + "/ttbatch/v1/queue/pause")
OPEN = [run_batch(GOOD, wanted=["in_progress"])["id"] for _ in range(40)]

# MARK: - Requests that have answers

schema = {"type": "object", "properties": {"a": {"enum": ["x", "y"]}}, "required": ["a"], "additionalProperties": False}
BOTH = {
    "model": st.just(MODEL), "max_tokens": st.integers(1, 12), "temperature": st.floats(0, 2), "top_p": st.floats(0.1, 1),
    "n": st.integers(1, 2), "stop": st.sampled_from(["a", ["b", "cd"]]), "seed": st.integers(-(2**63), 2**63 - 1),
    "presence_penalty": st.floats(-2, 2), "frequency_penalty": st.floats(-2, 2), "user": st.text(max_size=9),
    "logit_bias": st.just({"5": -100}), "stream": st.booleans(),
}
TEXTS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=30)
TEXT = {
    **BOTH, "prompt": st.one_of(
        TEXTS, st.lists(TEXTS, min_size=1, max_size=3), st.lists(st.integers(3, 200), min_size=1, max_size=9)),
    "logprobs": st.integers(0, 5), "echo": st.booleans(),
}
MESSAGE = st.one_of(
    st.fixed_dictionaries({"role": st.just("user"), "content": TEXTS}),
    st.fixed_dictionaries({"role": st.just("user"), "content": TEXTS.map(lambda text: [{"type": "text", "text": text}])}))
CHAT = {
    **BOTH, "messages": st.lists(MESSAGE, min_size=1, max_size=1), "max_completion_tokens": st.integers(1, 12),
    "logprobs": st.just(True), "top_logprobs": st.integers(0, 5), "metadata": st.just({"a": "b"}), "store": st.just(False),
    "response_format": st.sampled_from([
        {"type": "text"}, {"type": "json_object"},
        {"type": "json_schema", "json_schema": {"name": "s", "schema": schema, "strict": True}}]),
}


def some_of(fields, *required):
    needed = {name: fields[name] for name in required}
    optional = {name: value for name, value in fields.items() if name not in required}
    usage = {"stream_options": {"include_usage": True}}
    return st.builds(
        lambda body, wants_usage: body | (usage if wants_usage and body.get("stream") else {}),
        st.fixed_dictionaries(needed, optional=optional), st.booleans())


FITTING = {
    "/completions": some_of(TEXT, "model", "prompt", "max_tokens"),
    "/chat/completions": some_of(CHAT, "model", "messages", "max_tokens").filter(
        lambda body: "logprobs" in body or "top_logprobs" not in body),
    "/batches": st.fixed_dictionaries(
        {"input_file_id": st.sampled_from([batch["input_file_id"] for batch in BATCHES[:3]]),
         "endpoint": st.sampled_from(["/v1/completions", "/v1/chat/completions"]), "completion_window": st.just("24h")},
        optional={"metadata": st.dictionaries(st.text(max_size=9), st.text(max_size=9), max_size=3)}),
    "/files": st.fixed_dictionaries(
        {"purpose": st.just("batch"), "file": st.lists(st.sampled_from(LINES), min_size=1, max_size=4).map(
            lambda lines: "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines).encode())},
        optional={"expires_after": st.fixed_dictionaries(
            {"anchor": st.just("created_at"), "seconds": st.integers(3600, 2592000)})}),
}


@schemathesis.hook
def before_generate_body(context, strategy):
    """Half of the requests are what this server can answer: what the description generates has fields of every model."""
    fitting = FITTING.get(context.operation.path)
    return strategy if fitting is None else st.one_of(strategy, fitting)


@schemathesis.hook
def before_generate_path_parameters(context, strategy):
    """Half of the objects that requests name are there, and are not deleted."""
    known = {"{batch_id}": [batch["id"] for batch in BATCHES] + OPEN, "{file_id}": FILES, "{model}": [MODEL]}
    for place, values in known.items():
        if place in context.operation.path and context.operation.method != "delete":
            return st.one_of(strategy, st.fixed_dictionaries({place.strip("{}"): st.sampled_from(values)}))
    return strategy


@REQUESTS_TRANSPORT.serializer("multipart/form-data")
def form(context, value):
    """As OpenAI's clients send it: a file has a name, and members of objects have brackets."""
    if not isinstance(value, dict):
        return {"data": value if isinstance(value, bytes) else json.dumps(value).encode()}
    parts = []
    for name, member in value.items():
        if isinstance(member, dict):
            parts += [(f"{name}[{key}]", (None, text(inner))) for key, inner in member.items()]
        else:
            parts.append((name, ("in.jsonl" if name == "file" else None, text(member))))
    return {"files": parts}


def text(value):
    value = getattr(value, "data", value)
    return value if isinstance(value, (bytes, str)) else json.dumps(value)
