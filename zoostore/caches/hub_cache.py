"""Reading the cache of the Hugging Face Hub: a folder for each repository.

Source: huggingface_hub 2.4, `constants.py`, `file_download.py` and `utils/_shared_blobs.py`.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from zoostore.caches.base import Cache, CachedModel
from zoostore.errors import InvalidStub
from zoostore.stubs import parse_stub

KIND = "huggingface"

_REPOSITORY = r"(?s)(?P<kind>models|datasets|spaces|kernels)--(?P<name>.+)"
_PREFIXES = {"models": "hf:", "datasets": "hf:datasets/"}

_HOME = "huggingface"

_SHARED = Path("blobs")
_SHARED_MARKER = _SHARED / ".huggingface-shared-blobs"


def is_repository(folder: Path) -> bool:
    """Whether a folder is called as a cache calls a repository, and looks like one."""
    looks = any((folder / name).is_dir() for name in ("snapshots", "blobs", "refs"))
    return looks and re.fullmatch(_REPOSITORY, folder.name) is not None


def find_hub_cache(folder: Path) -> Path | None:
    """The cache that a folder is, or has in its `hub/`; None if it is none.

    What is called as the library calls its home is one, even if its cache is empty: the rest of
    it is nothing to adopt, for tokens are in it.
    """
    if folder.name == _HOME and (folder / "hub").is_dir():
        return folder / "hub"
    for root in (folder, folder / "hub"):
        if root.is_dir() and any(is_repository(root / name) for name in os.listdir(root)):
            return root
    return None


def read_hub_cache(folder: Path) -> Cache:
    """All models and datasets of a cache."""
    root = Path(os.path.realpath(folder))
    problems: dict[str, str] = {}
    models: list[CachedModel] = []
    for name in sorted(os.listdir(root)):
        if re.fullmatch(_REPOSITORY, name):
            models += _read(root / name, (root,), problems)
    models.sort(key=lambda model: model.stub)
    return Cache(KIND, root, tuple(models), problems)


def read_hub_repository(folder: Path) -> Cache:
    """One repository of a cache, whose links may lead to the blobs that the cache shares."""
    repository = Path(os.path.realpath(folder))
    root = repository.parent
    within = (repository, root / _SHARED) if _shares_blobs(root) else (repository,)
    problems: dict[str, str] = {}
    models = _read(repository, within, problems)
    return Cache(KIND, repository, tuple(models), problems)


def _read(folder: Path, within: tuple[Path, ...], problems: dict[str, str]) -> list[CachedModel]:
    stub = _stub_of(folder.name)
    if not stat.S_ISDIR(os.lstat(folder).st_mode):
        problems[str(folder)] = "It is no folder of its own; if it is a link, adopt what it means."
    elif stub is None:
        problems[str(folder)] = "It is neither a model nor a dataset that a stub can name."
    else:
        # Imported here: every folder is asked whether it is such a cache, and few are.
        from zoostore.caches.hub_repository import HubRepository

        return HubRepository(folder, stub, within, problems).models()
    return []


def _stub_of(name: str) -> str | None:
    match = re.fullmatch(_REPOSITORY, name)
    prefix = _PREFIXES.get(match["kind"]) if match else None
    if match is None or prefix is None:
        return None
    repository = match["name"].replace("--", "/")
    is_dataset_of_a_model = prefix == "hf:" and repository.startswith("datasets/")
    try:
        stub = parse_stub(prefix + repository)
    except InvalidStub:
        return None
    return stub.name if stub.name == prefix + repository and not is_dataset_of_a_model else None


def _shares_blobs(root: Path) -> bool:
    shared, marker = root / _SHARED, root / _SHARED_MARKER
    return not shared.is_symlink() and marker.is_file()
