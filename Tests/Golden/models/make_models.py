"""Writes random models of many architectures and what transformers answers with them.

    python make_models.py OUT [NAME ...]

OUT/NAME gets the folder as transformers writes it (config.json, generation_config.json, model.safetensors), the
tokenizer's files of this folder, golden.f32 and golden.json. Then `convert_to_gguf.py`, `make_containers.py` and
`pack_models.py` go on with OUT. A minute for all.
"""

import argparse
import copy
import json
import os
import shutil
import zlib
from pathlib import Path

os.environ["TRANSFORMERS_VERBOSITY"] = "error"

import torch  # noqa: E402
import transformers  # noqa: E402
from transformers import AutoConfig, AutoModelForCausalLM  # noqa: E402

from architectures import ARCHITECTURES, SHARED, VOCABULARY, Architecture  # noqa: E402
from golden import make_golden  # noqa: E402
from random_weights import randomize  # noqa: E402

HERE = Path(__file__).resolve().parent
TOKENIZER_FILES = ["tokenizer.json", "tokenizer_config.json"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    transformers.utils.logging.disable_progress_bar()
    for name in arguments.names or ARCHITECTURES:
        make(name, ARCHITECTURES[name], arguments.out / name)


def make(name: str, architecture: Architecture, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    generator = torch.Generator().manual_seed(zlib.crc32((architecture.weights_of or name).encode()))
    config = AutoConfig.for_model(architecture.model_type, **copy.deepcopy(SHARED | architecture.settings))
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32, attn_implementation="eager").eval()
    randomize(model, generator)
    saved = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    saved.load_state_dict(model.state_dict())
    saved.to(getattr(torch, architecture.dtype)).save_pretrained(folder)
    for file in TOKENIZER_FILES:
        shutil.copy(HERE / file, folder)
    choose_rope_once(model, architecture)
    golden = make_golden(model, VOCABULARY, generator)
    (folder / "golden.f32").write_bytes(golden.floats().tobytes())
    header = {
        "name": name,
        "class": saved.config.architectures[0],
        "engine": f"transformers {transformers.__version__}, torch {torch.__version__}, float32, eager attention",
        "maxModelLength": architecture.max_model_len,
    }
    (folder / "golden.json").write_text(json.dumps(header | golden.index()))
    checks = " ".join(f"{key} {value}" for key, value in golden.checks.items())
    print(f"{name:20s} {header['class']:28s} {model.num_parameters():7d} {checks}", flush=True)


def choose_rope_once(model, architecture: Architecture) -> None:
    """For `longrope` transformers goes over to the long factors in the middle of a sequence, where cached keys were
    turned by the short ones. An engine must choose once, by the longest sequence that it may see."""
    parameters = model.config.rope_parameters
    if parameters.get("rope_type") != "longrope":
        return
    long = architecture.max_model_len > parameters["original_max_position_embeddings"]
    rotary = model.model.rotary_emb
    chosen, other = ("long_factor", "short_factor") if long else ("short_factor", "long_factor")
    parameters[other] = parameters[chosen]
    rebuilt = type(rotary)(config=model.config)
    assert rebuilt.attention_scaling == rotary.attention_scaling
    model.model.rotary_emb = rebuilt


if __name__ == "__main__":
    main()
