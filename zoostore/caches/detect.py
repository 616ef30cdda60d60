"""Telling which tool's folder a folder is, and reading it as that."""

from __future__ import annotations

from pathlib import Path

from zoostore.caches.base import Cache
from zoostore.caches.hub_cache import (
    find_hub_cache,
    is_repository,
    read_hub_cache,
    read_hub_repository,
)
from zoostore.caches.plain_folder import has_publishers, read_plain_folder, read_publishers
from zoostore.errors import UnknownPath, UsageError
from zoostore.stubs import parse_stub


def read_cache(directory: Path, *, stub: str | None = None) -> Cache:
    """What a folder holds, read as the cache of the tool that it looks like.

    Args:
        stub: the model's name, where the folder is a plain one: then it is read as one model.

    Raises:
        UnknownPath: there is nothing.
        UsageError: it is no directory; or it says itself what its models are called, and there
            is a stub.
        InvalidStub: the stub is none, or has more than a name.
        FileSystemError: it cannot be listed.
    """
    _require_directory(directory)
    if stub is not None:
        name = _name_in(stub)
        if _read_tool(directory) is not None:
            raise UsageError(...)
        return read_plain_folder(directory, name)
    ...
