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
from zoostore.errors import InvalidStub, UnknownPath, UsageError
from zoostore.stubs import parse_stub

_LM_STUDIO = (".lmstudio", "lm-studio")
"""How LM Studio calls the folder that has its `models/`."""


def read_cache(directory: Path, *, stub: str | None = None) -> Cache:
    """What a folder holds, read as the cache of the tool that it looks like.

    Args:
        stub: the model's name, where the folder is one model that does not say it.

    Raises:
        UnknownPath: there is nothing.
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
    if is_repository(Path(os.path.realpath(directory))):
        return read_hub_repository(directory)
    hub = find_hub_cache(directory)
    if hub is not None:
        return read_hub_cache(hub)
    for folder in (Path(os.path.realpath(directory)), Path(os.path.realpath(directory / "models"))):
        if is_ollama_cache(folder):
            return read_ollama_cache(folder)
    if is_sparsezoo_cache(directory):
        return read_sparsezoo_cache(Path(os.path.realpath(directory)))
    if directory.name in _LM_STUDIO and (directory / "models").is_dir():
        return read_publishers(directory / "models")
    return None


def _require_directory(directory: Path) -> None:
    if not os.path.lexists(directory):
        raise UnknownPath(f"There is no {directory}; nothing was adopted.", path=str(directory))
    if not directory.is_dir():
        raise UsageError(
            f"{directory} is no directory; nothing was adopted.", directory=str(directory)
        )


def _only_name(stub: str) -> str:
    parsed = parse_stub(stub)
    if str(parsed) != parsed.name:
        raise InvalidStub(
            f"{stub!r} says more than a name; a folder can be given a name only.", stub=stub
        )
    return parsed.name
