"""Stamps say when a file may have changed; what a file system refuses gets a name."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoostore.errors import DiskFull, FileSystemError, NotFound, ReadOnlyStore, UsageError, ZooError
from zoostore.files.disk import errors_named
from zoostore.files.globs import selector
from zoostore.files.stamp import Stamp
from zoostore.objects.tree import Kind


def stamp(path: Path) -> Stamp:
    return Stamp.of(os.lstat(path))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(b"content")
    return path


def test_a_file_that_is_only_read_keeps_its_stamp(path: Path) -> None:
    before = stamp(path)
    path.read_bytes()

    assert stamp(path) == before


def test_a_change_of_content_changes_the_stamp_even_if_its_time_is_put_back(path: Path) -> None:
    status = path.stat()
    before = stamp(path)
    path.write_bytes(b"CONTENT")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    after = stamp(path)

    assert after.mtime_ns == before.mtime_ns
    assert after != before


def test_another_file_of_the_same_content_and_time_has_another_stamp(path: Path) -> None:
    before = stamp(path)
    other = path.with_name("other")
    other.write_bytes(path.read_bytes())
    os.utime(other, ns=(before.mtime_ns, before.mtime_ns))

    assert stamp(other).without_ctime() != before.without_ctime()


def test_a_further_link_changes_only_the_time_of_the_status(path: Path) -> None:
    before = stamp(path)
    os.link(path, path.with_name("link"))

    assert stamp(path).without_ctime() == before.without_ctime()


@given(
    st.integers(0, (1 << 64) - 1),
    st.integers(-1 << 63, (1 << 63) - 1),
    st.integers(0, (1 << 64) - 1),
    st.integers(-1 << 63, (1 << 63) - 1),
)
def test_a_stamp_says_what_it_was_made_of(size: int, mtime: int, inode: int, ctime: int) -> None:
    made = Stamp.made_of(size, mtime, inode, ctime)
    assert (made.size, made.mtime_ns, made.inode, made.ctime_ns) == (size, mtime, inode, ctime)
    assert made.without_ctime() == Stamp.made_of(size, mtime, inode)
    assert made.newest_ns == max(mtime, ctime)


def test_times_that_no_clock_shows_are_the_last_there_are(path: Path) -> None:
    """Some file systems keep years after 2262, whose nanoseconds need more than 64 bits."""
    seen = path.stat()
    first = (*seen[:1], (1 << 64) + 5, *seen[2:])  # the inode is the second
    strange = os.stat_result(first, {"st_mtime_ns": 1 << 63, "st_ctime_ns": -1 << 70})
    assert Stamp.of(strange) == Stamp.made_of(seen.st_size, (1 << 63) - 1, 5, -1 << 63)


def test_the_newest_moment_is_the_later_of_both_times() -> None:
    assert Stamp.made_of(0, 5, 1, 7).newest_ns == 7
    assert Stamp.made_of(0, 9, 1, 7).newest_ns == 9
    assert Stamp.made_of(0, 9, 1, 7).without_ctime().newest_ns == 9


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOSPC, DiskFull),
        (errno.EDQUOT, DiskFull),
        (errno.EROFS, ReadOnlyStore),
        (errno.EACCES, FileSystemError),
        (errno.EIO, FileSystemError),
    ],
)
def test_an_error_of_the_system_gets_a_name_and_says_where(
    number: int, kind: type[ZooError]
) -> None:
    with pytest.raises(kind) as caught, errors_named():
        raise OSError(number, os.strerror(number), "/some/file")

    assert "/some/file" in caught.value.message
    assert caught.value.facts == {"path": "/some/file"}
    assert isinstance(caught.value.__cause__, OSError)


def test_an_error_without_a_file_gets_a_name_too() -> None:
    with pytest.raises(FileSystemError) as caught, errors_named():
        raise OSError("no number and no file")

    assert "no number and no file" in caught.value.message


def test_other_errors_pass() -> None:
    with pytest.raises(NotFound, match="named"), errors_named():
        raise NotFound("already named")
    with pytest.raises(KeyError), errors_named():
        raise KeyError("no error of the system")


@pytest.mark.parametrize(
    ("include", "exclude", "chosen"),
    [
        ((), (), ["a.bin", "d/a.bin", "d/b.txt", "d/e/c.txt", "e/x"]),
        (("*.bin",), (), ["a.bin", "d/a.bin"]),
        (("/*.bin",), (), ["a.bin"]),
        (("d/*.txt",), (), ["d/b.txt"]),
        (("d/**/*.txt",), (), ["d/b.txt", "d/e/c.txt"]),
        (("d/",), (), ["d/a.bin", "d/b.txt", "d/e/c.txt"]),
        ((), ("d",), ["a.bin", "e/x"]),
        (("d",), ("*.txt",), ["d/a.bin"]),
        (("e",), (), ["d/e/c.txt", "e/x"]),
        (("*.bin", "e/x"), (), ["a.bin", "d/a.bin", "e/x"]),
        (("nothing",), (), []),
    ],
)
def test_globs_choose_as_a_gitignore_does(
    include: tuple[str, ...], exclude: tuple[str, ...], chosen: list[str]
) -> None:
    paths = ["a.bin", "d/a.bin", "d/b.txt", "d/e/c.txt", "e/x"]
    is_chosen = selector(include, exclude)

    assert [path for path in paths if is_chosen(path, Kind.FILE)] == chosen


@pytest.mark.parametrize("pattern", ["!", "a/**b/\\"])
def test_a_glob_that_cannot_be_read_is_refused(pattern: str) -> None:
    with pytest.raises(UsageError):
        selector([pattern], [])
