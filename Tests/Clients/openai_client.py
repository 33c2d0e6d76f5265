"""OpenAI's own Python client against a ttbatch server, with the client's strict validation of every answer.

  python openai_client.py http://127.0.0.1:8080/v1 [KEY]

Two of its types are stricter than OpenAI's own API, and than what is answered here: the first logprob of an echoed prompt and
the finish_reason of a streamed completion that goes on are null there too.
"""

import io
import json
import sys
import time

import openai
from openai import BadRequestError, ConflictError, NotFoundError, OpenAI
from openai.types.chat import ChatCompletion

URL, KEY = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "none"
client = OpenAI(base_url=URL, api_key=KEY, _strict_response_validation=True)
lenient = OpenAI(base_url=URL, api_key=KEY)
ENDED = ("completed", "failed", "expired", "cancelled")


def upload(lines, name="in.jsonl", **options):
    content = "\n".join(json.dumps(line) if isinstance(line, dict) else line for line in lines).encode()
    return client.files.create(file=(name, io.BytesIO(content)), purpose="batch", **options), content


def line(number, url, **body):
    return {"custom_id": f"r{number}", "method": "POST", "url": url, "body": body}


def ended(batch):
    while batch.status not in ENDED:
        time.sleep(0.2)
        batch = client.batches.retrieve(batch.id)
    return batch


def create(file, endpoint, window="24h", **options):
    return client.batches.create(input_file_id=file.id, endpoint=endpoint, completion_window=window, **options)


def refused(kind, call, code=None):
    try:
        call()
    except kind as error:
        assert code is None or error.code == code, error
        assert error.request_id and "/" not in (error.code or ""), error
        return
    raise AssertionError(f"no {kind.__name__}")


CHAT, TEXT = "/v1/chat/completions", "/v1/completions"
print("openai", openai.__version__)
model = list(client.models.list())[0].id
assert client.models.retrieve(model).id == model

# A batch from its file to its results.
lines = [
    line(i, CHAT, model=model, messages=[{"role": "user", "content": f"Say {i}"}], max_tokens=8, seed=i) for i in range(20)
]
file, content = upload(lines, 'nämé "q".jsonl', expires_after={"anchor": "created_at", "seconds": 7200})
assert file.filename == 'nämé "q".jsonl' and file.bytes == len(content) and file.expires_at == file.created_at + 7200
assert client.files.wait_for_processing(file.id).status == "processed"
assert client.files.content(file.id).content == content
batch = ended(
    create(file, CHAT, metadata={"night": "1"}, output_expires_after={"anchor": "created_at", "seconds": 3600}))
assert batch.status == "completed" and batch.request_counts.completed == 20 and batch.metadata == {"night": "1"}, batch
results = client.files.content(batch.output_file_id).text.splitlines()
assert {json.loads(result)["custom_id"] for result in results} == {f"r{i}" for i in range(20)}
for result in results:
    ChatCompletion.model_validate(json.loads(result)["response"]["body"], strict=True)
print("a batch:", batch.usage.total_tokens, "tokens")

# What is wrong with a file is in its batch.
bad, _ = upload([lines[0], '{"custom_id": ', line(0, CHAT, messages=[], temperature=9), line(3, TEXT, prompt="a")])
failed = ended(create(bad, CHAT))
assert failed.status == "failed" and failed.output_file_id is None, failed
print("errors:", [(error.line, error.code, error.param) for error in failed.errors.data])
assert [error.line for error in failed.errors.data][0] == 2

# Pages, cancel, expiry.
for _ in range(5):
    create(file, CHAT)
ids = [each.id for each in client.batches.list(limit=2)]
assert len(ids) == len(set(ids)) == 7, ids
files = [each.id for each in client.files.list(limit=2)]
assert len(files) == len(set(files)) >= 3, files
many, _ = upload([line(i, TEXT, prompt=f"Say {i}", max_tokens=200, ignore_eos=True) for i in range(20_000)])
batch = create(many, TEXT)
client.batches.cancel(batch.id)
assert ended(batch).status == "cancelled"
late = ended(create(many, TEXT, window="3s"))
assert late.status == "expired" and late.error_file_id, late
error = json.loads(client.files.content(late.error_file_id).text.splitlines()[-1])
assert error["error"]["code"] == "batch_expired" and error["response"] is None, error
print("expired after", late.request_counts.completed)

# Online.
message = [{"role": "user", "content": "hi"}]
chat = client.chat.completions.create(model=model, messages=message, max_tokens=5, logprobs=True, top_logprobs=2, n=2)
assert len(chat.choices) == 2 and len(chat.choices[0].logprobs.content[0].top_logprobs) == 2
assert len(client.completions.create(model=model, prompt=["a", "b"], max_tokens=3, echo=True).choices) == 2
chunks = list(
    client.chat.completions.create(
        model=model, messages=message, max_tokens=5, stream=True, stream_options={"include_usage": True}))
assert chunks[-1].usage.completion_tokens <= 5 and chunks[0].choices[0].delta.role == "assistant"
whole = client.completions.create(model=model, prompt="The king", max_tokens=9, seed=3).choices[0].text
pieces = lenient.completions.create(model=model, prompt="The king", max_tokens=9, seed=3, stream=True)
assert "".join(piece.choices[0].text for piece in pieces) == whole

# Errors.
refused(NotFoundError, lambda: client.models.retrieve("nope"), "model_not_found")
refused(NotFoundError, lambda: client.chat.completions.create(model="nope", messages=message), "model_not_found")
refused(BadRequestError, lambda: client.chat.completions.create(model=model, messages=message, temperature=9))
refused(NotFoundError, lambda: client.files.retrieve("file-x"))
refused(NotFoundError, lambda: client.batches.retrieve("batch_9999"))
refused(ConflictError, lambda: client.batches.cancel(batch.id))
refused(BadRequestError, lambda: client.files.create(file=("a.txt", b"x"), purpose="batch"))
refused(BadRequestError, lambda: client.embeddings.create(model=model, input="a"), "unsupported_endpoint")
assert client.files.delete(file.id).deleted
refused(NotFoundError, lambda: client.files.content(file.id))
print("everything is as the client expects it")
