"""Packs the random models and their answers for the repository.

    python pack_models.py OUT

Of each folder OUT/NAME this script writes, beside itself, NAME.zst (all files of the folder in one zstd frame, one
after the other, so that weights in two containers are stored once) and NAME.json (which files, and golden.json).
"""

import argparse
import json
from pathlib import Path

import zstandard

HERE = Path(__file__).resolve().parent
INDEX = "golden.json"
SHARED_FILES = {"tokenizer.json", "tokenizer_config.json"}  # lie beside this script as they are


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    folders = sorted(path.parent for path in parser.parse_args().out.glob(f"*/{INDEX}"))
    sizes = [pack(folder) for folder in folders]
    print(f"{len(folders)} models, {sum(sizes) / 1e6:.2f} MB")


def pack(folder: Path) -> int:
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name not in SHARED_FILES | {INDEX})
    content = b"".join(path.read_bytes() for path in files)
    parameters = zstandard.ZstdCompressionParameters.from_level(
        22, source_size=len(content), write_checksum=True, enable_ldm=True
    )
    packed = zstandard.ZstdCompressor(compression_params=parameters).compress(content)
    index = json.loads((folder / INDEX).read_text())
    index["files"] = [{"name": str(path.relative_to(folder)), "bytes": path.stat().st_size} for path in files]
    lines = [f" {json.dumps(key)}: {json.dumps(value, separators=(',', ':'))}" for key, value in index.items()]
    text = "{\n" + ",\n".join(lines) + "\n}\n"
    (HERE / f"{folder.name}.zst").write_bytes(packed)
    (HERE / f"{folder.name}.json").write_text(text)
    print(f"{folder.name:20s} {len(content):8d} -> {len(packed):7d} + {len(text)}")
    return len(packed) + len(text)


if __name__ == "__main__":
    main()
