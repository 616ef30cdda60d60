"""Telling which tool's folder a folder is, and reading it as that."""

from __future__ import annotations

import os
from pathlib import Path

from zoostore.caches.base import Cache
from zoostore.caches.hub_cache import (
    find_hub_cache,
    is_repository,
    read_hub_cache,
    read_hub_repository,
)
from zoostore.caches.ollama_cache import is_ollama_cache, read_ollama_cache
from zoostore.caches.plain_folder import has_publishers, read_plain_folder, read_publishers
from zoostore.caches.sparsezoo_cache import is_sparsezoo_cache, read_sparsezoo_cache
from zoostore.errors import InvalidStub, UsageError
from zoostore.stubs import parse_stub

_OLLAMA = ".ollama"
"""How Ollama calls the folder that has its `models/`, and its keys beside."""

_LM_STUDIO = (".lmstudio", "lm-studio")
"""How LM Studio calls the folder that has its `models/`."""


def read_cache(directory: Path, *, stub: str | None = None) -> Cache:
    """What a folder holds, read as the cache of the tool that it looks like.

    Args:
        stub: the model's name, where the folder is one model that does not say it.

    Raises:
        UsageError: it is no directory; or there is a stub, and the models have names of their
            own.
        InvalidStub: the stub is none, or says more than a name.
    """
    _require_directory(directory)
    name = None if stub is None else _only_name(stub)
    cache = _read_tool(directory)
    if cache is None:
        if name is None and has_publishers(directory):
            return read_publishers(directory)
        return read_plain_folder(directory, name)
    if name is not None:
        raise UsageError(
            f"{directory} is a {cache.kind} cache, which says what its models are called, and "
            f"{name} was to be the name. Nothing was adopted.",
            directory=str(directory),
            stub=name,
        )
    return cache


def _read_tool(directory: Path) -> Cache | None:
    folder = Path(os.path.realpath(directory))
    below = Path(os.path.realpath(directory / "models"))
    if is_repository(folder):
        return read_hub_repository(folder)
    if (hub := find_hub_cache(folder)) is not None:
        return read_hub_cache(hub)
    if is_ollama_cache(folder):
        return read_ollama_cache(folder)
    if is_ollama_cache(below) or folder.name == _OLLAMA:
        return read_ollama_cache(below)
    if is_sparsezoo_cache(folder):
        return read_sparsezoo_cache(folder)
    return read_publishers(below) if folder.name in _LM_STUDIO and below.is_dir() else None


def _require_directory(directory: Path) -> None:
    if not directory.is_dir():
        what = "is not a directory" if os.path.lexists(directory) else "does not exist"
        raise UsageError(f"{directory} {what}; nothing was adopted.", path=str(directory))


def _only_name(stub: str) -> str:
    parsed = parse_stub(stub)
    if str(parsed) != parsed.name:
        raise InvalidStub(
            f"{stub!r} says more than a name; a folder can be given a name only.", stub=stub
        )
    return parsed.name
