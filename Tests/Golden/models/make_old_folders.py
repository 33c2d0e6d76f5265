"""Writes the config.json of some of the random models as transformers 4 did, in OUT/NAME/transformers-4.

    python make_old_folders.py OUT        # with transformers 4.51.3; torch is not needed

The weights beside it are those of OUT/NAME.
"""

import argparse
import json
import shutil
from pathlib import Path

import transformers
from transformers import Gemma3Config, Gemma3TextConfig, LlamaConfig, Phi3Config, Qwen2Config

FOLDER = "transformers-4"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    out = parser.parse_args().out
    assert transformers.__version__.startswith("4."), transformers.__version__
    write(out / "llama31", LlamaConfig, rope_scaling=scaling(out / "llama31"))
    # Qwen's own files keep a window that is not used.
    write(out / "qwen2_yarn", Qwen2Config, rope_scaling=scaling(out / "qwen2_yarn", kind="type"), sliding_window=16)
    write(out / "phi3_longrope", Phi3Config, rope_scaling=scaling(out / "phi3_longrope", kind="type"))
    full = settings(out / "gemma3")["rope_parameters"]["full_attention"]
    gemma = dict(
        rope_theta=full["rope_theta"], rope_local_base_freq=10_000.0, sliding_window_pattern=6,
        rope_scaling={"rope_type": "linear", "factor": full["factor"]},
    )  # fmt: skip
    write(out / "gemma3", Gemma3TextConfig, **gemma)
    write_multimodal(out / "gemma3" / "multimodal", gemma)


def settings(folder: Path) -> dict:
    return json.loads((folder / "config.json").read_text())


def old(new: dict) -> dict:
    """Settings of transformers 5 that transformers 4 has too."""
    renamed = {"torch_dtype": new["dtype"]} if "dtype" in new else {}
    parameters = new["rope_parameters"]
    if "rope_theta" in parameters:
        renamed["rope_theta"] = parameters["rope_theta"]
    left_out = {"rope_parameters", "dtype", "transformers_version", "layer_types", "_sliding_window_pattern"}
    return {key: value for key, value in new.items() if key not in left_out} | renamed


def scaling(folder: Path, kind: str = "rope_type") -> dict:
    parameters = settings(folder)["rope_parameters"]
    names = {
        "llama3": ["factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings"],
        "yarn": ["factor", "original_max_position_embeddings"],
        "longrope": ["short_factor", "long_factor"],
    }
    return {kind: parameters["rope_type"]} | {name: parameters[name] for name in names[parameters["rope_type"]]}


def write(source: Path, config_class: type, **changes) -> None:
    config = config_class(**old(settings(source)) | changes)
    for name, value in changes.items():
        setattr(config, name, value)
    save(source, config)


def write_multimodal(source: Path, text_changes: dict) -> None:
    new = settings(source)
    text = old(new["text_config"]) | text_changes
    rest = {key: value for key, value in new.items() if key not in ("text_config", "dtype", "transformers_version")}
    save(source, Gemma3Config(**rest | {"text_config": text, "torch_dtype": new["dtype"]}))


def save(source: Path, config) -> None:
    folder = source / FOLDER
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    config.save_pretrained(folder)
    for file in ["model.safetensors", "generation_config.json"]:
        shutil.copy(source / file, folder)


if __name__ == "__main__":
    main()
