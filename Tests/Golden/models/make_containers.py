"""Puts some of the random models into other containers, in folders of their own below OUT/NAME.

    python make_containers.py OUT

`sharded`: three safetensors files with an index. `split`: three GGUF files, named and described as llama.cpp's
gguf-split does. `multimodal`: the text model inside a class that also sees, as transformers writes it
(`language_model.model.…`); `multimodal-model-first`: the same under the names of newer classes
(`model.language_model.…`). All give the answers of OUT/NAME.
"""

import argparse
import json
import os
import shutil
from pathlib import Path

os.environ["TRANSFORMERS_VERBOSITY"] = "error"

import torch  # noqa: E402
import transformers  # noqa: E402
from gguf import GGUFReader, GGUFValueType, GGUFWriter  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402
from transformers import AutoModelForCausalLM, Gemma3Config, Gemma3ForConditionalGeneration  # noqa: E402

from random_weights import randomize  # noqa: E402

SHARDED = "llama31"
SPLIT = "llama31"
MULTIMODAL = "gemma3"
PARTS = 3
VISION = dict(
    hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=1, image_size=28, patch_size=14,
    vision_use_head=False,
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    out = parser.parse_args().out
    transformers.utils.logging.disable_progress_bar()
    write_shards(out / SHARDED, fresh(out / SHARDED / "sharded"))
    split_gguf(out / SPLIT / "model.gguf", fresh(out / SPLIT / "split"))
    write_multimodal(out / MULTIMODAL, fresh(out / MULTIMODAL / "multimodal"))
    put_model_first(out / MULTIMODAL / "multimodal", fresh(out / MULTIMODAL / "multimodal-model-first"))


def fresh(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


def write_shards(source: Path, folder: Path) -> None:
    size = (source / "model.safetensors").stat().st_size
    load(source, torch.bfloat16).save_pretrained(folder, max_shard_size=f"{size * 2 // 5 // 1000}KB")
    assert len(list(folder.glob("*.safetensors"))) == PARTS


def split_gguf(source: Path, folder: Path) -> None:
    reader = GGUFReader(source)
    architecture = reader.get_field("general.architecture").contents()
    each = -(-len(reader.tensors) // PARTS)
    writer = GGUFWriter(folder / "model.gguf", architecture, split_max_tensors=each)
    for field in reader.fields.values():
        if field.name.startswith("GGUF.") or field.name == "general.architecture":
            continue
        element = field.types[1] if field.types[0] == GGUFValueType.ARRAY else None
        writer.add_key_value(field.name, field.contents(), field.types[0], sub_type=element)
    for tensor in reader.tensors:
        writer.add_tensor(tensor.name, tensor.data, raw_dtype=tensor.tensor_type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    assert len(list(folder.glob(f"model-0000?-of-0000{PARTS}.gguf"))) == PARTS


def write_multimodal(source: Path, folder: Path) -> None:
    text = load(source, torch.float32)
    config = Gemma3Config(
        text_config=json.loads((source / "config.json").read_text()), vision_config=VISION,
        mm_tokens_per_image=4, image_token_index=260, boi_token_index=261, eoi_token_index=262,
    )  # fmt: skip
    model = Gemma3ForConditionalGeneration._from_config(config, dtype=torch.float32, attn_implementation="eager").eval()
    randomize(model, torch.Generator().manual_seed(0))
    model.model.language_model.load_state_dict(text.model.state_dict())
    tokens = torch.tensor([json.loads((source / "golden.json").read_text())["prompts"][0]])
    with torch.inference_mode():
        assert torch.equal(model(input_ids=tokens).logits, text(input_ids=tokens).logits)
    for part in (config, config.text_config, config.vision_config):
        part.dtype = torch.bfloat16
    model.to(torch.bfloat16).save_pretrained(folder)


def put_model_first(source: Path, folder: Path) -> None:
    shutil.copytree(source, folder, dirs_exist_ok=True)
    weights = load_file(folder / "model.safetensors")
    moved = {"language_model.model.": "model.language_model.", "": "model."}
    renamed = {}
    for name, tensor in weights.items():
        prefix = next(prefix for prefix in moved if name.startswith(prefix))
        renamed[moved[prefix] + name.removeprefix(prefix)] = tensor
    save_file(renamed, folder / "model.safetensors", metadata={"format": "pt"})


def load(folder: Path, dtype: torch.dtype):
    return AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, attn_implementation="eager").eval()


if __name__ == "__main__":
    main()
