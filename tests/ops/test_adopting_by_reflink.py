"""adopt where the file system can share blocks: nothing is there twice, and nothing is tied."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from zoostore import Store
from zoostore.files.extents import share_blocks
from zoostore.files.links import reflink
from zoostore.ops.adopt import Adopted, adopt
from zoostore.progress import Silent
from zoostore.store.objectstore import ObjectStore

if TYPE_CHECKING:
    from tests.conftest import InStore
    from tests.ops.conftest import CacheOf, ModelOf
    from zoostore.caches.base import Cache

WEIGHTS = bytes(range(256)) * 1000

Adopt = Callable[..., Adopted]


@pytest.fixture
def take(objects: ObjectStore, tmp_path: Path) -> Adopt:
    (tmp_path / "probe").write_bytes(WEIGHTS)
    try:
        reflink(tmp_path / "probe", tmp_path / "clone", 0o600)
    except OSError:
        pytest.skip("the file system makes no reflinks")
    return functools.partial(adopt, objects, now=0, progress=Silent())


@pytest.fixture
def cache(model_of: ModelOf, cache_of: CacheOf) -> Cache:
    return cache_of(model_of({"model.safetensors": WEIGHTS}))


def test_a_file_is_cloned_and_can_be_edited_without_harm(
    take: Adopt, cache: Cache, store: Store, loose: InStore
) -> None:
    done = take(cache)

    (stored,) = loose(store.path)
    place = cache.models[0].files["model.safetensors"].place
    assert done.linked == {"reflink": 1, "hardlink": 0, "copy": 0}
    assert done.saved_bytes == len(WEIGHTS)
    assert share_blocks(place, stored)
    assert not os.path.samefile(place, stored)
    place.write_bytes(b"edited")
    assert store.verify().is_clean


def test_to_relink_what_was_cloned_does_nothing(
    take: Adopt, cache: Cache, stamps: Callable[[Path], dict[str, tuple[int, int]]]
) -> None:
    take(cache)
    before = stamps(cache.root)

    done = take(cache, replace_by_links=True)

    assert (done.relinked_files, done.relinked_bytes) == (0, 0)
    assert stamps(cache.root) == before


def test_what_was_copied_is_cloned_when_it_is_relinked(
    take: Adopt, cache: Cache, store: Store, loose: InStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("zoostore.files.copying.clone_aside", lambda *_: None)
        patched.setattr("zoostore.store.adopting.clone_aside", lambda *_: None)
        patched.setattr("zoostore.store.adopting.link_aside", lambda *_: None)
        take(cache)
    (stored,) = loose(store.path)
    place = cache.models[0].files["model.safetensors"].place
    place.chmod(0o640)
    before = place.stat()
    assert not share_blocks(place, stored)

    done = take(cache, replace_by_links=True)

    after = place.stat()
    assert (done.relinked_files, done.relinked_bytes) == (1, len(WEIGHTS))
    assert share_blocks(place, stored)
    assert (after.st_mode, after.st_mtime_ns) == (before.st_mode, before.st_mtime_ns)
    assert place.read_bytes() == WEIGHTS
