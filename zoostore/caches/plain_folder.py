"""Reading a folder of weights that no tool describes, and the models of LM Studio."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from zoostore.caches.base import FOLDER, Cache, CachedFile, CachedModel
from zoostore.caches.gathering import Gathered
from zoostore.caches.places import files_below, locate
from zoostore.errors import CannotAdd, InvalidStub, UnsafePath
from zoostore.files.scan import Found
from zoostore.stubs import parse_stub

WEIGHTS = (".gguf", ".safetensors")
"""How the names of files end that LM Studio has in the folder of each model."""

_IN_PROGRESS = (".incomplete", ".part", ".crdownload", ".tmp")
_LOCK = ".lock"
_GENERIC = frozenset({"models", "checkpoints", "weights"})
"""Names of folders that say nothing of what is in them; the folder above does."""


def read_plain_folder(folder: Path, stub: str | None) -> Cache:
    """All files of a folder, as one model.

    Args:
        stub: the model's name; None for one after the folder.
    """
    root = Path(os.path.realpath(folder))
    problems: dict[str, str] = {}
    name = stub or name_after(root)
    left_out = 0 if name.startswith("zoo:") else None  # elsewhere there may be more of it
    model = read_model(root, name, problems, left_out=left_out)
    return Cache(FOLDER, root, (model,) if model.files else (), problems)


def read_publishers(folder: Path) -> Cache:
    """Folders of publishers with folders of models, as LM Studio keeps them.

    Source: https://lmstudio.ai/docs/app/basics/import-model.
    """
    root = Path(os.path.realpath(folder))
    problems: dict[str, str] = {}
    models = []
    for model_folder in _models_of_publishers(root):
        stub = f"hf:{model_folder.relative_to(root).as_posix()}"
        if _is_model_stub(stub):
            models.append(read_model(model_folder, stub, problems, left_out=None))
        else:
            problems[str(model_folder)] = "No stub can name it."
    models.sort(key=lambda model: model.stub)
    return Cache(FOLDER, root, tuple(model for model in models if model.files), problems)


def has_publishers(folder: Path) -> bool:
    """Whether a folder has models two folders deep, each with weights, and nothing beside."""
    # Not `entry.is_dir()`, which fails for a link that leads to itself.
    if not all(os.path.isdir(entry.path) for entry in _visible(folder)):
        return False
    folders = list(_models_of_publishers(folder))
    return bool(folders) and all(map(_has_weights, folders))


def read_model(
    root: Path, stub: str, problems: dict[str, str], *, left_out: int | None = 0
) -> CachedModel:
    """The files below a folder, but for hidden ones and what is in progress.

    Args:
        root: the folder, with no link among its parts.
        problems: gets what is passed over, by path.
    """
    gathered = Gathered()
    for found in files_below(root, problems):
        path = root / found.path
        why = _why_passed_over(found)
        if why is None:
            try:
                place, stamp = locate(root, found, (root,))
                is_program = os.stat(place).st_mode & stat.S_IXUSR != 0
                gathered.add(found.path, CachedFile(place, stamp, (), is_program))
            except (CannotAdd, UnsafePath) as error:
                why = error.message
        if why:
            problems[str(path)] = why
    return CachedModel(stub, "", gathered.files, left_out)


def name_after(folder: Path) -> str:
    """The stub of a model that is called as its folder, or as the folder above `models`."""
    name = folder.name
    if name.lower() in _GENERIC and folder.parent.name:
        name = folder.parent.name
    plain = re.sub(r"[^A-Za-z0-9_.+-]+", "-", name).lstrip("-.+").lower()[:100]
    return f"zoo:{plain or 'folder'}"


def _why_passed_over(found: Found) -> str | None:
    """Why a file is not part of a model; empty if that needs no word, None if it is."""
    name = found.path.lower()
    if any(part.startswith(".") for part in name.split("/")):
        return ""
    if name.endswith(_IN_PROGRESS):
        return "It is a download that did not end."
    return "" if name.endswith(_LOCK) else None


def _models_of_publishers(root: Path) -> Iterator[Path]:
    for publisher in _visible(root):
        for model in _visible(Path(publisher.path)):
            yield Path(model.path)


def _has_weights(folder: Path) -> bool:
    return folder.is_dir() and any(
        entry.name.lower().endswith(WEIGHTS) for entry in _visible(folder)
    )


def _visible(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return [entry for entry in entries if not entry.name.startswith(".")]
    except OSError:
        return []  # reading the models says so


def _is_model_stub(text: str) -> bool:
    try:
        return parse_stub(text).name == text and not text.startswith("hf:datasets/")
    except InvalidStub:
        return False
