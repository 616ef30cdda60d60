"""What the tests of adopting share: caches, as they would be found, without reading a layout."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pytest

from zoostore.caches.base import Cache, CachedFile, CachedModel
from zoostore.digest import Digest
from zoostore.files.stamp import Stamp
from zoostore.store.layout import Layout
from zoostore.store.names import Names
from zoostore.store.objectstore import ObjectStore

if TYPE_CHECKING:
    from zoostore import Store

COMMIT = "c" * 40


class ModelOf(Protocol):
    """A model in a cache that has these contents, each in a file below a folder of the test's.

    Files that are there already stay, and so the digests, which are those of the contents, may
    be lies.
    """

    def __call__(
        self,
        files: Mapping[str, bytes],
        *,
        revision: str = ...,
        stub: str = ...,
        left_out: int | None = ...,
        is_current: bool = ...,
        names: tuple[str, ...] = ...,
    ) -> CachedModel: ...


@pytest.fixture
def cache_root(tmp_path: Path) -> Path:
    """Where the files of the caches are."""
    return tmp_path / "cache-of-others"


@pytest.fixture
def model_of(cache_root: Path) -> ModelOf:
    def make(
        files: Mapping[str, bytes],
        *,
        revision: str = COMMIT,
        stub: str = "hf:org/name",
        left_out: int | None = 0,
        is_current: bool = True,
        names: tuple[str, ...] = (),
    ) -> CachedModel:
        found = {path: _file(cache_root, content) for path, content in files.items()}
        return CachedModel(stub, revision, found, left_out, is_current, names)

    return make


def _file(root: Path, content: bytes) -> CachedFile:
    """A file called by the sha256 of what it is to hold, as the blobs of the Hub's cache are."""
    digest = hashlib.sha256(content).hexdigest()
    place = root / digest
    if not place.exists():
        root.mkdir(exist_ok=True)
        place.write_bytes(content)
    stamp = Stamp.of(os.lstat(place))
    return CachedFile(str(place), stamp, (Digest.parse("sha256", digest),))


class CacheOf(Protocol):
    """The cache that holds these models."""

    def __call__(self, *models: CachedModel, kind: str = ...) -> Cache: ...


@pytest.fixture
def cache_of(cache_root: Path) -> CacheOf:
    return lambda *models, kind="huggingface": Cache(kind, cache_root, models)


@pytest.fixture
def no_reflinks(monkeypatch: pytest.MonkeyPatch) -> None:
    """No file system can share blocks."""

    def refuse(*_: object) -> None:
        raise OSError(errno.EOPNOTSUPP, "no reflinks in this test")

    monkeypatch.setattr("zoostore.files.copying.reflink", refuse)
    monkeypatch.setattr("zoostore.ops.relink.reflink", refuse)


@pytest.fixture
def objects(store: Store) -> ObjectStore:
    """What is below the store that a test was given."""
    layout = Layout(store.path)
    layout.create()
    return ObjectStore(Names(layout), large_object=16)
