"""Writes gguf-blocks.json: random blocks of every quantised GGUF type, and the gguf package's reading of them.

    pip install gguf==0.19.0 libgguf==0.2.2 numpy && python make_gguf_blocks.py

Each entry is 256 weights: the block bytes in hexadecimal, and the float32 weights as hexadecimal bit patterns. Scales
are random finite half floats of moderate size. Then, for every entry of every code book, `count` more weights, of which
only a digest is kept: their blocks are those of `BlockType.rows` in BlockType.swift. ggml itself, which libgguf holds,
must read all blocks like the gguf package.

`quantized` is the other way: float32 rows of 512 weights, and their Q8_0 and Q4_0 blocks.
"""

import json
from pathlib import Path

import gguf
import libgguf
import numpy as np
from gguf import GGMLQuantizationType as Type

# Places of the half floats in a block.
HALVES = {
    Type.Q4_0: [0], Type.Q4_1: [0, 2], Type.Q5_0: [0], Type.Q5_1: [0, 2], Type.Q8_0: [0],
    Type.Q2_K: [80, 82], Type.Q3_K: [108], Type.Q4_K: [0, 2], Type.Q5_K: [0, 2], Type.Q6_K: [208],
    Type.IQ4_NL: [0], Type.IQ4_XS: [0], Type.IQ2_XXS: [0], Type.IQ2_XS: [0], Type.IQ2_S: [0], Type.IQ3_XXS: [0],
    Type.IQ3_S: [0], Type.IQ1_S: [0], Type.IQ1_M: [], Type.TQ1_0: [52], Type.TQ2_0: [64], Type.MXFP4: [],
}
# Enough for every entry of the greatest code book, of 2,048.
COUNT = 1024 * 256


def read(blocks: np.ndarray, kind: Type) -> np.ndarray:
    values = gguf.dequantize(blocks.reshape(-1), kind).astype(np.float32)
    other = libgguf.dequantize_rows(blocks.reshape(1, -1), getattr(libgguf.GGMLQuantizationType, kind.name))
    other = np.asarray(other, dtype=np.float32).reshape(-1)
    assert np.array_equal(values.view(np.uint32), other.view(np.uint32)), kind
    return values


def split_mix(seed: int, count: int) -> np.ndarray:
    """The low bytes of SplitMix64, as `SmallRandom` gives them."""
    with np.errstate(over="ignore"):
        z = np.uint64(seed) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return (z ^ (z >> np.uint64(31))).astype(np.uint8)


def many_blocks(kind: Type) -> np.ndarray:
    weights, size = gguf.GGML_QUANT_SIZES[kind]
    blocks = split_mix(int(kind) + 1, COUNT // weights * size).reshape(-1, size)
    for place in HALVES[kind]:
        blocks[:, place + 1] = blocks[:, place + 1] & 0x83 | 0x24
    if kind == Type.MXFP4:
        blocks[:, 0] = blocks[:, 0] & 0x07 | 0x78
    if kind == Type.IQ1_M:
        blocks[:, 55] = blocks[:, 55] & 0x8F | 0x20
    return blocks


def digest(values: np.ndarray) -> str:
    """FNV-1a over 32-bit words."""
    state = 14695981039346656037
    for word in values.view(np.uint32).tolist():
        state = (state ^ word) * 1099511628211 & 0xFFFFFFFFFFFFFFFF
    return f"{state:016x}"


def entry_of(kind: Type, random: np.random.Generator) -> dict:
    weights, size = gguf.GGML_QUANT_SIZES[kind]
    blocks = random.integers(0, 256, (256 // weights, size), dtype=np.uint8)
    for place in HALVES[kind]:
        scales = random.uniform(-2, 2, len(blocks)).astype(np.float16)
        blocks[:, place : place + 2] = scales.view(np.uint8).reshape(-1, 2)
    if kind == Type.MXFP4:
        # The ends of the exponents whose values are all finite, too.
        blocks[:, 0] = [0, 1, 2, 3, 120, 127, 251, 252]
    if kind == Type.IQ1_M:
        blocks[:, 55] &= 0xBF
    values = read(blocks, kind)
    return {
        "type": int(kind), "blocks": blocks.tobytes().hex(), "weights": values.tobytes().hex(), "count": COUNT,
        "digest": digest(read(many_blocks(kind), kind)),
    }


def quantized(random: np.random.Generator) -> dict:
    """Groups of many sizes, ties of either sign, equal extremes, zeros and subnormal scales."""
    rows = random.standard_normal((6, 16, 32)).astype(np.float32)
    rows *= np.exp2(random.integers(-20, 12, (6, 16, 1))).astype(np.float32)
    rows[0, 0] = 0
    rows[0, 1] = np.arange(-16, 16)
    rows[0, 2] = np.where(np.arange(32) % 2, 8, -8)
    rows[0, 3] = (np.arange(32) - 15.5) * 127 / 15.5 / 127 * 2
    rows[0, 4] = np.arange(32) - 127.0
    rows[0, 4, 16:] = np.arange(16) + 0.5
    rows[0, 5] = 3e-6 * np.arange(-16, 16)
    rows[0, 6] = 65504 * 8 * np.linspace(-1, 1, 32)
    rows[0, 7] = -np.float32(1e-30)
    rows = rows.reshape(6, 512)
    kinds = {"Q8_0": Type.Q8_0, "Q4_0": Type.Q4_0}
    return {"rows": rows.tobytes().hex()} | {
        name: gguf.quantize(rows, kind).astype(np.uint8).tobytes().hex() for name, kind in kinds.items()
    }


def main() -> None:
    random = np.random.default_rng(7)
    entries = ",\n".join(json.dumps(entry_of(kind, random)) for kind in HALVES)
    folder = Path(__file__).parent
    (folder / "gguf-blocks.json").write_text("[\n" + entries + "\n]\n")
    (folder / "gguf-quantized.json").write_text(json.dumps(quantized(random)) + "\n")


main()
