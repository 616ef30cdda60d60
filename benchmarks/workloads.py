"""Workloads: directories of files made from seeds, the same on every machine."""

from __future__ import annotations

import random
from pathlib import Path

_CHUNK = 1 << 24
MODELS = 8
SHARING = 5
SMALL_FILES = 10
FILES_IN_A_FOLDER = 100


def big(root: Path, scale: float) -> Path:
    """One file of 2 GiB."""
    folder = root / "big"
    _write(folder / "model.bin", int(scale * (2 << 30)), "big")
    return folder


def family(root: Path, scale: float) -> list[Path]:
    """Eight models of 290 MB, five of which share a checkpoint of 200 MB."""
    folders = []
    for number in range(MODELS):
        folder = root / "family" / f"m{number}"
        seed = "shared" if number < SHARING else f"own {number}"
        _write(folder / "training" / "checkpoint.bin", int(scale * 200_000_000), seed)
        _write(folder / "model.onnx", int(scale * 90_000_000), f"onnx {number}")
        for small in range(SMALL_FILES):
            _write(folder / "recipe" / f"{small}.md", 2000 + 1000 * small, f"{number} {small}")
        folders.append(folder)
    return folders


def many(root: Path, scale: float) -> Path:
    """100,000 files of 1 to 8 KiB in 1,000 folders."""
    folder = root / "many"
    source = random.Random("many")
    for number in range(int(scale * 100_000)):
        path = folder / f"d{number // FILES_IN_A_FOLDER:04}" / f"f{number:06}.bin"
        if number % FILES_IN_A_FOLDER == 0:
            path.parent.mkdir(parents=True)
        path.write_bytes(source.randbytes(source.randint(1024, 8192)))
    return folder


def _write(path: Path, size: int, seed: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    source = random.Random(seed)
    with open(path, "wb") as file:
        for start in range(0, size, _CHUNK):
            file.write(source.randbytes(min(_CHUNK, size - start)))
