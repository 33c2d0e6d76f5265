"""LiteLLM against a ttbatch server, by each of the two providers that people name for a server of their own.

  python litellm_client.py http://127.0.0.1:8080/v1
"""

import json
import os
import sys
import time

# Its table of prices would be fetched from the network.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
import litellm

litellm.suppress_debug_info = True
URL = sys.argv[1]
MESSAGES = [{"role": "user", "content": "Name the capital of France."}]
GREEDY = {"max_tokens": 12, "temperature": 0}
ENDED = ("completed", "failed", "expired", "cancelled")


def same(got, wanted, what):
    assert got == wanted, f"{what}: {got!r} instead of {wanted!r}"


def check(provider, model):
    server = {"api_base": URL, "api_key": "none"}
    named = {"model": f"{provider}/{model}", **server}

    chat = litellm.completion(messages=MESSAGES, **GREEDY, **named)
    answer = chat.choices[0].message.content
    assert answer and 0 < chat.usage.completion_tokens <= 12, chat
    chunks = list(litellm.completion(
        messages=MESSAGES, stream=True, stream_options={"include_usage": True}, **GREEDY, **named))
    texts = [choice.delta.content for chunk in chunks for choice in chunk.choices if choice.delta.content]
    assert len(texts) > 1, f"the stream came in one piece: {chunks}"
    same("".join(texts), answer, "the streamed chat")
    same(chunks[-1].usage.completion_tokens, chat.usage.completion_tokens, "its usage")

    text = litellm.text_completion(prompt="The king", **GREEDY, **named)
    assert text.choices[0].text and text.usage.prompt_tokens == 2, text

    # An answer that cannot be given comes as the exception of its status.
    try:
        litellm.completion(messages=MESSAGES, max_tokens=-1, **named)
        raise AssertionError("max_tokens -1 was accepted")
    except litellm.BadRequestError as error:
        assert "max_tokens" in str(error), error

    queue = {"custom_llm_provider": provider, **server}
    lines = [
        {"custom_id": f"r{i}", "method": "POST", "url": "/v1/chat/completions",
         "body": {"model": model, "messages": MESSAGES, **GREEDY}} for i in range(3)]
    content = "\n".join(map(json.dumps, lines)).encode()
    file = litellm.create_file(file=("in.jsonl", content), purpose="batch", **queue)
    same(litellm.file_retrieve(file.id, **queue).bytes, len(content), "the file's size")
    assert file.id in [each.id for each in litellm.file_list(**queue)], "the file is not listed"
    same(litellm.file_content(file.id, **queue).content, content, "the file's content")
    batch = litellm.create_batch(
        input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h", metadata={"by": provider}, **queue)
    while batch.status not in ENDED:
        time.sleep(0.2)
        batch = litellm.retrieve_batch(batch.id, **queue)
    same((batch.status, batch.request_counts.completed), ("completed", 3), "the batch")
    same(batch.metadata, {"by": provider}, "its metadata")
    assert batch.id in [each.id for each in litellm.list_batches(**queue).data], "the batch is not listed"
    results = map(json.loads, litellm.file_content(batch.output_file_id, **queue).text.splitlines())
    answers = {each["custom_id"]: each["response"]["body"]["choices"][0]["message"]["content"] for each in results}
    same(answers, {f"r{i}": answer for i in range(3)}, "the batch's answers")
    assert litellm.file_delete(file.id, **queue).deleted, "the file is not deleted"
    print(f"{provider}: {answer!r} in a chat, a stream of {len(texts)} pieces and a batch")


for provider in ("hosted_vllm", "openai"):
    served = litellm.get_valid_models(
        check_provider_endpoint=True, custom_llm_provider=provider, api_base=URL, api_key="none")
    check(provider, served[0])
