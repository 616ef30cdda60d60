"""Directories that somebody made look like checkouts, and stores with files that lie."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from zoostore import Store
from zoostore.digest import hash_bytes
from zoostore.files.scan import found_at
from zoostore.objects.tree import Entry, Kind
from zoostore.ops.records import laid_out
from zoostore.ops.tracking import TrackingFile
from zoostore.store import index_stamp

if TYPE_CHECKING:
    from tests.conftest import Cli, LayOut
    from tests.hostile.conftest import Watching

VERBS: dict[str, tuple[str, ...]] = {
    "status": ("status", "{work}"),
    "diff": ("diff", "{work}"),
    "commit": ("commit", "{work}", "-m", "x"),
    "checkout": ("checkout", "zoo:m@v1", "{work}"),
    "checkout --force": ("checkout", "zoo:m@v1", "{work}", "--force"),
}
NO_TRACE = ("internal", "itself failed")


@pytest.fixture
def work(store: Store, lay: LayOut, around: Path) -> Path:
    """A checkout of the second snapshot of a model."""
    store.add(lay("first", {"a": b"first" * 9}), "zoo:m")
    store.tag("zoo:m", "v1")
    store.add(lay("second", {"a": b"second" * 9, "sub/x": b"x"}), "zoo:m")
    (around / "work").mkdir()
    return store.checkout("zoo:m", around / "work/out").directory


def run(cli: Cli, store: Store, work: Path, verb: str) -> int:
    arguments = [part.format(work=work) for part in VERBS[verb]]
    ran = cli("--store", store.path, *arguments)
    assert not any(word in ran.out + ran.err for word in NO_TRACE), ran.err
    return ran.code


def claim_tracked(work: Path, *paths: str) -> None:
    """Have the record of a checkout say that these were laid out, as they are now."""
    state = json.loads((work / ".zoostore/checkout.json").read_bytes())
    tracked = {}
    for path in paths:
        found = found_at(path, (work / path).stat())
        oid = hash_bytes((work / path).read_bytes())
        tracked[path] = laid_out(Entry(Kind.FILE, found.stamp.size, oid), found.stamp)
    TrackingFile(work / ".zoostore").write(state["snapshot"], tracked)


@pytest.mark.parametrize("verb", VERBS)
def test_a_record_that_names_files_behind_a_link_reaches_none_of_them(
    store: Store, cli: Cli, work: Path, tmp_path: Path, watch: Watching, verb: str
) -> None:
    """As if they had been laid out, so that the next checkout would take them away."""
    (work / "link").symlink_to(tmp_path / "secret")
    claim_tracked(work, "a", "link/key")

    with watch(store.path, work):
        run(cli, store, work, verb)

    assert (tmp_path / "secret/key").read_bytes() == b"mine"
    assert store.verify().is_clean


@pytest.mark.parametrize("verb", VERBS)
def test_a_folder_that_became_a_link_is_not_followed(
    store: Store, cli: Cli, work: Path, tmp_path: Path, watch: Watching, verb: str
) -> None:
    (work / "sub/x").unlink()
    (work / "sub").rmdir()
    (work / "sub").symlink_to(tmp_path)  # where there is an `x`

    with watch(store.path, work):
        run(cli, store, work, verb)

    assert (tmp_path / "x").read_bytes() == b"mine"


STATES: dict[str, object] = {
    "another store": {"store": "/etc"},
    "a store that is a number": {"store": 7},
    "a glob that is a number": {"include": [7]},
    "a link mode that there is not": {"link": "teleport"},
    "no snapshot": {"snapshot": "0" * 64},
    "a snapshot that is a path": {"snapshot": "../../secret"},
    "a stub that is a path": {"stub": "../../secret"},
    "more than there is": {"more": 1},
}


@pytest.mark.parametrize("verb", ["status", "commit", "checkout"])
@pytest.mark.parametrize("state", STATES)
def test_a_checkout_that_lies_about_itself_is_no_way_out(
    store: Store, cli: Cli, work: Path, watch: Watching, state: str, verb: str
) -> None:
    path = work / ".zoostore/checkout.json"
    change = STATES[state]
    assert isinstance(change, dict)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))

    with watch(store.path, work):
        run(cli, store, work, verb)


@pytest.mark.parametrize("verb", ["status", "commit"])
@pytest.mark.parametrize("named", ["secret", "evil", "nowhere", "around", "empty", ""])
def test_a_checkout_that_names_a_store_that_is_none_has_nothing_written_there(
    store: Store, cli: Cli, work: Path, tmp_path: Path, watch: Watching, named: str, verb: str
) -> None:
    """Without `--store` that store is opened, and not made; if it is gone, it is the usual one."""
    path = work / ".zoostore/checkout.json"
    (tmp_path / "empty").mkdir()
    where = {"store": str(tmp_path / named) if named else "\0"}
    path.write_text(json.dumps(json.loads(path.read_text()) | where))

    with watch(store.path, work, tmp_path / "home"):
        ran = cli(*(part.format(work=work) for part in VERBS[verb]))

    assert ran.code != 0
    assert not any(word in ran.out + ran.err for word in NO_TRACE), ran.err


STAMPS = [b"", b"\xff\xfe", b"0 0 0 0\n", b"9" * 10_000, b"1 2 3\n"]


@pytest.mark.parametrize("stamp", STAMPS, ids=["empty", "bytes", "noughts", "long", "short"])
@pytest.mark.parametrize("is_sound", [True, False])
def test_a_stamp_of_the_index_that_lies_has_it_read_through(
    store: Store, work: Path, monkeypatch: pytest.MonkeyPatch, stamp: bytes, is_sound: bool
) -> None:
    folder = store.path / "index"
    (folder / "stamp").write_bytes(stamp)
    monkeypatch.setattr(index_stamp, "_PAUSE_SECONDS", 0)
    asked: list[Path] = []
    answer: Callable[[Path], bool] = lambda where: asked.append(where) or is_sound  # type: ignore[func-returns-value]  # noqa: E731
    monkeypatch.setattr(index_stamp, "_survives_reading", answer)

    assert index_stamp.is_trustworthy(folder) is is_sound
    assert asked == [folder]
