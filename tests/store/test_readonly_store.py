"""A store that this user may not write to answers every question, and is not written to."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from zoostore.digest import hash_bytes
from zoostore.store.batch import Batch
from zoostore.store.layout import Layout
from zoostore.store.names import Names
from zoostore.store.objectstore import ObjectStore
from zoostore.store.records import RefChange

RunPython = Callable[..., subprocess.CompletedProcess[str]]

SMALL = b"a small object"
LARGE = bytes(range(256)) * 40

READ = f"""
import sys
from pathlib import Path
from zoostore.digest import hash_bytes
from zoostore.errors import ReadOnlyStore, ZooError
from zoostore.store.batch import Batch
from zoostore.store.layout import Layout
from zoostore.store.names import Names
from zoostore.store.objectstore import ObjectStore
from zoostore.store.records import RefChange

SMALL, LARGE = {SMALL!r}, {LARGE!r}
layout = Layout(Path(sys.argv[1]))

def expect(kind, action):
    try:
        action()
    except ZooError as error:
        assert error.kind == kind, error.kind
    else:
        raise AssertionError("it was not refused")

def opened():
    return ObjectStore(Names(layout), large_object=1000)
"""


def contents(root: Path) -> dict[str, tuple[int, int, bytes]]:
    """Every path with its inode, the time of its last change, and its content."""
    return {
        str(path.relative_to(root)): (
            path.stat().st_ino,
            path.stat().st_mtime_ns,
            path.read_bytes() if path.is_file() else b"",
        )
        for path in sorted(root.rglob("*"))
    }


def permit(root: Path, mode: int) -> None:
    """Set the mode of every folder. (To change a file's would change its stamp.)"""
    for path in [root, *root.rglob("*")]:
        if path.is_dir():
            path.chmod(mode)


def forbid(root: Path) -> None:
    permit(root, 0o555)


@pytest.fixture
def layout(public_folder: Path) -> Iterator[Layout]:
    """A store with a small and a large object, two refs and a tag."""
    layout = Layout(public_folder / "store")
    layout.create()
    store = ObjectStore(Names(layout), large_object=1000)
    with Batch(store) as batch:
        for data in (SMALL, LARGE):
            batch.receive(hash_bytes(data), len(data), [data], lambda _: None)
        batch.commit(RefChange("zoo:a", hash_bytes(SMALL), None, "add", 1, files=3))
    store.names.change(RefChange("zoo:a", hash_bytes(SMALL), None, "tag", 2, tag="v1"))
    shutil.copytree(layout.index, public_folder / "old-index")
    store.names.change(RefChange("zoo:b", hash_bytes(LARGE), None, "add", 3))
    yield layout
    permit(layout.root, 0o755)


def remove_index(layout: Layout) -> None:
    shutil.rmtree(layout.index)


def put_back_old_index(layout: Layout) -> None:
    shutil.rmtree(layout.index)
    shutil.copytree(layout.root.with_name("old-index"), layout.index)


def damage_index(layout: Layout) -> None:
    os.truncate(layout.index / "data.mdb", 5000)


def remove_stamp(layout: Layout) -> None:
    (layout.index / "stamp").unlink()


def leave(layout: Layout) -> None:
    """Change nothing."""


@pytest.mark.parametrize(
    "harm", [leave, remove_index, put_back_old_index, damage_index, remove_stamp]
)
def test_everything_is_read_and_nothing_is_written(
    layout: Layout, run_python: RunPython, harm: Callable[[Layout], None]
) -> None:
    harm(layout)
    forbid(layout.root)
    before = contents(layout.root)

    run_python(
        READ
        + """
for store in (opened(), opened()):
    assert list(store.names.refs()) == ["zoo:a", "zoo:b"]
    assert store.names.ref("zoo:a").files == 3
    assert store.names.tags("zoo:a") == {"v1": hash_bytes(SMALL)}
    assert store.read(hash_bytes(SMALL)) == SMALL
    assert store.read(hash_bytes(LARGE)) == LARGE
    assert store.loose_path(hash_bytes(LARGE)).read_bytes() == LARGE
    assert not store.has(hash_bytes(b"missing"))
    store.names.refresh()
    assert list(store.names.refs()) == ["zoo:a", "zoo:b"]
""",
        layout.root,
        as_nobody=True,
    )

    assert contents(layout.root) == before


def test_every_change_is_refused_and_nothing_is_written(
    layout: Layout, run_python: RunPython
) -> None:
    forbid(layout.root)
    before = contents(layout.root)

    run_python(
        READ
        + """
store = opened()
expect("read_only", lambda: Batch(store))
expect("read_only", store.names.require_writable)
expect("read_only", lambda: store.names.change(RefChange("zoo:c", hash_bytes(b""), None, "add", 1)))
""",
        layout.root,
        as_nobody=True,
    )

    assert contents(layout.root) == before


def test_a_damaged_object_is_refused_and_left_where_it_is(
    layout: Layout, run_python: RunPython
) -> None:
    path = layout.loose(hash_bytes(LARGE))
    path.chmod(0o644)
    path.write_bytes(LARGE[::-1])
    forbid(layout.root)
    before = contents(layout.root)

    run_python(
        READ
        + """
store = opened()
expect("damaged", lambda: store.read(hash_bytes(LARGE)))
expect("damaged", lambda: store.read(hash_bytes(LARGE)))
assert not store.has(hash_bytes(LARGE))
assert store.read(hash_bytes(SMALL)) == SMALL
""",
        layout.root,
        as_nobody=True,
    )

    assert contents(layout.root) == before


def test_a_touched_object_is_read_again_each_time(layout: Layout, run_python: RunPython) -> None:
    os.utime(layout.loose(hash_bytes(LARGE)))
    os.utime(next(layout.packs.iterdir()))
    forbid(layout.root)

    run_python(
        READ
        + """
store = opened()
for _ in range(2):
    assert store.read(hash_bytes(LARGE)) == LARGE
    assert store.read(hash_bytes(SMALL)) == SMALL
""",
        layout.root,
        as_nobody=True,
    )


def test_no_store_is_made_where_nothing_may_be_written(
    layout: Layout, run_python: RunPython
) -> None:
    forbid(layout.root)

    run_python(
        READ + 'expect("read_only", Layout(layout.root / "new").create)',
        layout.root,
        as_nobody=True,
    )
