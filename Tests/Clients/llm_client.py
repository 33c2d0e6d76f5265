"""Simon Willison's `llm` on the command line against a ttbatch server.

  python llm_client.py http://127.0.0.1:8080/v1

Its models are described in a file, as a person would do it. Its log tells what came over HTTP.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import urllib.request

URL = sys.argv[1]
GREEDY = ["-o", "temperature", "0", "-o", "max_tokens", "12"]


def llm(*arguments, status=0):
    ran = subprocess.run([sys.executable, "-m", "llm", *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert ran.returncode == status, f"llm {' '.join(arguments)} ended with {ran.returncode}: {ran.stdout}{ran.stderr}"
    return ran.stdout.strip() if status == 0 else ran.stderr


def prompt(model, *arguments):
    """The text, and what the log has of the answer."""
    text = llm("-m", model, *arguments)
    logged = json.loads(llm("logs", "--json", "-n", "1"))[0]
    assert text and logged["response"].strip() == text, f"{model} printed {text!r} and logged {logged['response']!r}"
    return text, logged["response_json"]


def check():
    with urllib.request.urlopen(f"{URL}/models") as answer:
        served = json.load(answer)["data"][0]["id"]
    # JSON is YAML.
    models = [
        {"model_id": "chat", "model_name": served, "api_base": URL, "supports_schema": True},
        {"model_id": "text", "model_name": served, "api_base": URL, "completion": True}]
    pathlib.Path(os.environ["LLM_USER_PATH"], "extra-openai-models.yaml").write_text(json.dumps(models))

    for model, question, kind in [
        ("chat", "Name the capital of France.", "chat.completion"), ("text", "The king", "text_completion")]:
        streamed, stream = prompt(model, question, *GREEDY)
        whole, answer = prompt(model, question, *GREEDY, "--no-stream")
        assert streamed == whole, f"{model}: {streamed!r} streamed, {whole!r} whole"
        assert answer["object"] == kind and "choices" in answer and "choices" not in stream, (answer, stream)
        assert stream["usage"]["completion_tokens"] == answer["usage"]["completion_tokens"] > 0, (answer, stream)
        print(f"llm: {whole!r} from the model {model}, streamed and whole")

    # A conversation goes on with what was said.
    _, first = prompt("chat", "Name the capital of France.", *GREEDY)
    _, second = prompt("chat", "-c", "And of Italy?", *GREEDY)
    assert second["usage"]["prompt_tokens"] > first["usage"]["prompt_tokens"], (first, second)
    # Without texts and further keys there is an end, whatever the model says.
    schema = {
        "type": "object", "properties": {"friendly": {"type": "boolean"}, "barks": {"type": "boolean"}},
        "required": ["friendly", "barks"], "additionalProperties": False}
    text, _ = prompt("chat", "--schema", json.dumps(schema), "Invent a dog.", "-o", "max_tokens", "64")
    dog = json.loads(text)
    assert dog.keys() == {"friendly", "barks"} and all(type(value) is bool for value in dog.values()), dog
    error = llm("-m", "chat", "hi", "-o", "max_tokens", "-1", status=1)
    assert "max_tokens" in error, error
    print(f"llm: a conversation, a schema {dog}, and an error")


with tempfile.TemporaryDirectory() as folder:
    os.environ["LLM_USER_PATH"] = folder
    check()
