"""A store that several users write to: what one makes the others can use, whatever the umask."""

from __future__ import annotations

import json
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest

from tests.users import Answer, User, as_user
from zoostore import Store
from zoostore.files.sharing import hides, make_folder, share

if TYPE_CHECKING:
    from tests.conftest import Content, Files, InStore, Serve

LayAt: TypeAlias = "Callable[[Path, Files], Path]"
GROUP = 12100
BIG = bytes(range(256))
ONE: dict[str, Content] = {"big.bin": BIG, "small.txt": b"one", "sub/run*": b"#!"}

as_root = pytest.mark.skipif(
    sys.platform == "win32" or os.geteuid() != 0, reason="only root can be two other users"
)


def somebody(number: int, umask: int) -> User:
    return User(12000 + number, 12000 + number, (GROUP,), umask)


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder that everybody may enter, with a folder for each of two users."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        for number in (1, 2):
            (folder / f"of{number}").mkdir()
            os.chown(folder / f"of{number}", 12000 + number, 12000 + number)
        yield folder


@pytest.fixture
def shared(public: Path) -> Path:
    """An empty folder that a group shares, with the settings of its owner in it."""
    folder = public / "store"
    folder.mkdir()
    (folder / "config.toml").write_text("large_object = 16\n")
    (folder / "config.toml").chmod(0o664)
    for path in (folder, folder / "config.toml"):
        os.chown(path, 12001, GROUP)
    folder.chmod(0o2770)
    return folder


def run(store: Path, user: User, *commands: tuple[Any, ...]) -> list[Answer]:
    """Run commands that must succeed."""
    answers = as_user(user, *(("--store", store, *command, "--json") for command in commands))
    assert [answer.code for answer in answers] == [0] * len(commands), answers
    return answers


def lay_for(user: User, lay_at: LayAt, folder: Path, files: Files) -> Path:
    lay_at(folder, files)
    for path in [folder, *folder.rglob("*")]:
        os.lchown(path, user.uid, user.gid)
    return folder


def unusable(store: Path) -> list[str]:
    """What the group cannot use of a store."""
    found = []
    for path in [store, *store.rglob("*")]:
        status = path.stat()
        mode = stat.S_IMODE(status.st_mode)
        if path.is_dir():
            is_right = mode == 0o2770
        else:
            is_right = mode & 0o444 == 0o444 if mode & 0o222 == 0 else mode & 0o060 == 0o060
        if not is_right or status.st_gid != GROUP:
            found.append(f"{path.relative_to(store)} {mode:o} {status.st_gid}")
    return found


@as_root
@pytest.mark.parametrize(
    ("first", "second"), [(0o077, 0o077), (0o022, 0o002)],
    ids=lambda umask: f"{umask:03o}",
)  # fmt: skip
def test_two_users_work_in_one_store(
    public: Path, shared: Path, lay_at: LayAt, first: int, second: int
) -> None:
    one, two = somebody(1, first), somebody(2, second)
    mine = lay_for(one, lay_at, public / "of1/in", ONE)
    theirs = lay_for(two, lay_at, public / "of2/in", {**ONE, "big.bin": BIG[::-1]})
    mlp = "mlp-512-digits-base"

    run(
        shared, one,
        ("add", mine, "zoo:one"), ("tag", "zoo:one", "v1"), ("pull", "--include", "*.md", mlp),
        ("remote", "add", "far", "http://127.0.0.1:1"),
    )  # fmt: skip
    assert unusable(shared) == []
    _, _, made, *_, listed, verified = run(
        shared, two,
        ("add", theirs, "zoo:one"), ("tag", "zoo:one", "v2"),
        ("checkout", "zoo:one@v1", public / "of2/model"), ("pull", "--include", "*.md", mlp),
        ("rm", mlp), ("remote", "rm", "far"), ("gc", "--yes"), ("ls",), ("verify",),
    )  # fmt: skip
    assert unusable(shared) == []
    assert made.err == ""
    assert [model["stub"] for model in json.loads(listed.out)] == ["zoo:one"]
    assert json.loads(verified.out)["damaged"] == json.loads(verified.out)["missing"] == []
    (public / "of2/model/small.txt").write_bytes(b"edited")
    run(shared, two, ("commit", public / "of2/model", "--as", "zoo:two", "-m", "two"))
    run(
        shared, one,
        ("checkout", "zoo:two", public / "of1/model"), ("log", "zoo:two"), ("rm", "zoo:two"),
        ("gc", "--yes"), ("verify",),
    )  # fmt: skip
    assert unusable(shared) == []
    assert (public / "of1/model/small.txt").read_bytes() == b"edited"


@as_root
def test_an_index_that_one_made_anew_the_other_uses(
    public: Path, shared: Path, lay_at: LayAt
) -> None:
    one, two = somebody(1, 0o077), somebody(2, 0o077)
    run(shared, one, ("add", lay_for(one, lay_at, public / "of1/in", ONE), "zoo:one"))
    shutil.rmtree(shared / "index")

    run(shared, two, ("verify",))
    inode = (shared / "index/data.mdb").stat().st_ino
    run(shared, one, ("tag", "zoo:one", "v1"), ("show", "zoo:one"))
    assert (shared / "index/data.mdb").stat().st_ino == inode, "it is used as it is"
    (shared / "index/data.mdb").write_bytes(b"junk" * 4096)
    run(shared, one, ("tag", "zoo:one", "v2"))
    run(shared, two, ("tag", "zoo:one", "v3"), ("verify",))

    assert unusable(shared) == []


@as_root
def test_what_one_added_and_is_damaged_the_other_sets_aside(
    public: Path, shared: Path, lay_at: LayAt, loose: InStore, packs: InStore
) -> None:
    one, two = somebody(1, 0o077), somebody(2, 0o077)
    mine = lay_for(one, lay_at, public / "of1/in", ONE)
    run(shared, one, ("add", mine, "zoo:one"))
    for path in [*loose(shared), *packs(shared)]:
        data = bytearray(path.read_bytes())
        data[60] ^= 1
        path.write_bytes(data)

    (damaged,) = as_user(two, ("--store", shared, "--offline", "cat", "zoo:one", "big.bin"))
    theirs = lay_for(two, lay_at, public / "of2/in", ONE)
    run(shared, two, ("add", theirs, "zoo:one"), ("add", theirs, "zoo:two"), ("verify",))
    run(shared, one, ("checkout", "zoo:one", public / "of1/model"), ("verify",))

    assert damaged.code == 5
    assert len(list((shared / "quarantine").iterdir())) == 2
    assert unusable(shared) == []


@as_root
def test_what_one_left_in_the_middle_the_other_cleans_away(
    public: Path, shared: Path, lay_at: LayAt
) -> None:
    one, two = somebody(1, 0o077), somebody(2, 0o077)
    run(shared, one, ("add", lay_for(one, lay_at, public / "of1/in", ONE), "zoo:one"))
    host, gone = os.uname().nodename, 2**22 - 1  # an id that no process has by default
    folder = shared / "tmp" / f"{host}.{gone}.00000000"
    folder.mkdir()
    folder.chmod(0o2770)
    (folder / "half").write_bytes(b"half")
    claim = shared / "tmp" / "pull-0000.claim"
    claim.write_text(f"{host} {gone}\n")
    claim.chmod(0o660)
    for path in (folder, folder / "half", claim):
        os.chown(path, one.uid, GROUP)

    run(shared, two, ("add", lay_for(two, lay_at, public / "of2/in", {"x": b"x"}), "zoo:two"))

    assert list((shared / "tmp").iterdir()) == []


@as_root
def test_a_download_that_one_began_the_other_begins_anew(
    public: Path, shared: Path, lay_at: LayAt, serve: Serve
) -> None:
    one, two = somebody(1, 0o077), somebody(2, 0o022)
    large = BIG * 12_000
    web = serve(lay_at(public / "web", {"large.bin": large}))
    web.answers["/large.bin"] = [
        lambda handler: handler.answer(200, large[:2_000_000], Content_Length=str(len(large))),
        lambda handler: handler.answer(404, b""),
    ]
    pull = ("pull", f"{web.url}/large.bin", "--as", "zoo:large")

    (failed,) = as_user(one, ("--store", shared, *pull))
    left = [path for path in (shared / "tmp/downloads").iterdir() if path.suffix == ".part"]
    web.answers.clear()
    run(shared, two, pull, ("verify",))

    assert (failed.code, len(left)) == (1, 1)
    assert unusable(shared) == []


@as_root
def test_files_that_programs_asked_for_are_for_all(
    public: Path, shared: Path, lay_at: LayAt
) -> None:
    one, two = somebody(1, 0o077), somebody(2, 0o077)
    run(shared, one, ("add", lay_for(one, lay_at, public / "of1/in", ONE), "zoo:one"))
    for user in (one, two):
        done = as_user(user, ("materialize", shared, "zoo:one"))
        assert [answer.code for answer in done] == [0]

    assert unusable(shared) == []


# What is shared, and what is not


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other permissions")
@pytest.mark.parametrize("mode", [0o755, 0o775, 0o2755])
def test_elsewhere_the_umask_decides(tmp_path: Path, mode: int) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder").chmod(mode)
    before = os.umask(0o027)
    try:
        make_folder(tmp_path / "folder/a/b")
        (tmp_path / "folder/file").touch()
        share(tmp_path / "folder/file")
    finally:
        os.umask(before)

    assert (tmp_path / "folder/a/b").stat().st_mode & 0o777 == 0o750
    assert (tmp_path / "folder/file").stat().st_mode & 0o777 == 0o640


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other permissions")
@pytest.mark.parametrize(
    ("mode", "folder", "file", "program"),
    [(0o2770, 0o2770, 0o660, 0o770), (0o2775, 0o2775, 0o664, 0o775)],
    ids=oct,
)  # fmt: skip
def test_what_is_made_gets_the_permissions_of_the_folder(
    tmp_path: Path, mode: int, folder: int, file: int, program: int
) -> None:
    (tmp_path / "top").mkdir()
    (tmp_path / "top").chmod(mode)
    before = os.umask(0o077)
    try:
        make_folder(tmp_path / "top/a/b")
        for name in ("file", "program", "linked"):
            (tmp_path / "top" / name).touch()
        (tmp_path / "top/program").chmod(0o700)
        os.link(tmp_path / "top/linked", tmp_path / "top/other")
        (tmp_path / "top/symlink").symlink_to("linked")
        for name in ("file", "program", "linked", "symlink"):
            share(tmp_path / "top" / name)
    finally:
        os.umask(before)

    modes = {
        name: stat.S_IMODE((tmp_path / "top" / name).stat().st_mode)
        for name in ("a", "a/b", "file", "program", "linked")
    }
    assert modes == {"a": folder, "a/b": folder, "file": file, "program": program, "linked": 0o600}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other permissions")
def test_a_file_that_the_group_cannot_read_is_no_object_by_a_link(
    tmp_path: Path, lay_at: LayAt, loose: InStore
) -> None:
    store = tmp_path / "store"
    store.mkdir()
    (store / "config.toml").write_text("large_object = 16\n")
    store.chmod(0o2770)
    weights = lay_at(tmp_path / "weights", {"secret.bin": BIG, "open.bin": BIG[::-1]})
    (weights / "secret.bin").chmod(0o600)

    Store(store).adopt(weights, stub="zoo:weights")

    assert {path.stat().st_nlink for path in loose(store)} == {1, 2}
    assert hides((weights / "secret.bin").stat(), store)
    assert not hides((weights / "open.bin").stat(), store)
    assert not hides((weights / "secret.bin").stat(), tmp_path)
