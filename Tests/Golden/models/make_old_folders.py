"""Writes the config.json of some of the random models as transformers 4 did, in OUT/NAME/transformers-4.51 or -4.57.

    python make_old_folders.py OUT        # once with transformers 4.51.3, once with 4.57.6; torch is not needed

The weights beside it are those of OUT/NAME.
"""

import argparse
import json
import shutil
from pathlib import Path

import transformers

VERSION = ".".join(transformers.__version__.split(".")[:2])
GEMMA_3_OLD = dict(rope_theta=1e6, rope_local_base_freq=1e4, rope_scaling={"rope_type": "linear", "factor": 8.0})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    out = parser.parse_args().out
    match VERSION:
        case "4.51":
            write(out / "llama31", "LlamaConfig", rope_scaling=scaling(out / "llama31"))
            # Qwen's own files keep a window that is not used.
            yarn = scaling(out / "qwen2_yarn", kind="type")
            write(out / "qwen2_yarn", "Qwen2Config", rope_scaling=yarn, sliding_window=16)
            write(out / "phi3_longrope", "Phi3Config", rope_scaling=scaling(out / "phi3_longrope", kind="type"))
            write(out / "gemma3", "Gemma3TextConfig", **GEMMA_3_OLD, sliding_window_pattern=6)
            write_multimodal(out / "gemma3" / "multimodal", GEMMA_3_OLD | dict(sliding_window_pattern=6))
        case "4.57":
            write(out / "gemma3", "Gemma3TextConfig", **GEMMA_3_OLD)
            write(out / "olmo3", "Olmo3Config", rope_theta=5e5, rope_scaling=scaling(out / "olmo3"))
        case _:
            raise SystemExit(f"transformers {transformers.__version__}: wanted 4.51.3 or 4.57.6")


def settings(folder: Path) -> dict:
    return json.loads((folder / "config.json").read_text())


def dtype_key() -> str:
    return "torch_dtype" if VERSION == "4.51" else "dtype"


def old(new: dict) -> dict:
    """Settings of transformers 5 that transformers 4 has too."""
    renamed = {dtype_key(): new["dtype"]}
    parameters = new["rope_parameters"]
    if "rope_theta" in parameters:
        renamed["rope_theta"] = parameters["rope_theta"]
    left_out = {"rope_parameters", "dtype", "transformers_version", "_sliding_window_pattern"}
    if VERSION == "4.51":
        left_out.add("layer_types")
    return {key: value for key, value in new.items() if key not in left_out} | renamed


def scaling(folder: Path, kind: str = "rope_type") -> dict:
    parameters = settings(folder)["rope_parameters"]
    parameters = parameters.get("full_attention", parameters)
    names = {
        "llama3": ["factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings"],
        "yarn": ["factor", "original_max_position_embeddings"],
        "longrope": ["short_factor", "long_factor"],
    }
    optional = [name for name in ["beta_fast", "beta_slow", "attention_factor"] if name in parameters]
    chosen = names[parameters["rope_type"]] + optional
    return {kind: parameters["rope_type"]} | {name: parameters[name] for name in chosen}


def write(source: Path, config_class: str, **changes) -> None:
    config = getattr(transformers, config_class)(**old(settings(source)) | changes)
    for name, value in changes.items():
        setattr(config, name, value)
    save(source, config)


def write_multimodal(source: Path, text_changes: dict) -> None:
    new = settings(source)
    text = old(new["text_config"]) | text_changes
    rest = {key: value for key, value in new.items() if key not in ("text_config", "dtype", "transformers_version")}
    save(source, transformers.Gemma3Config(**rest | {"text_config": text, dtype_key(): new["dtype"]}))


def save(source: Path, config) -> None:
    folder = source / f"transformers-{VERSION}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    config.save_pretrained(folder)
    for file in ["model.safetensors", "generation_config.json"]:
        shutil.copy(source / file, folder)


if __name__ == "__main__":
    main()
