"""Writes the Hugging Face folder for vLLM from a GGUF file: dequantised weights, no tokenizer.

    python hugging_face_folder.py MODEL.gguf DTYPE FOLDER

Runs in vLLM's environment. It reads the file with the code of the golden data.
"""

import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "Tests" / "Golden" / "reference"))

from gguf_model import load_model  # noqa: E402

model, dtype, folder = sys.argv[1:]
load_model(Path(model), getattr(torch, dtype)).save_pretrained(folder)
