"""Writes tiny random llama models as GGUF files, and what transformers answers with them.

    python make_tiny_gguf.py

Writes beside this script one .gguf file for each entry of MODELS and tiny-greedy.json. Weights and tokenizer are
made here from a seed; quantising, dequantising and the file format are the gguf package's work. The same versions
of the packages give the same bytes.
"""

import argparse
import hashlib
import json
import sys
from dataclasses import dataclass, field
from pathlib import Path

import gguf
import numpy as np
import torch
import transformers
from gguf import GGMLQuantizationType as Type
from gguf import GGUFWriter
from transformers.convert_slow_tokenizer import bytes_to_unicode

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "reference"))

from gguf_model import load_model  # noqa: E402
from gguf_tokenizer import load_chat_tokenizer  # noqa: E402
from greedy import generate, rescore  # noqa: E402

STEPS = 16
SMALLEST_GAP = 0.1  # seeds were chosen so that no choice is nearer than this
CONTEXT = 256
CONTROL_TOKENS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
BOS, EOS = 1, 2
MERGES = (
    "Ġ t|h e|i n|r e|a n|e r|Ġ a|o n|Ġt he|o u|Ġ s|l l|in g|e n|Ġ w|o r|an d|Ġ Ġ|Ġ o|Ġo f|t i|Ċ Ċ|s t|e d|Ġ and|h i"
    "|k e|u s|us er"
).split("|")
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
PLAIN = ["Hello, world", "a", "the king and the queen of the hill 12345\n\n\tÄ中😀", "All work and no play. " * 6]
CHAT = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Who is there?"}]

# Blocks of 256 weights, which the gguf package reads and does not write: (bytes a block, places of its half floats).
K_BLOCKS = {Type.Q4_K: (144, [0, 2]), Type.Q5_K: (176, [0, 2]), Type.Q6_K: (210, [208])}


@dataclass
class Model:
    """A file: `kind` is the type of every matrix, `kinds` gives other types to tensors by the end of their name."""

    kind: Type
    seed: int
    hidden: int = 64
    heads: int = 4
    kv_heads: int = 2
    feed_forward: int = 128
    layers: int = 2
    tied: bool = False
    rope_base: float = 10000.0
    add_bos: bool = False
    pre: str = "smollm"
    kinds: dict[str, Type] = field(default_factory=dict)


SMALL = {"hidden": 32, "heads": 2, "kv_heads": 1, "feed_forward": 64}
MIXED = {
    "blk.0.ffn_down.weight": Type.Q4_K,
    "blk.1.ffn_down.weight": Type.Q5_K,
    "blk.2.ffn_down.weight": Type.Q6_K,
    "blk.0.attn_q.weight": Type.Q5_0,
    "blk.0.attn_v.weight": Type.Q5_1,
    "blk.1.attn_q.weight": Type.F16,
    "blk.1.attn_v.weight": Type.BF16,
    "blk.2.attn_q.weight": Type.F32,
    "blk.2.ffn_up.weight": Type.Q5_1,
    "token_embd.weight": Type.Q5_0,
    "output.weight": Type.Q8_0,
}
MODELS = {
    "tiny-f32": Model(Type.F32, seed=14, tied=True, pre="gpt-2", **SMALL),
    "tiny-f16": Model(Type.F16, seed=1, rope_base=500000.0, **SMALL),
    "tiny-bf16": Model(Type.BF16, seed=25, add_bos=True, **SMALL),
    "tiny-q8_0": Model(Type.Q8_0, seed=17, tied=True),
    "tiny-q4_0": Model(Type.Q4_0, seed=2),
    "tiny-q4_1": Model(Type.Q4_1, seed=27, rope_base=500000.0),
    "tiny-mixed": Model(Type.Q4_0, seed=10, feed_forward=256, layers=3, rope_base=500000.0, kinds=MIXED),
}


def main() -> None:
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    files = []
    for name, model in MODELS.items():
        path = HERE / f"{name}.gguf"
        write_model(path, name, model)
        files.append(golden(path))
        gaps = [min(row["gaps"]) for row in files[-1]["rows"]]
        print(f"{path.name}: {path.stat().st_size} bytes, smallest gap {min(gaps)}")
        if min(gaps) < SMALLEST_GAP:
            raise SystemExit(f"{name}: seed {model.seed} gives choices nearer than {SMALLEST_GAP}; take another")
    header = {
        "engine": f"transformers {transformers.__version__}",
        "torch": torch.__version__,
        "dtype": "float32",
        "temperature": 0,
        "ignore_eos": True,
        "max_tokens": STEPS,
    }
    head = json.dumps(header, indent=1)[:-2]
    body = ",\n".join(json.dumps(file, separators=(",", ":")) for file in files)
    (HERE / "tiny-greedy.json").write_text(f'{head},\n "models": [\n{body}\n]}}\n')


def write_model(path: Path, name: str, model: Model) -> None:
    writer = GGUFWriter(path, "llama")
    writer.add_name(name)
    writer.add_block_count(model.layers)
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(model.hidden)
    writer.add_feed_forward_length(model.feed_forward)
    writer.add_head_count(model.heads)
    writer.add_head_count_kv(model.kv_heads)
    writer.add_rope_freq_base(model.rope_base)
    writer.add_rope_dimension_count(model.hidden // model.heads)
    writer.add_layer_norm_rms_eps(1e-5)
    tokens = add_tokenizer(writer, model)
    writer.add_vocab_size(len(tokens))
    for tensor, shape in tensor_shapes(model, len(tokens)).items():
        add_tensor(writer, model, tensor, shape)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def add_tokenizer(writer: GGUFWriter, model: Model) -> list[str]:
    tokens = CONTROL_TOKENS + list(bytes_to_unicode().values()) + [merge.replace(" ", "") for merge in MERGES]
    kinds = [gguf.TokenType.NORMAL] * len(tokens)
    kinds[: len(CONTROL_TOKENS)] = [gguf.TokenType.CONTROL] * len(CONTROL_TOKENS)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(model.pre)
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges(MERGES)
    writer.add_bos_token_id(BOS)
    writer.add_eos_token_id(EOS)
    writer.add_add_bos_token(model.add_bos)
    writer.add_chat_template(CHAT_TEMPLATE)
    return tokens


def tensor_shapes(model: Model, vocabulary: int) -> dict[str, tuple[int, ...]]:
    """[rows, columns] of the matrices; a vector's shape is a norm's."""
    kv = model.hidden // model.heads * model.kv_heads
    shapes = {"token_embd.weight": (vocabulary, model.hidden)}
    for layer in range(model.layers):
        block = {
            "attn_norm": (model.hidden,),
            "attn_q": (model.hidden, model.hidden),
            "attn_k": (kv, model.hidden),
            "attn_v": (kv, model.hidden),
            "attn_output": (model.hidden, model.hidden),
            "ffn_norm": (model.hidden,),
            "ffn_gate": (model.feed_forward, model.hidden),
            "ffn_up": (model.feed_forward, model.hidden),
            "ffn_down": (model.hidden, model.feed_forward),
        }
        shapes |= {f"blk.{layer}.{name}.weight": shape for name, shape in block.items()}
    shapes["output_norm.weight"] = (model.hidden,)
    if not model.tied:
        shapes["output.weight"] = (vocabulary, model.hidden)
    return shapes


def add_tensor(writer: GGUFWriter, model: Model, name: str, shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng([model.seed, *name.encode()])
    if len(shape) == 1:
        writer.add_tensor(name, rng.uniform(0.7, 1.3, shape).astype(np.float32))
        return
    kind = model.kinds.get(name, model.kind)
    if kind in K_BLOCKS:
        data = random_k_blocks(rng, kind, shape)
    else:
        # Wide enough that every layer matters: the best token then changes from step to step.
        spread = {"token_embd.weight": 1.0, "output.weight": 8.0 / np.sqrt(shape[1])}.get(name, 2.0 / np.sqrt(shape[1]))
        weights = rng.standard_normal(shape) * spread
        data = gguf.quants.quantize(weights.astype(np.float32), kind)
    writer.add_tensor(name, data, raw_dtype=kind)


def random_k_blocks(rng: np.random.Generator, kind: Type, shape: tuple[int, int]) -> np.ndarray:
    """Any bytes are a valid block once its half floats are sensible; scaled to the spread that other weights have."""
    size, half_floats = K_BLOCKS[kind]
    blocks = rng.integers(0, 256, (shape[0] * shape[1] // 256, size), dtype=np.uint8)
    for place in half_floats:
        halves = rng.uniform(0.5, 1.0, (len(blocks), 1)).astype(np.float16)
        blocks[:, place : place + 2] = halves.view(np.uint8)
    spread = gguf.quants.dequantize(blocks, kind).std()
    for place in half_floats:
        halves = blocks[:, place : place + 2].copy().view(np.float16)
        blocks[:, place : place + 2] = (halves * (2.0 / np.sqrt(shape[1]) / spread)).astype(np.float16).view(np.uint8)
    return blocks.reshape(shape[0], -1)


def golden(path: Path) -> dict:
    """The answers; the first row has the logits of the whole vocabulary too."""
    tokenizer = load_chat_tokenizer(path)
    model = load_model(path)
    chat = tokenizer.apply_chat_template(CHAT, add_generation_prompt=True, tokenize=False)
    prompts = [({"prompt": text}, text, tokenizer.encode(text)) for text in PLAIN]
    prompts.append(({"messages": CHAT}, chat, tokenizer.encode(chat, add_special_tokens=False)))
    rows = []
    for request, text, ids in prompts:
        answer = generate(model, ids, STEPS)
        if [best for best, _, _ in rescore(model.double(), ids, answer.token_ids)] != answer.token_ids:
            raise SystemExit(f"{path.name}: float64 chooses otherwise after {text!r}")
        model.float()
        row = {
            "request": request,
            "prompt": text,
            "prompt_token_ids": ids,
            "token_ids": answer.token_ids,
            "gaps": [round(gap, 4) for gap in answer.gaps],
            "text": tokenizer.decode(answer.token_ids, skip_special_tokens=True),
        }
        if not rows:
            row["first_logits"] = [round(float(logit), 5) for logit in answer.first_logits]
        rows.append(row)
    return {"file": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "rows": rows}


if __name__ == "__main__":
    main()
