"""Writes requests.jsonl: batch lines whose bodies OpenAI's own Python client makes.

Each body is taken off the wire: the client posts to a transport that keeps the request and answers nothing. So the
fields are those that real clients send, in their spelling and order. RequestCompatibilityTests.swift accepts them all.

    python3 -m venv venv && venv/bin/pip install openai==3.54.0
    venv/bin/python make_requests.py > requests.jsonl
"""

import json

import httpx2 as httpx
from openai import OpenAI
from openai.types.chat import ChatCompletionMessage

TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Tells the weather.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
CALL = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Oslo"}'}}
USER = {"role": "user", "content": "Say hello."}
ANSWER = ChatCompletionMessage(role="assistant", content="Hello.", refusal=None, annotations=[])


def chat(**fields):
    return "chat", {"model": "m", "messages": [USER], **fields}


def text(**fields):
    return "text", {"model": "m", "prompt": "Once upon a time", **fields}


CALLS = [
    chat(),
    chat(max_completion_tokens=64, temperature=0.2, top_p=0.9, seed=7, stop=["\n\n", "END"]),
    chat(max_tokens=64, n=1, stream=False, presence_penalty=0, frequency_penalty=0.0, logprobs=False, user="u-17"),
    chat(metadata={"job": "nightly"}, store=False, service_tier="auto", response_format={"type": "text"}),
    chat(tools=[TOOL], tool_choice="auto", parallel_tool_calls=True),
    chat(messages=[USER, ANSWER.model_dump(), {"role": "user", "content": [{"type": "text", "text": "Again, é😀"}]}]),
    chat(
        messages=[
            {"role": "developer", "content": "Be terse."},
            USER,
            {"role": "assistant", "content": None, "tool_calls": [CALL]},
            {"role": "tool", "tool_call_id": "call_1", "content": "Rain."},
        ],
        tools=[TOOL],
    ),
    chat(extra_body={"top_k": 20, "min_p": 0.0, "repetition_penalty": 1.0, "ignore_eos": True, "return_token_ids": True}),
    chat(extra_body={"chat_template_kwargs": {"enable_thinking": False}, "stop_token_ids": [2], "min_tokens": 1}),
    chat(safety_identifier="s", prompt_cache_key="k", verbosity="medium", top_logprobs=0, logit_bias={}),
    text(),
    text(max_tokens=16, best_of=1, echo=False, logprobs=None, suffix=None, n=1, stop="."),
    ("text", {"model": "m", "prompt": [1, 2, 3], "temperature": 0, "extra_body": {"skip_special_tokens": True}}),
]


def main():
    sent = []

    def keep(request):
        sent.append(request)
        return httpx.Response(200, json={})

    transport = httpx.MockTransport(keep)
    client = OpenAI(api_key="none", base_url="http://localhost/v1", http_client=httpx.Client(transport=transport))
    for number, (kind, fields) in enumerate(CALLS):
        create = client.chat.completions.create if kind == "chat" else client.completions.create
        create(**fields)
        request = sent[-1]
        line = {
            "custom_id": f"request-{number}",
            "method": request.method,
            "url": request.url.path,
            "body": json.loads(request.content),
        }
        print(json.dumps(line, ensure_ascii=False))


if __name__ == "__main__":
    main()
