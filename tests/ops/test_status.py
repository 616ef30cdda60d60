"""status: right whatever happened to the clock, the stamps or the record, and without reading."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from zoostore import Store
from zoostore.errors import DamagedContent, NewerFormat

if TYPE_CHECKING:
    from tests.conftest import Content, LayOut

STUB = "zoo:mine"
BIG = bytes(range(256))
FILES: dict[str, Content] = {
    "big.bin": BIG,
    "small.txt": b"small",
    "sub/tool*": b"#!",
    "sub/link": "tool",
    "void/": None,
}


@pytest.fixture
def added(store: Store, lay: LayOut) -> Store:
    store.add(lay("source", FILES), STUB)
    return store


def spoil(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


DAMAGE: dict[str, Callable[[Path], object]] = {
    "deleted": lambda path: path.unlink(),
    "emptied": lambda path: path.write_bytes(b""),
    "cut short": lambda path: os.truncate(path, path.stat().st_size // 2),
    "a byte changed": spoil,
    "zeros": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "garbage": lambda path: path.write_bytes(b"zentries2\n" + bytes(range(256))),
}


@pytest.mark.parametrize("link", ["hardlink", "symlink", "copy"])
@pytest.mark.parametrize("damage", DAMAGE)
def test_a_checkout_whose_record_is_lost_still_knows_what_was_edited(
    added: Store, tmp_path: Path, damage: str, link: str
) -> None:
    work = added.checkout(STUB, tmp_path / "work", link=link).directory
    DAMAGE[damage](work / ".zoostore/entries")
    assert added.status(work).is_clean
    DAMAGE[damage](work / ".zoostore/entries")
    (work / "small.txt").write_bytes(b"SMALL")
    (work / "sub/link").unlink()
    (work / "new").write_bytes(b"new")

    status = added.status(work)

    assert (status.modified, status.deleted, status.untracked) == (
        ("small.txt",),
        ("sub/link",),
        ("new",),
    )


@pytest.mark.parametrize("damage", ["deleted", "cut short"])
def test_a_partial_checkout_whose_record_is_lost_does_not_lose_what_was_left_out(
    added: Store, tmp_path: Path, damage: str
) -> None:
    work = added.checkout(STUB, tmp_path / "work", exclude=["sub/"]).directory
    DAMAGE[damage](work / ".zoostore/entries")

    assert added.status(work).is_clean
    (work / "small.txt").write_bytes(b"SMALL")
    added.commit(work, message="small only")

    assert [file.path for file in added.files(STUB)] == sorted(name.rstrip("*/") for name in FILES)


def test_a_record_that_was_lost_is_written_again(added: Store, tmp_path: Path) -> None:
    work = added.checkout(STUB, tmp_path / "work").directory
    (work / ".zoostore/entries").unlink()

    added.status(work)

    assert (work / ".zoostore/entries").exists()


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", DamagedContent),
        ("{", DamagedContent),
        ("[]", DamagedContent),
        ('{"format": 1}', DamagedContent),
        (
            '{"format": 1, "snapshot": "x", "stub": "zoo:a", "store": "", "link": ""}',
            DamagedContent,
        ),
        ('{"format": 2}', NewerFormat),
    ],
)
def test_a_checkout_that_does_not_know_its_snapshot_says_so(
    added: Store, tmp_path: Path, text: str, error: type[Exception]
) -> None:
    work = added.checkout(STUB, tmp_path / "work").directory
    (work / ".zoostore/checkout.json").write_text(text)

    with pytest.raises(error):
        added.status(work)


@pytest.mark.parametrize("link", ["hardlink", "copy"])
def test_an_edit_that_keeps_size_and_time_is_seen(added: Store, tmp_path: Path, link: str) -> None:
    """A file of its own: the time of the last status change cannot be set back."""
    work = added.checkout(STUB, tmp_path / "work", link=link).directory
    path = work / "small.txt"
    before = path.stat()

    path.write_bytes(b"SMALL")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    assert path.stat().st_size == before.st_size
    assert added.status(work).modified == ("small.txt",)


def test_a_large_copy_that_keeps_size_and_time_is_seen_to_be_edited(
    added: Store, tmp_path: Path
) -> None:
    work = added.checkout(STUB, tmp_path / "work", link="copy").directory
    path = work / "big.bin"
    before = path.stat()

    path.write_bytes(BIG[::-1])
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    assert added.status(work).modified == ("big.bin",)


def test_another_file_moved_into_place_with_the_same_size_and_time_is_seen(
    added: Store, tmp_path: Path
) -> None:
    work = added.checkout(STUB, tmp_path / "work").directory
    path = work / "big.bin"
    before = path.stat()
    other = tmp_path / "other"
    other.write_bytes(BIG[::-1])
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))

    other.replace(path)

    assert added.status(work).modified == ("big.bin",)


def test_an_edit_in_the_moment_of_the_checkout_is_seen(added: Store, tmp_path: Path) -> None:
    """As many as fall into a tick of the clock: none may be missed."""
    for number in range(30):
        work = added.checkout(STUB, tmp_path / f"work{number}").directory
        (work / "small.txt").write_bytes(b"SMALL")

        assert added.status(work).modified == ("small.txt",)


def test_an_edit_in_the_moment_of_a_commit_is_seen(added: Store, tmp_path: Path) -> None:
    work = added.checkout(STUB, tmp_path / "work").directory
    for number in range(15):
        (work / "small.txt").write_bytes(b"%05d" % number)
        added.commit(work, message=str(number))
        (work / "small.txt").write_bytes(b"edits")

        assert added.status(work).modified == ("small.txt",)


def test_an_edit_in_the_moment_of_a_status_is_seen(added: Store, tmp_path: Path) -> None:
    work = added.checkout(STUB, tmp_path / "work").directory
    for number in range(15):
        (work / "small.txt").unlink()
        (work / "small.txt").write_bytes(b"small")
        assert added.status(work).is_clean
        (work / "small.txt").write_bytes(b"%05d" % number)

        assert added.status(work).modified == ("small.txt",)


def test_a_file_from_the_future_is_not_waited_for(added: Store, tmp_path: Path) -> None:
    work = added.checkout(STUB, tmp_path / "work").directory
    ahead = time.time() + 86_400
    (work / "small.txt").unlink()
    (work / "small.txt").write_bytes(b"small")
    os.utime(work / "small.txt", (ahead, ahead))
    before = time.monotonic()

    assert added.status(work).is_clean
    (work / "small.txt").write_bytes(b"SMALL")
    os.utime(work / "small.txt", (ahead, ahead))
    assert added.status(work).modified == ("small.txt",)

    assert time.monotonic() - before < 2


def test_a_further_checkout_does_not_make_the_first_look_edited(
    added: Store, tmp_path: Path
) -> None:
    first = added.checkout(STUB, tmp_path / "first", link="hardlink").directory
    added.checkout(STUB, tmp_path / "second", link="hardlink")

    assert added.status(first).is_clean


def test_names_that_no_snapshot_could_hold_are_shown_as_untracked(
    added: Store, tmp_path: Path
) -> None:
    work = added.checkout(STUB, tmp_path / "work").directory
    os.mkfifo(work / "fifo")
    Path(os.fsdecode(os.fsencode(work) + b"/\xff")).write_bytes(b"not Unicode")
    (work / "Big.bin").write_bytes(b"a case twin")

    assert sorted(added.status(work).untracked) == ["Big.bin", "fifo", "\udcff"]


def test_a_dead_link_in_place_of_a_linked_object_is_seen(added: Store, tmp_path: Path) -> None:
    work = added.checkout(STUB, tmp_path / "work", link="symlink").directory
    (work / "big.bin").unlink()
    (work / "big.bin").symlink_to(tmp_path / "nowhere")

    assert added.status(work).modified == ("big.bin",)


STRACE = ("strace", "-f", "-qq", "-s", "4096", "-e", "trace=open,openat")
needs_strace = pytest.mark.skipif(
    shutil.which("strace") is None or sys.platform != "linux", reason="there is no strace here"
)


def opened_by(*arguments: str | Path) -> list[str]:
    """Every path that a command tried to open."""
    log = Path(os.environ["ZOOSTORE_HOME"]).with_name("strace.log")
    done = subprocess.run(
        [*STRACE, "-o", str(log), sys.executable, "-m", "zoostore", *map(str, arguments)],
        capture_output=True,
        timeout=60,
        check=False,
    )
    if b"ptrace" in done.stderr:
        pytest.skip("strace may not trace here")
    assert done.returncode == 0, done.stderr.decode()
    return re.findall(r'open(?:at)?\([^"]*"([^"]*)"', log.read_text(errors="replace"))


@needs_strace
@pytest.mark.parametrize("link", ["hardlink", "copy"])
def test_status_of_an_unchanged_checkout_opens_no_file_of_it(
    store: Store, lay: LayOut, tmp_path: Path, link: str
) -> None:
    names = [f"part{number % 20}/file{number}" for number in range(2000)]
    large = {f"large{number}": BIG + b"%d" % number for number in range(20)}
    store.add(lay("source", {**{name: name.encode()[:15] for name in names}, **large}), STUB)
    work = store.checkout(STUB, tmp_path / "work", link=link).directory
    command = ("--store", store.path, "status", "--json", work)

    opened = opened_by(*command)

    files = {str(work / name) for name in (*names, *large)}
    assert files.isdisjoint(opened)
    assert str(work / "part7") in opened, "the folders are read"
    assert not [path for path in opened if path.startswith(str(store.path / "objects"))]

    (work / "part7/file7").write_bytes(b"edited")
    assert files.intersection(opened_by(*command)) <= {str(work / "part7/file7")}
