"""lm-evaluation-harness against a ttbatch server: its scores are those that it computes itself with transformers.

  python lm_eval_client.py http://127.0.0.1:8080/v1 MODEL.gguf

The three tasks in `lm_eval` need nothing from the network. They score choices, whole texts, and answers. The server has to
compute with float32 (`tt.optimizations=accuracy`), as transformers does here, and MODEL is the file that it serves: a llama
whose pre-tokeniser is SmolLM2's.
"""

import logging
import math
import os
import pathlib
import sys

os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", TQDM_DISABLE="1")
import lm_eval
import numpy as np
import requests
import torch
from gguf import GGUFReader
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

logging.getLogger("lm_eval").setLevel(logging.ERROR)
URL, FILE = sys.argv[1], pathlib.Path(sys.argv[2]).absolute()
TASKS = ["facts", "stories", "numbers"]


def tokenizer(file):
    """The one that transformers makes of a GGUF file splits texts otherwise than SmolLM2's does."""
    fields = GGUFReader(file).fields
    field = lambda name: fields[f"tokenizer.{name}"].contents()
    tokens = field("ggml.tokens")
    merges = [tuple(merge.split(" ")) for merge in field("ggml.merges")]
    made = Tokenizer(models.BPE({token: number for number, token in enumerate(tokens)}, merges))
    made.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)])
    made.decoder = decoders.ByteLevel()
    control = [token for token, kind in zip(tokens, field("ggml.token_type")) if kind == 3]
    made.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in control])
    bos, eos = tokens[field("ggml.bos_token_id")], tokens[field("ggml.eos_token_id")]
    return PreTrainedTokenizerFast(
        tokenizer_object=made, bos_token=bos, eos_token=eos, pad_token=eos, chat_template=field("chat_template"))


def evaluated(model, arguments=None):
    """All metrics, and what was answered to each line: logarithms of probabilities, whether greedy, or a text."""
    found = lm_eval.simple_evaluate(model, arguments, TASKS, task_manager=tasks, bootstrap_iters=0)
    metrics = {
        f"{task} {name.split(',')[0]}": value for task in TASKS for name, value in found["results"][task].items()
        if isinstance(value, float) and "stderr" not in name}
    answers = {
        f"{task} {sample['doc_id']}": np.ravel(sample["filtered_resps"]).tolist()
        for task in TASKS for sample in found["samples"][task]}
    return metrics, answers


def same(served, computed):
    if isinstance(computed, float):
        return math.isclose(served, computed, rel_tol=1e-3)
    return served == computed


os.chdir(pathlib.Path(__file__).parent / "lm_eval")
tasks = TaskManager(include_path=".", include_defaults=False)
name = requests.get(f"{URL}/models").json()["data"][0]["id"]
served, served_answers = evaluated("local-completions", {
    "model": name, "base_url": f"{URL}/completions", "tokenizer_backend": "remote", "batch_size": 4})
weights = AutoModelForCausalLM.from_pretrained(FILE.parent, gguf_file=FILE.name, torch_dtype=torch.float32)
computed, computed_answers = evaluated(HFLM(pretrained=weights, tokenizer=tokenizer(FILE), batch_size=4))

assert len(computed) == 6 and len(computed_answers) == 19, (computed, computed_answers)
for metric, value in computed.items():
    print(f"lm-eval: {metric:24} {served[metric]:.6g} from the server, {value:.6g} by transformers")
wrong = [metric for metric in computed if not same(served[metric], computed[metric])]
assert not wrong, f"these differ: {', '.join(wrong)}"
for line, answer in computed_answers.items():
    got = served_answers[line]
    assert len(got) == len(answer) and all(map(same, got, answer)), f"{line}: {got} instead of {answer}"
print(f"lm-eval: the same answers to {len(computed_answers)} lines")
