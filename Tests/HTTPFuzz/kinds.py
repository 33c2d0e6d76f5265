"""The kinds of exchanges that the fuzzer has with the server. Each is drawn from random numbers of its own."""

import dataclasses
import json
import zlib

import shapes
from wire import Request, pieces

# Seconds that the server is told to wait for heads, for bytes, and for further requests.
PATIENCE = 3


@dataclasses.dataclass
class Exchange:
    """What is sent on one connection, and what has to come back."""

    # Bytes, and seconds of silence.
    sends: list
    # The methods of the requests whose answers are read, in their order.
    methods: list = dataclasses.field(default_factory=lambda: ["GET"])
    # Answers may be missing: the connection may end in their place.
    may_end: bool = True
    # After the answers: `close`, `reset`, `half` (ends its own direction first), or `wait` for the server to end it.
    end: str = "close"
    # Reads no more than so many bytes.
    most: int = None
    # What is wrong with the answers; None: nothing.
    check: object = lambda answers: None


def with_key(state, *headers):
    return [("Authorization", f"Bearer {state.key}"), *headers]


def status(*expected):
    def check(answers):
        if not answers or answers[0].status not in expected:
            return f"expected {expected}, not {answers[0] if answers else 'the end'}"
    return check


def whole(random, request, **more):
    """A request whose end is certain."""
    data = request.chunked(random) if request.body is not None and random.random() < 0.15 else request.wire()
    sends = pieces(random, data) if random.random() < 0.3 else [data]
    return Exchange(sends, [request.method], **more)


def valid(random, state):
    request = shapes.valid(random, state)
    if request.target.startswith("/events"):
        return Exchange([request.wire()], most=200)
    # Contents whose batch is deleted meanwhile end with the connection.
    return whole(random, request, may_end="/content" in request.target)


def certain(random, state):
    """Requests whose answers are known."""
    tokens = [random.randrange(3, 200) for _ in range(5)]
    request, check = random.choice([
        (Request("GET", "/health"), status(200)),
        (shapes.post("/v1/completions", {"prompt": "a", "max_tokens": 1}, *with_key(state)), status(200)),
        (shapes.post("/v1/completions", {"prompt": tokens, "max_tokens": 2, "stream": True}, *with_key(state)), status(200)),
        (shapes.post("/detokenize", {"tokens": tokens}, *with_key(state)), status(200)),
        (Request("GET", "/v1/models"), status(401)),
        (Request("GET", "/v1/models", [("Authorization", "Bearer ttb_" + "a" * 40)]), status(401)),
        (Request("GET", "/health", [("x", "y")] * 101), status(431)),
        (Request("GET", "/health", [("x", "y" * (16 << 10))]), status(431)),
        (Request("GET", "/health?" + "y" * (17 << 10)), status(431)),
        (Request("GET", "/none", with_key(state)), status(404)),
        (shapes.post("/v1/completions", {"prompt": [[1]] * 2049}, *with_key(state)), status(400)),
        (Request("POST", "/login", [("Origin", "http://evil.example")], b""), status(403)),
    ])
    return whole(random, request, check=check, may_end=False)


def wrong_bytes(random, state):
    """Any request with changed bytes: nobody knows what it is then."""
    data = shapes.wrong_bytes(random, shapes.valid(random, state).wire())
    return Exchange(pieces(random, data) or [b"\r\n"], ["GET"] * 3, end=ending(random))


def ending(random):
    """Waits seldom: that takes as long as the server's patience."""
    return random.choices(["half", "close", "reset", "wait"], [60, 20, 18, 2])[0]


def wrong_json(random, state):
    request = random.choice([
        lambda: shapes.post("/v1/completions", shapes.completion(random, state)),
        lambda: shapes.post("/v1/chat/completions", shapes.chat(random, state)),
        lambda: shapes.post("/tokenize", random.choice([shapes.completion, shapes.chat])(random, state)),
        lambda: shapes.post("/detokenize", {"tokens": [1, 2], "model": state.model}),
        lambda: shapes.post("/v1/batches", {
            "input_file_id": state.file(random), "endpoint": "/v1/completions", "completion_window": "24h",
            "metadata": {"a": "b"}, "output_expires_after": {"anchor": "created_at", "seconds": 3600}}),
    ])()
    request.body = shapes.wrong_json(random, json.loads(request.body))
    request.headers += with_key(state)
    return whole(random, request, may_end=False)


def wrong_lines(random, state):
    """Files of prompts with wrong lines, by both ways that lead to the queue."""
    lines = [shapes.line(random, number) for number in range(random.randrange(1, 5))]
    content = b"\n".join(
        shapes.wrong_json(random, line) if random.random() < 0.6 else json.dumps(line).encode() for line in lines)
    packed = random.choice([content, content, content, zlib.compress(content, wbits=31)])
    if random.random() < 0.2:
        packed = shapes.wrong_bytes(random, packed)
    name = random.choice(["a.jsonl", "a.jsonl.gz", "a.jsonl.zst", "a.csv"])
    if random.random() < 0.4:
        request = shapes.form(random, packed, name=name)
    elif random.random() < 0.8:
        skips = random.choice(["true", "false"])
        request = Request("POST", f"/ttbatch/v1/batches?file={name}&skip_invalid={skips}", [], packed)
    else:
        frames = len(packed).to_bytes(4, "big") + packed + bytes(4)
        request = Request(
            "POST", "/ttbatch/v1/batches?file=a&file=b", [("Content-Type", "application/x-ttbatch-files")],
            shapes.wrong_bytes(random, frames + frames))
    request.headers += with_key(state)
    return whole(random, request)


def wrong_query(random, state):
    request = shapes.valid(random, state)
    request.target = shapes.wrong_query(random, request.target)
    if random.random() < 0.3:
        request.headers.append(shapes.wrong_header(random))
    return Exchange([request.wire()], [request.method], most=20_000, end=random.choice(["close", "half"]))


def wrong_headers(random, state):
    request = shapes.valid(random, state)
    if random.random() < 0.5:
        request = Request("GET", f"/v1/files/{state.file(random)}/content", with_key(state))
    for _ in range(random.choice([1, 1, 2, 3, 99, 200])):
        request.headers.append(shapes.wrong_header(random))
    data = request.wire()
    if random.random() < 0.3:
        odd = random.choice([
            b"Host: evil.example", b"Host:", b"host: localhost", b" folded", b"no colon", b": empty", b"a b: c", b"\xff: a",
            b"x: \0", b"Content-Length: 5", b"Content-Length: -1", b"Content-Length: 18446744073709551616", b"x:y" * 6000,
            b"Transfer-Encoding: gzip", b"x" * 20_000 + b": y", b"Expect: 100-continue", b"Connection: close, x"])
        data = data.replace(b"\r\n", b"\r\n" + odd + b"\r\n", 1)
    return Exchange([data], [request.method], end=ending(random), most=20_000)


def methods(random, state):
    request = shapes.valid(random, state)
    request.method = random.choice([
        "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "PRI", "get", "M-SEARCH", "CONNECT",
        "X", "G" * 300, "G\0T"])
    if random.random() < 0.1:
        request.target = random.choice(["*", "localhost:80", "//", "", " ", "\\", "/" + "a/" * 3000])
    return Exchange([request.wire()], [request.method], end="half", most=20_000)


def chunks(random, state):
    """Wrong encodings of bodies in chunks."""
    body = b'{"prompt":"a","max_tokens":1}'
    size = b"%x" % len(body)
    good = size + b"\r\n" + body + b"\r\n0\r\n\r\n"
    wrong = random.choice([
        b"zz\r\n" + good, b"-1\r\n" + good, b"\r\n" + good, b"0x5\r\n" + good, b"ffffffffffffffff\r\n" + body,
        b"fffffffffffffffff\r\n" + body, size + b";" + b"x" * 30_000 + b"\r\n" + body,
        size + b";a=b\r\n" + body + b"\r\n0\r\n\r\n",
        size + b"\r\n" + body + b"XX0\r\n\r\n", size + b"\n" + body + b"\n0\n\n", size + b" \r\n" + body + b"\r\n0\r\n\r\n",
        size + b"\r\n" + body + b"\r\n0\r\na: b\r\n\r\n", size + b"\r\n" + body + b"\r\n0\r\n" + b"a: b\r\n" * 500 + b"\r\n",
        size + b"\r\n" + body + b"\r\n0\r\nContent-Length: 5\r\n\r\n", size + b"\r\n" + body[:5], b"1\r\n{\r\n" * 3000,
        size + b"\r\n" + body + b"\r\n", b"0" * 200 + good, b"0\r\n\r\n", good + good, shapes.wrong_bytes(random, good)])
    path = random.choice(["/v1/completions", "/v1/files", "/v1/batches", "/tokenize", "/ttbatch/v1/batches?file=a", "/login"])
    head = Request("POST", path, with_key(state)).head()[:-2] + b"Transfer-Encoding: chunked\r\n\r\n"
    return Exchange([head, *pieces(random, wrong, 3)], ["POST"] * 2, end=ending(random))


def smuggling(random, state):
    """Requests whose end two programs can see in different places: what is behind them must never be answered."""
    hidden = Request("GET", "/none/smuggled", with_key(state)).wire()
    head = Request("POST", "/tokenize", with_key(state)).head()[:-2]
    both = b"Content-Length: %d\r\nTransfer-Encoding: chunked\r\n" % random.choice([3, 5, len(hidden) + 5])
    lines = random.choice([
        both, both.replace(b"chunked", b"Chunked"), b"Transfer-Encoding: chunked\r\n" + b"Content-Length: 6\r\n",
        b"Content-Length: 5\r\nContent-Length: 6\r\n", b"Content-Length: 5, 6\r\n", b"Content-Length: +5\r\n",
        b"Content-Length: 0x5\r\n", b"Content-Length: 5 5\r\n", b"Content-Length : 5\r\n",
        b"Content-Length: 5\r\n Content-Length: 6\r\n",
        b"Transfer-Encoding : chunked\r\n", b"Transfer-Encoding: xchunked\r\n", b"Transfer-Encoding: chunked, identity\r\n",
        b"Transfer-Encoding: \x0bchunked\r\n", b"Transfer-Encoding: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        b"Transfer-Encoding:\n chunked\r\nContent-Length: 5\r\n", b"X: y\rTransfer-Encoding: chunked\r\n"])
    data = head + lines + b"\r\n" + b"0\r\n\r\n" + hidden

    def check(answers):
        if any(b"smuggled" in answer.body or answer.status == 404 for answer in answers):
            return f"the hidden request was answered: {[str(answer) for answer in answers]}"
    return Exchange([data], ["POST", "GET"], end="half", check=check)


def pipelined(random, state):
    """Requests sent ahead: the answers come in their order, each to its own."""
    requests, expected = [], []
    for _ in range(random.choice([2, 3, 8, 40])):
        kind = random.randrange(4)
        if kind == 0:
            requests.append(Request("GET", "/health"))
            expected.append(lambda answer: answer.status == 200 and not answer.body)
        elif kind == 1:
            tokens = [random.randrange(3, 200) for _ in range(random.randrange(1, 9))]
            requests.append(shapes.post("/tokenize", {"prompt": tokens}, *with_key(state)))
            expected.append(lambda answer, tokens=tokens: json.loads(answer.body)["tokens"] == tokens)
        elif kind == 2:
            name = f"m{random.randrange(10**6)}"
            requests.append(Request("GET", f"/v1/models/{name}", with_key(state)))
            expected.append(lambda answer, name=name: answer.status == 404 and name.encode() in answer.body)
        else:
            requests.append(shapes.post("/v1/completions", {"prompt": "a", "max_tokens": 2}, *with_key(state)))
            expected.append(lambda answer: answer.status == 200 and b"cmpl-" in answer.body)
    data = b"".join(
        request.chunked(random) if request.body and random.random() < 0.3 else request.wire() for request in requests)

    def check(answers):
        if len(answers) != len(expected):
            return f"{len(answers)} answers to {len(expected)} requests"
        for number, (answer, right) in enumerate(zip(answers, expected)):
            if not right(answer):
                return f"answer {number} is not that of its request: {answer}"
    return Exchange(
        pieces(random, data), [request.method for request in requests], may_end=False,
        check=check)


def multipart(random, state):
    """Wrong forms."""
    content = shapes.prompt_file(random)
    request = shapes.form(random, content)
    part = lambda headers, value: b"--b\r\n" + headers + b"\r\n\r\n" + value + b"\r\n"
    named = lambda name, more="": f'Content-Disposition: form-data; name="{name}"{more}'.encode()
    file = part(named("file", '; filename="a.jsonl"'), content)
    purpose = part(named("purpose"), b"batch")
    body = random.choice([
        request.body[:random.randrange(len(request.body))], purpose * random.choice([2, 33, 5000]) + file + b"--b--\r\n",
        b"".join(part(named(f"f{n}"), b"x") for n in range(3000)), file + file + b"--b--", file + b"--b--",
        purpose + b"--b--",
        part(named("file"), content) + purpose + b"--b--", part(b"X: " + b"y" * 9000, b"x"),
        b"--b\r\n" + b"X: y\r\n" * 20_000,
        part(b"X: y", b"x") + b"--b--", part(b"", b"x") + b"--b--", b"--b--\r\n", b"--b\r\n--b--\r\n", b"",
        b"\r\n" + request.body,
        b"preamble\r\n" + request.body, request.body + b"epilogue" * 1000, request.body.replace(b"\r\n", b"\n"),
        purpose + part(named("file", '; filename="../../x.jsonl"'), content) + b"--b--",
        purpose + part(named("file", "; filename=\"a\0\n.jsonl\""), content) + b"--b--",
        purpose + part(named("file", "; filename*=UTF-8''a.jsonl"), content) + b"--b--",
        purpose + part(named("file", '; filename="' + "é" * 3000 + '.jsonl"'), content) + b"--b--",
        purpose + part(named("file", '; filename="a.jsonl"'), b"\r\n--b\r" + content + b"\r\n--bb") + b"--b--",
        purpose + part(named("file", '; filename="a.jsonl"'), b"x" * (3 << 19)) + b"--b--",
        part(named("purpose"), b"x" * 5000) + file + b"--b--", part(named("purpose"), b"\xff\xfe") + file + b"--b--",
        part(named("expires_after[seconds]"), str(random.choice(shapes.NUMBERS)).encode()) + part(
            named("expires_after[anchor]"), b"created_at") + purpose + file + b"--b--",
        shapes.wrong_bytes(random, request.body)])
    kind = random.choice([
        "multipart/form-data; boundary=b", "multipart/form-data; boundary=b", 'multipart/form-data; boundary="b"',
        "multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=" + "b" * 71, "text/plain",
        "multipart/mixed; boundary=b", "multipart/form-data; boundary=b; boundary=c", "Multipart/Form-Data;BOUNDARY=b", ""])
    request = Request("POST", "/v1/files", with_key(state, ("Content-Type", kind)), body)
    if random.random() < 0.2:
        # Another length than the body's.
        length = random.choice([0, len(body) // 2, len(body) + 10, 1 << 30, 1 << 62])
        head = Request("POST", "/v1/files", request.headers).head()[:-2] + b"Content-Length: %d\r\n\r\n" % length
        return Exchange([head + body], ["POST"], end=ending(random))
    data = request.chunked(random) if random.random() < 0.3 else request.wire()
    return Exchange(pieces(random, data), ["POST"], end=random.choice(["close", "half"]))


def slow(random, state):
    """Heads and bodies that come slowly, or not at all."""
    request = shapes.valid(random, state)
    data = request.wire()
    step = random.choice([0.05, 0.3])
    parts = pieces(random, data, 5)
    sends = [item for part in parts for item in (part, step)]
    if random.random() < 0.3:
        # It stops somewhere: the server has to end it.
        return Exchange([data[:random.randrange(len(data))]], ["GET"], end="wait")
    return Exchange(sends, [request.method], most=20_000)


def cut(random, state):
    """Connections that end in the middle of a request, or of an answer."""
    request = shapes.valid(random, state)
    if random.random() < 0.4:
        body = {"prompt": "the king", "max_tokens": random.choice([3, 30, 100]), "stream": True, "n": random.choice([1, 4])}
        request = shapes.post("/v1/completions", body, *with_key(state))
    elif random.random() < 0.2:
        request = Request("GET", random.choice(["/events", f"/events?batch={state.batch(random)}"]), with_key(state))
    data = request.wire()
    end = random.choice(["close", "reset"])
    if random.random() < 0.4:
        return Exchange([data[:random.randrange(len(data))]], [], end=end)
    return Exchange([data], [request.method], end=end, most=random.choice([1, 20, 400, 2000]))


def large(random, state):
    """More than a body may have."""
    path = random.choice(["/v1/completions", "/tokenize", "/v1/batches", "/login", "/actions/pause", "/v1/files"])
    head = Request("POST", path, with_key(state, ("Content-Type", "multipart/form-data; boundary=b"))).head()[:-2]
    if random.random() < 0.5:
        return Exchange([head + b"Content-Length: %d\r\n\r\n" % (17 << 20), *[b"x" * (1 << 20)] * 17], ["POST"])
    chunk = b"100000\r\n" + b"y" * (1 << 20) + b"\r\n"
    return Exchange([head + b"Transfer-Encoding: chunked\r\n\r\n", *[chunk] * 18, b"0\r\n\r\n"], ["POST"])


def garbage(random, state):
    data = random.choice([
        bytes(random.randrange(256) for _ in range(random.choice([1, 10, 1000]))),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\r\n" * 5000, b"GET / HTTP/0.9\r\n\r\n", b"GET /health\r\n",
        b"GET /health HTTP/1.0\r\n\r\n",
        b"GET /health HTTP/3.0\r\n\r\n", b"SSH-2.0-x\r\n", b"GET /health HTTP/1.1\n\n", b"\0" * 100,
        b"HTTP/1.1 200 OK\r\n\r\n"])
    return Exchange([data], ["GET"] * 2, end=ending(random))


# How often each is drawn.
KINDS = {
    valid: 26, certain: 8, wrong_json: 16, wrong_lines: 6, wrong_bytes: 10, wrong_query: 8, wrong_headers: 6, methods: 4,
    chunks: 4, smuggling: 3, pipelined: 2, multipart: 6, cut: 6, slow: 0.7, large: 0.15, garbage: 2,
}
