"""Writes Sources/CHostKernels/gguf_codebooks.h: the code books of GGUF's IQ types, read from the gguf package.

    pip install gguf==0.19.0 numpy && python make_gguf_codebooks.py

They are ggml's (MIT License, Copyright (c) 2023-2026 The ggml authors), in a shorter form: an entry's values are
indices of 2 or 3 bits into the few values that the code book has, the first one lowest.
"""

from pathlib import Path

import numpy as np
from gguf import quants

BOOKS = [("IQ2_XXS", 2), ("IQ2_XS", 2), ("IQ2_S", 2), ("IQ3_XXS", 3), ("IQ3_S", 3), ("IQ1_S", 2)]
COLUMNS = 15

HEADER = """\
// The code books of GGUF's IQ types. An entry's values are indices of 2 or 3 bits, the first one lowest.
//
// From ggml (MIT License, Copyright (c) 2023-2026 The ggml authors), written by
// Tests/HostDeviceTests/Golden/make_gguf_codebooks.py.

#ifndef GGUF_CODEBOOKS_H
#define GGUF_CODEBOOKS_H

#include <stdint.h>
"""


def main() -> None:
    text = HEADER
    for name, bits in BOOKS:
        kind = getattr(quants, name)
        kind.init_grid()
        grid = kind.grid.reshape(kind.grid_shape)
        indices = np.searchsorted(np.array(kind.grid_map, np.float32), grid).astype(np.uint64)
        assert np.array_equal(np.array(kind.grid_map, np.float32)[indices], grid)
        shifts = np.arange(grid.shape[1], dtype=np.uint64) * np.uint64(bits)
        entries = [f"0x{entry:04x}" for entry in np.bitwise_or.reduce(indices << shifts, axis=1)]
        assert len(entries) == len(set(entries))
        values = ", ".join(f"{value:g}" for value in kind.grid_map)
        text += f"\n// {len(entries)} entries of {grid.shape[1]} of the values {values}.\n"
        text += f"static const uint16_t {name.lower()}_book[{len(entries)}] = {{\n"
        for first in range(0, len(entries), COLUMNS):
            text += "    " + ", ".join(entries[first : first + COLUMNS]) + ",\n"
        text += "};\n"
    sources = Path(__file__).parents[3] / "Sources" / "CHostKernels"
    (sources / "gguf_codebooks.h").write_text(text + "\n#endif\n")


main()
