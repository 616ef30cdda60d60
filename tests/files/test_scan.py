"""Scanning: all that a directory holds is found, and what no snapshot can hold is refused."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import zoostore
from tests.sockets import make_socket
from zoostore.errors import CannotAdd, SpecialFile, UnreadableFile, UnsafeName
from zoostore.files.scan import Found, require_keepable, scan
from zoostore.files.stamp import Stamp
from zoostore.objects.paths import MAX_DEPTH
from zoostore.objects.tree import Kind


def found(root: Path) -> dict[str, Found]:
    return {item.path: item for item in scan(root)}


def kinds(root: Path) -> dict[str, Kind | None]:
    return {path: item.kind for path, item in found(root).items()}


def keepable(root: Path) -> list[Found]:
    return require_keepable(root, scan(root))


def write(root: Path, *paths: str) -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(path)


# What is found


def test_files_links_and_empty_folders_are_found(tmp_path: Path) -> None:
    write(tmp_path, "a", "run", "d/e/f")
    (tmp_path / "run").chmod(0o755)
    (tmp_path / "empty" / "nested").mkdir(parents=True)
    (tmp_path / "link").symlink_to("d/e/f")
    (tmp_path / "folder-link").symlink_to("d")
    (tmp_path / "dangling").symlink_to("nowhere")

    assert kinds(tmp_path) == {
        "a": Kind.FILE,
        "run": Kind.EXECUTABLE,
        "d/e/f": Kind.FILE,
        "empty/nested": Kind.DIRECTORY,
        "link": Kind.LINK,
        "folder-link": Kind.LINK,
        "dangling": Kind.LINK,
    }
    assert found(tmp_path)["folder-link"].target == "d"
    assert found(tmp_path)["a"].target == ""
    assert keepable(tmp_path) == list(scan(tmp_path))


def test_an_empty_directory_holds_nothing(tmp_path: Path) -> None:
    assert list(scan(tmp_path)) == []
    assert keepable(tmp_path) == []


def test_names_are_sorted_within_each_folder(tmp_path: Path) -> None:
    write(tmp_path, "b", "a", "C", "é", "d/2", "d/1", "c/1")

    paths = list(found(tmp_path))
    assert [path for path in paths if "/" not in path] == ["C", "a", "b", "é"]
    assert [path for path in paths if "/" in path] == ["c/1", "d/1", "d/2"]


def test_a_checkouts_own_folder_is_passed_over_at_any_depth(tmp_path: Path) -> None:
    write(tmp_path, ".zoostore/state", "a", "d/.zoostore/state", "d/b", "e/.zoostore/state")

    assert kinds(tmp_path) == {"a": Kind.FILE, "d/b": Kind.FILE, "e": Kind.DIRECTORY}


def test_a_stamp_is_that_of_the_path_itself(tmp_path: Path) -> None:
    write(tmp_path, "a")
    (tmp_path / "link").symlink_to("a")
    os.link(tmp_path / "a", tmp_path / "twin")

    items = found(tmp_path)
    for path in ("a", "link", "twin"):
        assert items[path].stamp == Stamp.of(os.lstat(tmp_path / path))
    assert [items[path].has_other_names for path in ("a", "link", "twin")] == [True, False, True]


def test_a_stamp_that_lasts_is_not_changed_by_further_links(tmp_path: Path) -> None:
    write(tmp_path, "a")
    os.link(tmp_path / "a", tmp_path / "b")
    before = found(tmp_path)["a"]
    os.link(tmp_path / "a", tmp_path / "c")
    after = found(tmp_path)["a"]

    assert before.lasting_stamp == after.lasting_stamp
    assert before.lasting_stamp.ctime_ns == 0


@pytest.mark.parametrize(
    "name",
    [
        *(
            "модель",
            "モデル",
            "模型",
            "نموذج",
            "e\N{COMBINING ACUTE ACCENT}",
            "new\nline",
            " ",
            "-rf",
        ),
        *("a" * 255, "\N{GRINNING FACE}" * 63, "x" * 100 + ".tar.gz"),
    ],
)
def test_a_name_in_any_script_and_of_any_length_is_kept(tmp_path: Path, name: str) -> None:
    write(tmp_path, f"{name}/{name}")

    assert [item.path for item in keepable(tmp_path)] == [f"{name}/{name}"]


def test_permissions_of_the_owner_say_what_is_executable(tmp_path: Path) -> None:
    write(tmp_path, "a", "b", "c")
    for name, mode in (("a", 0o744), ("b", 0o611), ("c", 0o444)):
        (tmp_path / name).chmod(mode)

    assert kinds(tmp_path) == {"a": Kind.EXECUTABLE, "b": Kind.FILE, "c": Kind.FILE}


# What no snapshot can hold


def make_fifo(path: Path) -> None:
    os.mkfifo(path)


def make_character_device(path: Path) -> None:
    os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 3))


def make_block_device(path: Path) -> None:
    os.mknod(path, stat.S_IFBLK | 0o600, os.makedev(7, 0))


@pytest.mark.timeout(30)
@pytest.mark.parametrize(
    ("make", "what"),
    [
        (make_fifo, "a FIFO"),
        (make_socket, "a socket"),
        (make_character_device, "a character device"),
        (make_block_device, "a block device"),
    ],
)
def test_what_is_no_file_is_found_and_refused_by_its_name(
    make: Callable[[Path], None], what: str
) -> None:
    with tempfile.TemporaryDirectory(prefix="zs") as name:  # a socket's path must be short
        root = Path(name)
        write(root, "a", "d/b")
        try:
            make(root / "d" / "special")
        except PermissionError:
            pytest.skip(f"only root can make {what}")

        assert kinds(root) == {"a": Kind.FILE, "d/b": Kind.FILE, "d/special": None}
        with pytest.raises(SpecialFile) as caught:
            keepable(root)

        assert caught.value.facts["path"] == str(root / "d" / "special")
        assert what in caught.value.message


@pytest.mark.parametrize(
    "name", [b"\xff\xfe", b"caf\xe9.onnx", b"a\xed\xa0\x80"], ids=["bytes", "latin-1", "surrogate"]
)
def test_a_name_that_is_not_utf_8_is_found_and_refused(tmp_path: Path, name: bytes) -> None:
    folder = os.fsencode(tmp_path) + b"/d"
    os.mkdir(folder)
    with open(folder + b"/" + name, "wb"):
        pass

    assert len(list(scan(tmp_path))) == 1
    with pytest.raises(UnsafeName):
        keepable(tmp_path)


@pytest.mark.parametrize(
    "names",
    [("README", "readme"), ("é", "e\N{COMBINING ACUTE ACCENT}"), ("ß", "SS"), (".Zoostore", "a")],
)
@pytest.mark.parametrize("inside", ["", "d/"])
def test_names_that_hide_each_other_somewhere_are_refused(
    tmp_path: Path, names: tuple[str, str], inside: str
) -> None:
    write(tmp_path, *(inside + name for name in names))
    if len(found(tmp_path)) < len(names):
        pytest.skip("this file system takes the names for one")

    with pytest.raises(UnsafeName):
        keepable(tmp_path)


def test_folders_that_hide_each_other_are_refused(tmp_path: Path) -> None:
    write(tmp_path, "D/a", "d/b")
    if len(list(tmp_path.iterdir())) < 2:
        pytest.skip("this file system takes the names for one")

    with pytest.raises(UnsafeName):
        keepable(tmp_path)


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("link", "/etc/passwd"),
        ("link", ".."),
        ("link", "../x"),
        ("d/link", "../../x"),
        ("d/link", "x/../../../y"),
        ("link", "C:x"),
        ("link", "a\\b"),
    ],
)
def test_a_link_that_may_lead_outside_is_found_and_refused(
    tmp_path: Path, path: str, target: str
) -> None:
    write(tmp_path, "d/file")
    (tmp_path / path).symlink_to(target)

    assert found(tmp_path)[path].target == target
    with pytest.raises(UnsafeName):
        keepable(tmp_path)


def test_a_link_whose_target_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    os.symlink(b"caf\xe9", os.fsencode(tmp_path) + b"/link")

    with pytest.raises(UnsafeName):
        keepable(tmp_path)


@pytest.mark.parametrize("ending", ["file", "empty folder"])
def test_a_path_deeper_than_a_snapshot_holds_is_refused(tmp_path: Path, ending: str) -> None:
    folder = tmp_path / "/".join("d" * MAX_DEPTH)
    folder.mkdir(parents=True)
    if ending == "file":
        (folder / "file").touch()
        with pytest.raises(UnsafeName):
            keepable(tmp_path)
    else:
        assert len(keepable(tmp_path)) == 1
        (folder / "deeper").mkdir()
        with pytest.raises(UnsafeName):
            keepable(tmp_path)


def test_a_directory_that_is_not_there_cannot_be_read(tmp_path: Path) -> None:
    write(tmp_path, "file")
    for path in (tmp_path / "missing", tmp_path / "file"):
        with pytest.raises(UnreadableFile) as caught:
            list(scan(path))
        assert isinstance(caught.value, CannotAdd)


def test_a_folder_that_cannot_be_listed_can_be_passed_over(tmp_path: Path) -> None:
    write(tmp_path, "a/file", "z/file")
    here = os.open(tmp_path / "a", os.O_RDONLY)
    for _ in range(25):  # deeper than a path can name
        os.mkdir("d" * 200, dir_fd=here)
        below = os.open("d" * 200, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    told: list[UnreadableFile] = []

    assert [item.path for item in scan(tmp_path, told.append)] == ["a/file", "z/file"]
    assert len(told) == 1
    with pytest.raises(UnreadableFile):
        list(scan(tmp_path))


@pytest.fixture
def public_folder() -> Iterator[Path]:
    """A folder that every user can read; pytest's own cannot be."""
    with tempfile.TemporaryDirectory(prefix="zoostore-test-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def test_a_folder_that_cannot_be_read_is_named(public_folder: Path) -> None:
    script = """
import os, sys
from pathlib import Path
from zoostore.errors import UnreadableFile
from zoostore.files.scan import scan
if os.geteuid() == 0:
    os.setgroups([])
    os.setuid(65534)
try:
    print(list(scan(Path(sys.argv[1]))))
except UnreadableFile as error:
    print(error.facts["path"])
"""
    write(public_folder, "a", "secret/b")
    (public_folder / "secret").chmod(0)
    environment = {**os.environ, "PYTHONPATH": str(Path(zoostore.__file__).parent.parent)}
    command = [sys.executable, "-c", script, str(public_folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    (public_folder / "secret").chmod(0o755)

    assert done.stdout.rstrip("\n").rstrip("/") == str(public_folder / "secret")
