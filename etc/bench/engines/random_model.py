"""Llamas with random weights, whose speed is that of real ones: run as a program, it writes one as an F16 GGUF file.

    random_model.py SHAPE FILE        in an environment with PACKAGES
"""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from engines.cache import cache_directory, environment, made
from engines.programs import run_quietly

PACKAGES = ["gguf==0.19.0", "numpy==2.4.6"]


@dataclass(frozen=True)
class Shape:
    hidden: int
    layers: int
    heads: int
    key_value_heads: int
    feed_forward: int
    vocabulary: int


SHAPES = {
    "138m": Shape(1024, 8, 16, 4, 4096, 16384),
    "1b": Shape(2048, 16, 32, 8, 8192, 128256),
}
"""A small one, and Llama 3.2 1B's."""


def model_file(shape: str) -> Path:
    """The F16 file of a shape, in the cache."""
    python = environment("random-models", PACKAGES) / "python"
    file = cache_directory() / "bench" / "models" / f"random-{shape}.F16.gguf"
    program = Path(__file__).resolve()
    settings = {"PYTHONPATH": str(program.parents[1])}
    return made(file, lambda part: run_quietly([python, program, shape, part], env=os.environ | settings))


def write(shape: Shape, path: str) -> None:
    import gguf
    import numpy as np

    random = np.random.default_rng(0)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(4096)
    writer.add_embedding_length(shape.hidden)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.feed_forward)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.key_value_heads)
    writer.add_rope_dimension_count(shape.hidden // shape.heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10000.0)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    add_vocabulary(writer, shape.vocabulary)

    def matrix(name: str, outputs: int, inputs: int) -> None:
        values = random.standard_normal((outputs, inputs), dtype=np.float32) / np.float32(np.sqrt(inputs))
        writer.add_tensor(name, values.astype(np.float16))

    def ones(name: str) -> None:
        writer.add_tensor(name, np.ones(shape.hidden, np.float32))

    keys = shape.hidden // shape.heads * shape.key_value_heads
    matrix("token_embd.weight", shape.vocabulary, shape.hidden)
    ones("output_norm.weight")
    for layer in range(shape.layers):
        prefix = f"blk.{layer}."
        ones(prefix + "attn_norm.weight")
        ones(prefix + "ffn_norm.weight")
        for name, outputs, inputs in [
            ("attn_q", shape.hidden, shape.hidden), ("attn_k", keys, shape.hidden), ("attn_v", keys, shape.hidden),
            ("attn_output", shape.hidden, shape.hidden), ("ffn_gate", shape.feed_forward, shape.hidden),
            ("ffn_up", shape.feed_forward, shape.hidden), ("ffn_down", shape.hidden, shape.feed_forward),
        ]:  # fmt: skip
            matrix(f"{prefix}{name}.weight", outputs, inputs)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def add_vocabulary(writer, size: int) -> None:
    """The bytes in GPT-2's alphabet, and tokens that no text has."""
    printable = {*range(33, 127), *range(161, 173), *range(174, 256)}
    others = iter(range(256, 512))
    letters = [chr(byte if byte in printable else next(others)) for byte in range(256)]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list([*letters, "<|bos|>", "<|eos|>", "ab", *(f"<|{n}|>" for n in range(size - 259))])
    writer.add_token_types([1] * 256 + [3, 3, 1] + [3] * (size - 259))
    writer.add_token_merges(["a b"])
    writer.add_bos_token_id(256)
    writer.add_eos_token_id(257)
    writer.add_add_bos_token(False)


if __name__ == "__main__":
    write(SHAPES[sys.argv[1]], sys.argv[2])
