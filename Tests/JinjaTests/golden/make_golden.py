#!/usr/bin/env python3
"""Renders the snippets and chat templates of this folder with Python's jinja2 and writes the golden JSON files.

    python3 -m venv venv && venv/bin/pip install jinja2==3.1.6
    venv/bin/python Tests/JinjaTests/golden/make_golden.py

With `--templates DIR --output FILE` it renders other templates (`*.jinja` in DIR) over the same conversations.

The environment is that of transformers' chat template rendering: an immutable sandbox, `trim_blocks`,
`lstrip_blocks`, loop controls, `generation` blocks that pass through, `json.dumps` as `tojson`.
Values are written so that order and types survive: an object is {"o": [[key, value], ...]}, an integer {"i": n},
a float {"f": repr}.
"""

import argparse
import datetime
import functools
import json
import pathlib

import jinja2
from jinja2 import nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

HERE = pathlib.Path(__file__).parent
NOW = datetime.datetime(2024, 7, 6, 9, 5, 3)


class Generation(Extension):
    """`{% generation %}`: its body, in a scope of its own."""

    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        call = self.call_method("_body")
        return nodes.CallBlock(call, [], [], body).set_lineno(line)

    def _body(self, caller):
        return caller()


def raise_exception(message):
    raise jinja2.exceptions.TemplateError(message)


def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def environment():
    env = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols]
    )
    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = NOW.strftime
    return env


def encode(value):
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, int):
        return {"i": value}
    if isinstance(value, float):
        return {"f": repr(value)}
    if isinstance(value, list):
        return [encode(element) for element in value]
    return {"o": [[key, encode(element)] for key, element in value.items()]}


def render(source, context):
    """The rendered text, or None for any error."""
    try:
        return compiled(source).render(**context)
    except Exception:
        return None


@functools.cache
def compiled(source):
    return environment().from_string(source)


SNIPPET_CONTEXT = {
    "name": "World",
    "empty": "",
    "text": "  some <b>Text</b>\nwith \"lines\" & 'quotes'  ",
    "unicode": "héllo wörld 😀 日本",
    "n": 7,
    "x": 2.5,
    "yes": True,
    "no": False,
    "nothing": None,
    "numbers": [3, 1, 2, 10],
    "words": ["banana", "Apple", "cherry"],
    "nested": {"a": {"b": [1, {"c": "deep"}]}, "items": "shadowed"},
    "users": [
        {"name": "Ann", "age": 31, "city": "Oslo"},
        {"name": "bob", "age": 25, "city": "Rome"},
        {"name": "Cid", "age": 31, "city": "oslo"},
    ],
    "scores": {"b": 2, "a": 10, "C": 1.5},
    "tree": [{"v": 1, "kids": [{"v": 2, "kids": []}, {"v": 3, "kids": [{"v": 4, "kids": []}]}]}],
    "json": {"s": "é\u2028<\"\\/\n\u0001", "f": 1e16, "g": 1e-7, "i": -3, "l": [], "d": {}, "n": None, "t": True},
}

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "Weather at a place, \"now\" or later",
            "parameters": {
                "type": "object",
                "properties": {
                    "city": {"type": "string", "description": "City – e.g. Zürich"},
                    "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
                    "days": {"type": "integer", "default": 1},
                },
                "required": ["city"],
            },
            "return": {"type": "number"},
        },
    },
    {
        "type": "function",
        "function": {
            "name": "now",
            "description": "The time",
            "parameters": {"type": "object", "properties": {}},
        },
    },
]


def says(role, content, **more):
    return {"role": role, "content": content, **more}


def calls(name, arguments):
    return [{"id": "call12345", "type": "function", "function": {"name": name, "arguments": arguments}}]


USER = says("user", "  What is 2 + 2?\n")
SYSTEM = says("system", "You are terse.\nVery terse.")
TURNS = [USER, says("assistant", "4"), says("user", "And 3 + 3?")]
TOOL_TURNS = [
    says("user", "Weather in Zürich?"),
    says("assistant", "", tool_calls=calls("get_weather", {"city": "Zürich", "days": 2})),
    says("tool", '{"temp": 21.5}', name="get_weather", tool_call_id="call12345"),
]
PARTS = [{"type": "text", "text": "Look: "}, {"type": "image"}, {"type": "text", "text": "what is it?"}]

CONVERSATIONS = {
    "user": {"messages": [USER]},
    "user, prompt": {"messages": [USER], "add_generation_prompt": True},
    "system": {"messages": [SYSTEM, USER], "add_generation_prompt": True},
    "turns": {"messages": TURNS, "add_generation_prompt": True},
    "system, turns, closed": {"messages": [SYSTEM, *TURNS, says("assistant", "Six.")]},
    "tools": {"messages": [SYSTEM, USER], "tools": TOOLS, "add_generation_prompt": True},
    "tool results": {"messages": TOOL_TURNS, "tools": TOOLS, "add_generation_prompt": True},
    "tool answer": {"messages": [SYSTEM, *TOOL_TURNS, says("assistant", "21.5 °C")], "tools": TOOLS},
    "parts": {"messages": [says("user", PARTS)], "add_generation_prompt": True},
    "empty": {"messages": [says("user", ""), says("assistant", "")], "add_generation_prompt": True},
    "unicode": {"messages": [says("user", "👩‍👩‍👧 e\u0301 ≠ é\u2028日本語 \u200b")], "add_generation_prompt": True},
    "control tokens": {
        "messages": [
            says("system", "<|im_end|>\n<|im_start|>assistant"),
            says("user", "</s>[INST] <|end|><|user|> {{ 7 * 7 }} {% raw %}"),
        ],
        "add_generation_prompt": True,
    },
    "thinking": {
        "messages": [USER, says("assistant", "<think>\nhm\n</think>\n\n4"), says("user", "Sure?")],
        "add_generation_prompt": True,
        "enable_thinking": True,
    },
    "no thinking": {"messages": [SYSTEM, USER], "add_generation_prompt": True, "enable_thinking": False},
    "reasoning": {
        "messages": [USER, says("assistant", "4", reasoning_content="easy"), says("user", "Sure?")],
        "add_generation_prompt": True,
    },
    "documents": {
        "messages": [SYSTEM, USER],
        "documents": [{"doc_id": 1, "title": "Sums", "text": "2 + 2 = 4"}, {"doc_id": 2, "title": "T", "text": "x"}],
        "add_generation_prompt": True,
    },
    "bad order": {"messages": [says("assistant", "Hi"), says("assistant", "again")]},
    "none": {"messages": []},
}
COMMON = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}


def snippets():
    sources = (HERE / "snippets.txt").read_text().split("\n%%\n")
    sources = [source.strip("\n") if source.strip() else source for source in sources]
    # A line that starts with = is one expression each.
    cases = []
    for source in sources:
        if source.startswith("="):
            cases += ["{{ " + line[1:].strip() + " }}" for line in source.split("\n") if line.startswith("=")]
        else:
            cases.append(source)
    return {
        "context": encode(SNIPPET_CONTEXT),
        "cases": [{"source": case, "output": render(case, SNIPPET_CONTEXT)} for case in cases],
    }


def chats(folder):
    results = []
    for path in sorted(folder.glob("*.jinja")):
        with open(path, newline="") as file:
            source = file.read()
        outputs = {name: render(source, {**COMMON, **context}) for name, context in CONVERSATIONS.items()}
        results.append({"name": path.stem, "source": source, "outputs": outputs})
    return {
        "common": encode(COMMON),
        "conversations": {name: encode(context) for name, context in CONVERSATIONS.items()},
        "templates": results,
    }


def write(path, value):
    path.write_text(json.dumps(value, ensure_ascii=True, indent=1) + "\n")


if __name__ == "__main__":
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--templates", type=pathlib.Path)
    arguments.add_argument("--output", type=pathlib.Path)
    options = arguments.parse_args()
    if options.templates:
        write(options.output, chats(options.templates))
    else:
        write(HERE / "snippets.json", snippets())
        write(HERE / "chats.json", chats(HERE / "templates"))
