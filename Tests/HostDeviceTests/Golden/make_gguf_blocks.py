"""Writes gguf-blocks.json: random blocks of every quantised GGUF type, and the gguf package's reading of them.

    pip install gguf==0.19.0 numpy && python make_gguf_blocks.py

Each entry is 256 weights: the block bytes in hexadecimal, and the float32 weights as hexadecimal bit patterns. Scales
are random finite half floats of moderate size.
"""

import json
from pathlib import Path

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Type

# Places of the half floats in a block.
HALVES = {
    Type.Q4_0: [0], Type.Q4_1: [0, 2], Type.Q5_0: [0], Type.Q5_1: [0, 2], Type.Q8_0: [0],
    Type.Q2_K: [80, 82], Type.Q3_K: [108], Type.Q4_K: [0, 2], Type.Q5_K: [0, 2], Type.Q6_K: [208],
}


def main() -> None:
    random = np.random.default_rng(7)
    entries = []
    for kind, halves in HALVES.items():
        weights, size = gguf.GGML_QUANT_SIZES[kind]
        blocks = random.integers(0, 256, (256 // weights, size), dtype=np.uint8)
        for place in halves:
            scales = random.uniform(-2, 2, len(blocks)).astype(np.float16)
            blocks[:, place : place + 2] = scales.view(np.uint8).reshape(-1, 2)
        values = gguf.dequantize(blocks.reshape(-1), kind).astype(np.float32)
        entries.append({"type": int(kind), "blocks": blocks.tobytes().hex(), "weights": values.tobytes().hex()})
    lines = ",\n".join(json.dumps(entry) for entry in entries)
    Path(__file__).with_name("gguf-blocks.json").write_text("[\n" + lines + "\n]\n")


main()
