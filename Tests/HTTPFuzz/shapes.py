"""Valid requests of every route, and ways in which texts, JSON and bytes become wrong."""

import base64
import gzip
import json
import threading

from wire import Request

JSON = ("Content-Type", "application/json")
NUMBERS = [
    0, 1, -1, 2, 7, 127, 128, 129, 255, 256, 2**15, 2**16, 2**31 - 1, 2**31, -(2**31), 2**32, 2**53 + 1, 2**63 - 1, 2**63,
    -(2**63), -(2**63) - 1, 2**64, 10**30, 0.5, -0.0, 1e-320, 1e308, 1.5e300,
]
# Texts that parsers of texts trip over.
TEXTS = [
    "", " ", "\0", "\n", "\r\n", "a" * 300, "a" * 5000, "%", "%00", "%zz", "../../etc/passwd", "/etc/passwd", "null", "true",
    "-1", "1e5", "+1", "0x10", "١", "é", "e\u0301", "\u202e", "\ud800", "\U0001f600", "🏳️‍🌈" * 40, "<|im_end|>",
    "<script>alert(1)</script>", "{{ x }}", "{% for i in range(9999999) %}{% endfor %}", "(a+)+$", "[" * 200,
    "' OR 1=1 --", "batch_1", "file-0", "http://169.254.169.254/", "data:image/png;base64,AAAA", "9" * 400,
]


class State:
    """What valid requests need of the server, and what was made on it."""

    def __init__(self, key, model):
        self.key, self.model = key, model
        self.token = self.cookie = ""
        self.lock = threading.Lock()
        self.files, self.batches = [], []

    def note(self, answer):
        """Remembers what an answer made."""
        if answer.status != 200 or answer.headers.get("content-type") != "application/json":
            return
        value = json.loads(answer.body)
        if not isinstance(value, dict):
            return
        with self.lock:
            if value.get("object") == "file" and not value.get("deleted"):
                self.files.append(value["id"])
            elif value.get("object") == "batch" and not value.get("deleted"):
                self.batches.append(value["id"])
                self.files += [value[name] for name in ("output_file_id", "error_file_id") if value.get(name)]
            for stored in value.get("stored") or ():
                self.batches.append(f"batch_{stored['batch']}")
            # Older ones are deleted.
            self.files, self.batches = list(dict.fromkeys(self.files))[-50:], list(dict.fromkeys(self.batches))[-30:]

    def file(self, random):
        with self.lock:
            return random.choice(self.files) if self.files else "file-00000000000000000000000000000000"

    def batch(self, random):
        with self.lock:
            return random.choice(self.batches) if self.batches else "batch_1"


def line(random, number, **more):
    if random.random() < 0.7:
        url, body = "/v1/completions", {"prompt": f"the king {number}", "max_tokens": random.randrange(1, 4)}
    else:
        url, body = "/v1/chat/completions", {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 2}
    return {"custom_id": f"r{number}", "method": "POST", "url": url, "body": {**body, "seed": number, **more}}


def prompt_file(random):
    return "\n".join(json.dumps(line(random, number)) for number in range(random.randrange(1, 4))).encode()


def form(random, content, name="in.jsonl", boundary="b", purpose="batch", more=()):
    parts = [("purpose", None, purpose.encode()), *more, ("file", name, content)]
    body = b""
    for field, filename, value in parts:
        disposition = f'form-data; name="{field}"' + (f'; filename="{filename}"' if filename is not None else "")
        body += f"--{boundary}\r\nContent-Disposition: {disposition}\r\n\r\n".encode() + value + b"\r\n"
    return Request(
        "POST", "/v1/files", [("Content-Type", f"multipart/form-data; boundary={boundary}")],
        body + f"--{boundary}--\r\n".encode())


def completion(random, state, **more):
    body = {"prompt": "the king", "max_tokens": random.randrange(1, 5), "seed": random.randrange(1000)}
    optional = {
        "model": state.model, "temperature": 0.7, "top_p": 0.9, "n": 2, "stop": ["a", "xyz"], "logprobs": 3, "echo": True,
        "presence_penalty": 0.5, "frequency_penalty": -0.5, "logit_bias": {"5": -100}, "user": "u", "top_k": 4, "min_p": 0.1,
        "min_tokens": 1, "ignore_eos": True, "stop_token_ids": [7], "repetition_penalty": 1.1, "stream": True,
        "stream_options": {"include_usage": True}, "best_of": 2, "suffix": None, "skip_special_tokens": False,
        "prompt_logprobs": 1, "truncate_prompt_tokens": 3, "guided_regex": "[ab]+", "guided_choice": ["a", "b"],
        "guided_json": {"type": "object", "properties": {"a": {"type": "integer"}}},
    }
    for name in random.sample(sorted(optional), random.choice([0, 0, 1, 2, 4])):
        body[name] = optional[name]
    return {**body, **more}


def chat(random, state, **more):
    messages = [{"role": "user", "content": "hi"}]
    if random.random() < 0.3:
        messages.insert(0, {"role": "system", "content": [{"type": "text", "text": "be short"}]})
    body = {"messages": messages, "max_tokens": random.randrange(1, 5), "seed": random.randrange(1000)}
    schema = {
        "type": "object", "required": ["a"],
        "properties": {"a": {"type": "string", "pattern": "^x+$"}, "b": {"enum": [1, 2]}}}
    tool = {"type": "function", "function": {"name": "f", "description": "d", "parameters": schema}}
    optional = {
        "model": state.model, "temperature": 0, "logprobs": True, "top_logprobs": 2, "n": 2, "stop": "q", "stream": True,
        "response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": schema, "strict": True}},
        "tools": [tool], "tool_choice": "auto", "max_completion_tokens": 3, "metadata": {"a": "b"}, "store": False,
        "chat_template_kwargs": {"enable_thinking": False}, "reasoning_effort": "low", "parallel_tool_calls": False,
        "add_generation_prompt": True, "continue_final_message": False,
    }
    for name in random.sample(sorted(optional), random.choice([0, 0, 1, 2, 4])):
        body[name] = optional[name]
    return {**body, **more}


def post(target, value, *headers):
    return Request("POST", target, [JSON, *headers], json.dumps(value).encode())


def of_page(target, fields, state):
    body = "&".join(f"{name}={value}" for name, value in fields.items()).encode()
    return Request(
        "POST", target, [("Content-Type", "application/x-www-form-urlencoded"), ("Cookie", state.cookie)], body)


def valid(random, state):
    """A request that is right, with or without an object that is there."""
    file, batch = state.file(random), state.batch(random)
    number = batch.removeprefix("batch_")
    verbs = "/ttbatch/v1"
    content = prompt_file(random)
    pages = [
        lambda: Request("GET", random.choice(["/health", "/ready", "/version", "/metrics", "/tokenizer_info"])),
        lambda: Request("GET", random.choice(["/v1/models", f"/v1/models/{state.model}"])),
        lambda: post("/v1/completions", completion(random, state)),
        lambda: post("/v1/completions", completion(random, state, stream=True)),
        lambda: post("/v1/chat/completions", chat(random, state)),
        lambda: post("/tokenize", random.choice([completion, chat])(random, state, return_token_strs=True)),
        lambda: post("/detokenize", {"tokens": [random.randrange(200) for _ in range(random.randrange(30))]}),
        lambda: Request("GET", random.choice(["/v1/files", "/v1/files?limit=3&order=asc", f"/v1/files?after={file}"])),
        lambda: form(random, content),
        lambda: form(random, gzip.compress(content), name="in.jsonl.gz", more=[
            ("expires_after[anchor]", None, b"created_at"), ("expires_after[seconds]", None, b"3600")]),
        lambda: Request("GET", f"/v1/files/{file}"),
        lambda: Request("GET", f"/v1/files/{file}/content"),
        lambda: Request(
            "GET", f"/v1/files/{file}/content",
            [("Range", random.choice(["bytes=0-9", "bytes=-5", "bytes=5-", "bytes=3-3", "bytes=99999-"]))]),
        lambda: Request("GET", f"/v1/files/{file}/content?offset={random.randrange(3)}"),
        lambda: Request("GET", random.choice(["/v1/batches", "/v1/batches?limit=2", f"/v1/batches?after={batch}"])),
        lambda: post("/v1/batches", {
            "input_file_id": file, "endpoint": random.choice(["/v1/completions", "/v1/chat/completions"]),
            "completion_window": "24h", "metadata": {"a": "b"},
            "output_expires_after": {"anchor": "created_at", "seconds": 3600}}, (
                "Idempotency-Key", f"k{random.randrange(50)}")),
        lambda: post("/v1/batches", {
            "input_file_id": file, "endpoint": "/v1/completions", "completion_window": random.choice(["24h", "1s", "90m"])}),
        lambda: Request("GET", f"/v1/batches/{batch}"),
        lambda: Request("POST", f"/v1/batches/{batch}/{random.choice(['cancel', 'retry'])}"),
        lambda: Request("DELETE", f"/v1/{random.choice([f'batches/{batch}', f'files/{file}'])}"),
        lambda: Request("GET", verbs + random.choice([
            "/queue/daemon", "/queue/paused", "/status", "/metrics?incarnation=1", "/metrics?from=0&to=9000000000000",
            "/metrics/summary?incarnation=1", "/names?name=n1", "/batches?limit=5", "/batches?drafts=true&before=9"])),
        lambda: Request("GET", f"{verbs}/batches/{number}" + random.choice([
            "", "/failures", "/another-attempt", "/recent-completions", "/metrics", "/metrics/summary",
            "/results?order=input&states=succeeded,failed&after=1&limit=2", "/results?order=completion&states=succeeded"])),
        lambda: Request("POST", f"{verbs}/batches/{number}/" + random.choice([
            "pause", "resume", "resume", "cancel", "retry?states=failed,expired", "retry?states=failed&error_code=x"])),
        lambda: Request("POST", f"{verbs}/queue/{random.choice(['pause', 'resume', 'resume', 'resume'])}"),
        lambda: Request("POST", f"{verbs}/batches?file=a.jsonl" + random.choice([
            "", f"&name=n{random.randrange(20)}&if_not_exists=true", "&skip_invalid=true&max_errors=3", "&priority=5",
            "&deadline_ms=9000000000000", f"&model={state.model}", "&map_model=gpt-4%3Dtiny-f16"]), [], content),
        lambda: Request("POST", f"{verbs}/batches?file=a.jsonl.gz", [], gzip.compress(content)),
        lambda: Request(
            "POST", f"{verbs}/batches?file=a.jsonl&file=b.jsonl", [("Content-Type", "application/x-ttbatch-files")],
            b"".join(len(part).to_bytes(4, "big") + part for part in (content, b"", content, b""))),
        lambda: Request("GET", random.choice(["/", f"/?batch={batch}", f"/?batch={batch}&sample=3", f"/?before={batch}"])),
        lambda: Request("GET", random.choice(["/login", "/page.css", "/page.js", "/none"])),
        lambda: of_page("/login", {"token": state.token, "key": state.key}, state),
        lambda: of_page(f"/actions/{random.choice(['pause', 'resume', 'resume', 'cancel', 'retry'])}", {
            "token": state.token, "batch": batch, "code": "x", "from": batch}, state),
        lambda: of_page("/actions/resume", {"token": state.token}, state),
        lambda: post("/v1/embeddings", {"input": "a"}),
    ]
    request = random.choice(pages)()
    if not any(name == "Cookie" for name, _ in request.headers):
        request.headers.append(("Authorization", f"Bearer {state.key}"))
    return request


# MARK: - Making things wrong


def wrong_value(random, depth=0):
    """Any value of JSON."""
    kind = random.randrange(8 if depth < 3 else 5)
    if kind == 0:
        return random.choice(NUMBERS)
    if kind in (1, 2):
        return random.choice(TEXTS)
    if kind == 3:
        return random.choice([None, True, False])
    if kind == 4:
        return random.choice([[], {}, [[]], [None], [{}]])
    if kind == 5:
        return [wrong_value(random, depth + 1) for _ in range(random.choice([1, 2, 3, 20]))]
    if kind == 6:
        return {random.choice(TEXTS): wrong_value(random, depth + 1) for _ in range(random.randrange(4))}
    return [random.choice([0, "a", {}])] * random.choice([200, 2049, 10_001])


def places(value, path=()):
    """The paths of all values within a value of JSON."""
    yield path
    if isinstance(value, dict):
        for key in value:
            yield from places(value[key], (*path, key))
    elif isinstance(value, list):
        for index in range(len(value)):
            yield from places(value[index], (*path, index))


def replaced(value, path, change):
    if not path:
        return change(value)
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = replaced(copy[path[0]], path[1:], change)
    return copy


def wrong_json(random, value):
    """The bytes of a value of JSON that has become wrong in some places."""
    for _ in range(random.choice([1, 1, 1, 2, 4])):
        path = random.choice(list(places(value)))
        value = replaced(value, path, lambda old: wrong_member(random, old))
    text = json.dumps(value, ensure_ascii=random.random() < 0.5).encode("utf-8", "surrogatepass")
    if random.random() < 0.1:
        depth = random.choice([100, 127, 128, 129, 1000, 50_000])
        deep = random.choice([b"[" * depth + b"]" * depth, b'{"a":' * depth + b"1" + b"}" * depth, b"[" * depth])
        text = text.replace(b"null", deep, 1) if b"null" in text else text[:-1] + b',"x":' + deep + b"}"
    return wrong_bytes(random, text) if random.random() < 0.15 else text


def wrong_member(random, old):
    if isinstance(old, dict) and random.random() < 0.6:
        old = dict(old)
        if old and random.random() < 0.5:
            old.pop(random.choice(list(old)))
        else:
            old[random.choice([*TEXTS, "n", "stop", "model", "stream", "type", "$ref"])] = wrong_value(random)
        return old
    if isinstance(old, list) and old and random.random() < 0.6:
        return old * random.choice([0, 2, 3, 300])
    if isinstance(old, str) and random.random() < 0.5:
        place = random.randrange(len(old) + 1)
        return old[:place] + random.choice(TEXTS) + old[place:]
    return wrong_value(random)


def wrong_bytes(random, data):
    """Bytes with some changes."""
    data = bytearray(data)
    for _ in range(random.choice([1, 1, 2, 5, 20])):
        place = random.randrange(len(data) + 1)
        other = place + random.choice([1, 1, 2, 4, 16, 100])
        kind = random.randrange(7)
        if kind == 0 and place < len(data):
            data[place] ^= 1 << random.randrange(8)
        elif kind == 1:
            data[place:place] = bytes(random.randrange(256) for _ in range(random.choice([1, 1, 2, 8])))
        elif kind == 2:
            del data[place:other]
        elif kind == 3:
            data[place:place] = data[place:other]
        elif kind == 4:
            data[place:place] = random.choice([
                b"\r\n", b"\n", b"\r", b"\0", b" ", b"\t", b":", b";", b",", b'"', b"\xff\xfe", b"\xc0\x80", b"\xed\xa0\x80",
                b"\xf4\x90\x80\x80", b"%00", b"\r\n\r\n", b"0\r\n\r\n", b"--b\r\n", b"--b--", b"HTTP/1.1", b"chunked"])
        elif kind == 5:
            del data[place:]
        else:
            data[place:other] = str(random.choice(NUMBERS)).encode()
    return bytes(data)


def wrong_query(random, target):
    """A target with another query."""
    path = target.split("?")[0]
    names = [
        "limit", "after", "before", "order", "purpose", "offset", "states", "incarnation", "from", "to", "name", "file",
        "drafts", "error_code", "batch", "sample", "done", "skip_invalid", "max_errors", "map_model", "model", "priority",
        "deadline_ms", "if_not_exists", "x", ""]
    pairs = []
    for _ in range(random.choice([0, 1, 1, 2, 3, 40])):
        value = random.choice([
            str(random.choice(NUMBERS)),
            random.choice(["asc", "desc", "batch", "succeeded", "failed,pending", "true", "input"]),
            "".join(f"%{byte:02x}" for byte in random.choice(TEXTS)[:200].encode("utf-8", "surrogatepass")),
            "%ff%fe", "%", "%4", "a=b", "+", ";", "%25%30%30"])
        pairs.append(random.choice(names) + random.choice(["=", "=", "=", "", "=="]) + value)
    if random.random() < 0.2:
        path = random.choice([
            path + "/", "/" + path, path + "/..", path.replace("v1", "V1"), path + "%2f", path + "//", path + "/%00",
            path.replace("/", "/./"), "http://localhost" + path, "*", path + "#a", path + "?", path + "/x/y/z"])
    return path + random.choice(["?", "?", "??"]) + "&".join(pairs)


def wrong_header(random):
    """A header that is odd."""
    name = random.choice([
        "Range", "Range", "Content-Type", "Accept", "Cookie", "Origin", "Expect", "Idempotency-Key", "Authorization",
        "X-Api-Key", "Connection", "If-None-Match", "Accept-Encoding", "X-Forwarded-Proto", "Upgrade", "TE", "Trailer",
        "Content-Encoding", "X-Last-Line", "Referer", "Date"])
    number = lambda: str(random.choice(NUMBERS))
    value = random.choice([
        f"bytes={number()}-{number()}", f"bytes=-{number()}", f"bytes={number()}-", "bytes=0-0,5-6", "bytes=a-", "bytes",
        "multipart/form-data", "multipart/form-data; boundary=", 'multipart/form-data; boundary="', "text/html", "*/*",
        "ttbatch_session=" + "0" * 32, "ttbatch_session=;ttbatch_session", "http://localhost", "null", "file://", "//",
        "100-continue", "200-ok", "Bearer", "Bearer ", "Bearer x y", "Basic YTpi", "bearer ttb_" + "a" * 40,
        "close", "upgrade, HTTP2-Settings", "h2c", "websocket", "trailers", "gzip", "k" * 201, "", "\t", "\xe9", "\x7f",
        "a" * random.choice([100, 8000]), base64.b64encode(b"\0" * 30).decode()])
    return name, value.encode("latin-1", "ignore")
