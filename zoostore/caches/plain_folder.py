"""Reading a folder of weights that no tool describes, and the models of LM Studio."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from zoostore.caches.base import FOLDER, Cache, CachedFile, CachedModel
from zoostore.caches.gathering import check_beside
from zoostore.caches.places import find_file, folders_below
from zoostore.errors import CannotAdd, InvalidStub, UnsafePath
from zoostore.files.scan import Found, FoundFolder
from zoostore.objects.paths import check_names, check_path
from zoostore.objects.tree import Kind
from zoostore.reread import Reread
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
    return CachedModel(stub, "", _FilesBelow(root, problems), left_out)


def name_after(folder: Path) -> str:
    """The stub of a model that is called as its folder, or as the folder above `models`."""
    name = folder.name
    if name.lower() in _GENERIC and folder.parent.name:
        name = folder.parent.name
    plain = re.sub(r"[^A-Za-z0-9_.+-]+", "-", name).lstrip("-.+").lower()[:100]
    return f"zoo:{plain or 'folder'}"


class _FilesBelow(Reread[CachedFile]):
    """The files below a folder that are part of a model.

    Args: as `read_model`.
    """

    def __init__(self, root: Path, problems: dict[str, str]) -> None:
        super().__init__()
        self._root = root
        self._above = os.path.join(root, "")
        self._problems = problems

    def read(self) -> Iterator[tuple[str, CachedFile]]:
        passed_over: set[str] = set()
        for folder in folders_below(self._root, self._problems):
            prefix = folder.prefix
            if prefix in passed_over:
                passed_over.update(f"{prefix}{name}/" for name in folder.folders)
                continue
            files, folders = self._part_of_model(folder)
            passed_over.update(f"{prefix}{name}/" for name in folder.folders if name not in folders)
            for found in files:
                try:
                    yield found.path, self._file(found)
                except (CannotAdd, UnsafePath) as error:
                    self._note(found.path, error.message)

    def _part_of_model(self, folder: FoundFolder) -> tuple[list[Found], set[str]]:
        """What of a folder a model can have: the files, and the names of the folders."""
        named = ((found.path[len(folder.prefix) :], found) for found in folder.found)
        files = {name: found for name, found in named if self._is_wanted(found, name)}
        folders = {name for name in folder.folders if not name.startswith(".")}
        possible = self._possible(folder.prefix, [*files, *sorted(folders)])
        kept = [found for name, found in files.items() if name in possible]
        return kept, possible & folders

    def _is_wanted(self, found: Found, name: str) -> bool:
        name = name.lower()
        if name.endswith(_IN_PROGRESS) and not name.startswith("."):
            self._note(found.path, "It is a download that did not end.")
            return False
        return not name.startswith(".") and not name.endswith(_LOCK)

    def _possible(self, prefix: str, names: list[str]) -> set[str]:
        """Of the names in a folder, those that can stand in a snapshot together."""
        try:
            check_names(names)
        except UnsafePath:
            return set(self._one_by_one(prefix, names))
        return set(names)

    def _one_by_one(self, prefix: str, names: Iterable[str]) -> Iterator[str]:
        seen: dict[str, str] = {}
        for name in names:
            try:
                check_beside(name, seen)
            except UnsafePath as error:
                self._note(prefix + name, error.message)
                continue
            yield name

    def _file(self, found: Found) -> CachedFile:
        check_path(found.path)
        if found.is_file:
            at, is_program = self._above + found.path, found.kind is Kind.EXECUTABLE
            return CachedFile(at, found.stamp, is_executable=is_program, may_recur=False)
        place, stamp = find_file(self._root / found.path, (self._root,))
        is_program = os.stat(place).st_mode & stat.S_IXUSR != 0
        return CachedFile(str(place), stamp, is_executable=is_program)

    def _note(self, path: str, why: str) -> None:
        self._problems[str(self._root / path)] = why


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
