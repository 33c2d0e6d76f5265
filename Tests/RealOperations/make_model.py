"""Writes a small random llama of sizes that ttnn's operations take: python make_model.py OUT.gguf [TOKENIZER.gguf].

Tokenizer and vocabulary are those of another GGUF file, by default one of Tests/Golden. The same numpy gives the same bytes.
"""

from __future__ import annotations

import struct
import sys
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

_TESTS = Path(__file__).resolve().parent.parent
sys.path.append(str(_TESTS / "ContractModel"))
import gguf_weights  # noqa: E402

LAYERS, HIDDEN, HEADS, KV_HEADS, FEED_FORWARD, CONTEXT, SEED = 2, 128, 4, 2, 256, 2048, 5
_FLOAT32, _FLOAT16 = 0, 1
_ALIGNMENT = 32


def main() -> None:
    source = sys.argv[2] if len(sys.argv) > 2 else str(_TESTS / "Golden/tiny/tiny-q8_0.gguf")
    taken = gguf_weights.read(source)[0]
    vocabulary = len(taken["tokenizer.ggml.tokens"])
    metadata = {
        "general.architecture": "llama",
        "general.name": "real-operations",
        "llama.block_count": LAYERS,
        "llama.context_length": CONTEXT,
        "llama.embedding_length": HIDDEN,
        "llama.feed_forward_length": FEED_FORWARD,
        "llama.attention.head_count": HEADS,
        "llama.attention.head_count_kv": KV_HEADS,
        "llama.rope.freq_base": 10000.0,
        "llama.rope.dimension_count": HIDDEN // HEADS,
        "llama.attention.layer_norm_rms_epsilon": 1e-5,
        "llama.vocab_size": vocabulary,
    }
    metadata |= {key: value for key, value in taken.items() if key.startswith("tokenizer.")}
    tensors = {name: _random(name, shape) for name, shape in _shapes(vocabulary).items()}
    with open(sys.argv[1], "wb") as file:
        _write(file, metadata, tensors)


def _shapes(vocabulary: int) -> dict[str, tuple[int, ...]]:
    keys = HIDDEN // HEADS * KV_HEADS
    block = {
        "attn_norm": (HIDDEN,), "attn_q": (HIDDEN, HIDDEN), "attn_k": (keys, HIDDEN), "attn_v": (keys, HIDDEN),
        "attn_output": (HIDDEN, HIDDEN), "ffn_norm": (HIDDEN,), "ffn_gate": (FEED_FORWARD, HIDDEN),
        "ffn_up": (FEED_FORWARD, HIDDEN), "ffn_down": (HIDDEN, FEED_FORWARD),
    }  # fmt: skip
    shapes: dict[str, tuple[int, ...]] = {"token_embd.weight": (vocabulary, HIDDEN)}
    for layer in range(LAYERS):
        shapes |= {f"blk.{layer}.{name}.weight": shape for name, shape in block.items()}
    return shapes | {"output_norm.weight": (HIDDEN,), "output.weight": (vocabulary, HIDDEN)}


def _random(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Wide enough that every layer counts: a wrong row, position or block then gives another token."""
    generator = np.random.default_rng([SEED, *name.encode()])
    if len(shape) == 1:
        return generator.uniform(0.7, 1.3, shape).astype(np.float32)
    spread = {"token_embd.weight": 1.0, "output.weight": 8 / shape[1] ** 0.5}.get(name, 2 / shape[1] ** 0.5)
    return (generator.standard_normal(shape) * spread).astype(np.float16)


def _write(file: BinaryIO, metadata: dict[str, Any], tensors: dict[str, np.ndarray]) -> None:
    file.write(struct.pack("<IIQQ", 0x46554747, 3, len(tensors), len(metadata)))
    for key, value in metadata.items():
        kind, data = _encoded(value)
        file.write(_text(key) + struct.pack("<I", kind) + data)
    offset = 0
    for name, tensor in tensors.items():
        kind = _FLOAT16 if tensor.dtype == np.float16 else _FLOAT32
        file.write(_text(name) + struct.pack("<I", tensor.ndim) + struct.pack(f"<{tensor.ndim}Q", *tensor.shape[::-1]))
        file.write(struct.pack("<IQ", kind, offset))
        offset += -(-tensor.nbytes // _ALIGNMENT) * _ALIGNMENT
    for tensor in tensors.values():
        file.write(bytes(-file.tell() % _ALIGNMENT) + tensor.tobytes())


def _text(value: str) -> bytes:
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def _encoded(value: Any) -> tuple[int, bytes]:
    """GGUF's number of the type, and the value."""
    if isinstance(value, str):
        return 8, _text(value)
    if isinstance(value, bool):
        return 7, struct.pack("<?", value)
    if isinstance(value, int):
        return 4, struct.pack("<I", value)
    if isinstance(value, float):
        return 6, struct.pack("<f", value)
    # Token types are int32, the rest are texts.
    items = [(5, struct.pack("<i", item)) if isinstance(item, int) else _encoded(item) for item in value]
    return 9, struct.pack("<IQ", items[0][0], len(items)) + b"".join(data for _, data in items)


if __name__ == "__main__":
    main()
