#!/usr/bin/env python3
"""Continues final messages with transformers and writes continue-final-message.json.

    python3 -m venv venv && venv/bin/pip install transformers==5.23.0 jinja2==3.1.6
    venv/bin/python Tests/Golden/transformers/make_continue_golden.py

Each template of Tests/JinjaTests/golden/templates is rendered with `continue_final_message=True` over conversations whose
last message is written in different ways. The result is null where transformers raises an error. Special tokens are those
of tiny/tiny-f32.gguf, and the date that some templates print is 1970-01-01.
"""

import datetime
import json
import pathlib

from transformers.utils import chat_template_utils
from transformers.utils.chat_template_utils import render_jinja_template


class Epoch(datetime.datetime):
    @classmethod
    def now(cls):
        return cls(1970, 1, 1)


chat_template_utils.datetime = Epoch

HERE = pathlib.Path(__file__).parent
TEMPLATES = HERE.parent.parent / "JinjaTests" / "golden" / "templates"
USER = {"role": "user", "content": "Capital of France?"}
FINALS = ["The capital is", "The capital is ", "  The\n", "a\n b\n\n", "", "Capital of France?", "<think>\nhm"]
CONVERSATIONS = {f"assistant {final!r}": [USER, {"role": "assistant", "content": final}] for final in FINALS}
CONVERSATIONS |= {
    "system": [{"role": "system", "content": "Be terse."}, USER, {"role": "assistant", "content": "It is"}],
    "user": [{"role": "user", "content": "The capital of France is "}],
    "thought": [USER, {"role": "assistant", "content": "<think>\nhm\n</think>\n\nThe capital"}],
    "turns": [USER, {"role": "assistant", "content": "Paris."}, USER, {"role": "assistant", "content": "Paris"}],
}


def render(source, messages):
    try:
        rendered, _ = render_jinja_template(
            [messages], chat_template=source, continue_final_message=True, bos_token="<|im_start|>", eos_token="<|im_end|>"
        )
        return rendered[0]
    except Exception:
        return None


results = {
    path.name: {name: render(path.read_bytes().decode(), messages) for name, messages in CONVERSATIONS.items()}
    for path in sorted(TEMPLATES.glob("*.jinja"))
}
golden = {"conversations": CONVERSATIONS, "results": results}
(HERE / "continue-final-message.json").write_text(json.dumps(golden, indent=1) + "\n")
