"""The cache of the Hugging Face Hub, as huggingface_hub lays it out and reads it."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from importlib import metadata
from pathlib import Path

from benchmarks.measuring import Command
from benchmarks.tools.base import Tool

_PACKAGE = "huggingface_hub"
_SCAN = "import sys, huggingface_hub as hub; print(hub.scan_cache_dir(sys.argv[1]))"
_REVISION = "0" * 40


class HuggingFace(Tool):
    """A cache that holds each folder of the source as a model."""

    name = "Hugging Face cache"
    program = sys.executable
    durability = "nothing: it is only read here"
    skips = {  # noqa: RUF012
        "add": "it takes in only what it downloads",
        "checkout": "it lays nothing out but its own links",
        "verify": "it compares with what the Hub says now, and so needs the network",
        "status": "it knows of no checkouts",
    }

    def version(self) -> str | None:
        try:
            return metadata.version(_PACKAGE)
        except metadata.PackageNotFoundError:
            return None

    def start(self) -> None:
        return None

    def make(self, place: Path, source: Path) -> None:
        for model in source.iterdir():
            _make_model(place / f"models--bench--{model.name}", model)

    def listing(self, place: Path) -> Command:
        return Command([sys.executable, "-c", _SCAN, str(place)], env={"HF_HUB_OFFLINE": "1"})


def _make_model(folder: Path, model: Path) -> None:
    blobs, snapshot = folder / "blobs", folder / "snapshots" / _REVISION
    blobs.mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text(_REVISION)
    for path in filter(Path.is_file, model.rglob("*")):
        with open(path, "rb") as file:
            blob = blobs / hashlib.file_digest(file, "sha256").hexdigest()
        shutil.copyfile(path, blob)
        link = snapshot / path.relative_to(model)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(os.path.relpath(blob, link.parent))
