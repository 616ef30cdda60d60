"""A user whom permissions bind: what may be read is read, what may not be written is left."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest

from tests.users import Answer, User, as_user
from zoostore import Store

if TYPE_CHECKING:
    from tests.conftest import Content, Files, Ran

Look: TypeAlias = "Callable[[Path], dict[str, Content]]"
LayAt: TypeAlias = "Callable[[Path, Files], Path]"
STUB = "zoo:one"
BIG = bytes(range(256))
FILES: dict[str, Content] = {"big.bin": BIG, "small.txt": b"small", "sub/run*": b"#!"}
NOBODY = 65534


def as_nobody(*commands: tuple[Any, ...]) -> list[Answer]:
    """Run commands as a user whom permissions bind."""
    return as_user(User(NOBODY, NOBODY), *commands)


@pytest.fixture
def public(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that everybody may enter; `own` in it belongs to nobody."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "own").mkdir()
        if os.geteuid() == 0:
            os.chown(folder / "own", NOBODY, NOBODY)
        monkeypatch.setenv("ZOOSTORE_HOME", str(folder / "own/store"))
        monkeypatch.setenv("TMPDIR", str(folder / "own"))
        yield folder
        permit(folder)


@pytest.fixture
def shared(public: Path, lay_at: LayAt) -> Path:
    """A store that only its owner may write to, with a checkout of the owner's beside it."""
    (public / "store").mkdir()
    (public / "store/config.toml").write_text("large_object = 16\n")
    store = Store(public / "store")
    store.add(lay_at(public / "source", FILES), STUB, message="first", time=1)
    store.tag(STUB, "v1")
    store.checkout(STUB, public / "work", link="copy")
    (public / "work/small.txt").write_bytes(b"edited")
    del store
    forbid(public / "store")
    return public / "store"


def permit(root: Path) -> None:
    root.chmod(0o755)
    for path in root.iterdir():
        if path.is_dir() and not path.is_symlink():
            permit(path)


def forbid(root: Path) -> None:
    for path in [root, *root.rglob("*")]:
        if path.is_dir():
            path.chmod(0o555)


def state(root: Path) -> dict[str, tuple[int, int]]:
    statuses = {str(path): path.lstat() for path in [root, *root.rglob("*")]}
    return {path: (status.st_ino, status.st_mtime_ns) for path, status in statuses.items()}


READING: list[tuple[str, ...]] = [
    ("ls",),
    ("ls", STUB),
    ("show", STUB),
    ("log", STUB),
    ("cat", STUB, "small.txt"),
    ("cat", STUB, "big.bin"),
    ("du",),
    ("verify",),
    ("diff", f"{STUB}@v1", STUB),
    ("search", "one"),
    ("remote", "ls"),
]


@pytest.mark.parametrize("index", ["as it was", "gone", "damaged", "elsewhere"])
def test_a_store_that_may_only_be_read_answers_as_it_would_its_owner(
    shared: Path, cli: Callable[..., Ran], index: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = [cli("--store", shared, *verb, "--json")[:2] for verb in READING]
    folder = shared / "index"
    if index == "gone":
        permit(shared)
        shutil.rmtree(folder)
        forbid(shared)
    elif index == "damaged":
        os.truncate(folder / "data.mdb", 5000)
    elif index == "elsewhere":
        monkeypatch.setenv("ZOOSTORE_INDEX", str(shared.parent / "own/index"))
    before = state(shared)

    answers = as_nobody(*(("--store", shared, *verb, "--json") for verb in READING))

    assert [(answer.code, answer.out) for answer in answers] == expected
    assert [answer.err for answer in answers] == [""] * len(READING)
    assert state(shared) == before


def test_every_change_of_a_store_that_may_only_be_read_is_refused(shared: Path) -> None:
    public, before = shared.parent, state(shared)
    commands = [
        ("add", public / "source", "zoo:new"),
        ("add", public / "source", STUB, "-m", "other"),
        ("commit", public / "work", "-m", "m"),
        ("tag", STUB, "v2"),
        ("rm", STUB),
        ("pull", "mlp-512-digits-base"),
        ("checkout", "mlp-512-digits-base", public / "own/new"),
        ("remote", "add", "x", "http://127.0.0.1:1"),
    ]

    answers = as_nobody(*(("--store", shared, "--json", *command) for command in commands))

    assert [(answer.code, answer.error) for answer in answers] == [(1, "read_only")] * len(commands)
    assert state(shared) == before
    assert list((public / "own").iterdir()) == []


@pytest.mark.parametrize("link", ["auto", "symlink", "copy"])
def test_what_is_in_a_store_that_may_only_be_read_can_be_checked_out(
    shared: Path, look: Look, link: str
) -> None:
    work = shared.parent / "own/work"
    before = state(shared)

    made, clean, changed = as_nobody(
        ("--store", shared, "checkout", STUB, work, "--link", link, "--json"),
        ("--store", shared, "status", work, "--json"),
        ("--store", shared, "checkout", f"{STUB}@v1", work, "--json"),
    )

    assert (made.code, clean.code, changed.code) == (0, 0, 0), made.out + clean.out + changed.out
    status = json.loads(clean.out)
    assert (status["modified"], status["deleted"], status["untracked"]) == ([], [], [])
    assert (work / "big.bin").read_bytes() == BIG
    after = state(shared)
    assert after.keys() == before.keys()
    assert {path: after[path][0] for path in after} == {path: before[path][0] for path in before}


def test_a_model_that_may_only_be_read_can_be_published(shared: Path) -> None:
    zoo = shared.parent / "own/zoo"

    (answer,) = as_nobody(("--store", shared, "publish", STUB, "--to", zoo, "--json"))

    assert answer.code == 0, answer.out
    assert (zoo / "zoo.json").is_file()


def test_a_checkout_of_somebody_else_has_a_status(shared: Path) -> None:
    work = shared.parent / "work"
    before = state(work)

    answers = as_nobody(*[("--store", shared, "status", work, "--json")] * 2)

    assert [json.loads(answer.out)["modified"] for answer in answers] == [["small.txt"]] * 2
    assert state(work) == before


def test_damage_in_a_store_that_may_only_be_read_is_said_and_left(shared: Path) -> None:
    for path in (shared / "objects").rglob("*"):
        if path.is_file():
            path.chmod(0o644)
            path.write_bytes(path.read_bytes()[::-1])
            path.chmod(0o444)
    before = state(shared)

    cat, verify, checkout = as_nobody(
        ("--store", shared, "--offline", "cat", STUB, "big.bin", "--json"),
        ("--store", shared, "verify", "--json"),
        ("--store", shared, "checkout", STUB, shared.parent / "own/work", "--json"),
    )

    assert (cat.code, verify.code) == (5, 5)
    assert checkout.code in (1, 5), "the owner could heal it, nobody cannot"
    assert state(shared) == before
    assert not (shared.parent / "own/work").exists()


# What may not be read


@pytest.mark.parametrize("name", ["secret.txt", "secret.bin", "folder/secret.txt"])
def test_a_file_that_may_not_be_read_is_refused_and_nothing_is_left(
    public: Path, lay_at: LayAt, name: str
) -> None:
    source = lay_at(public / "source", {**FILES, name: BIG * 300})
    (source / name).chmod(0)

    added, listed, verified = as_nobody(
        ("add", source, STUB, "--json"), ("ls", "--json"), ("verify", "--json")
    )

    assert (added.code, added.error) == (1, "unreadable_file")
    assert name in json.loads(added.out)["error"]["message"]
    assert (json.loads(listed.out), verified.code) == ([], 0)
    home = public / "own/store"
    left = {path.name for part in ("objects", "packs", "tmp") for path in (home / part).iterdir()}
    assert left == set()


def test_a_folder_that_may_not_be_listed_is_refused(public: Path, lay_at: LayAt) -> None:
    source = lay_at(public / "source", FILES)
    (source / "sub").chmod(0o311)

    (answer,) = as_nobody(("add", source, STUB, "--json"))

    assert (answer.code, answer.error) == (1, "unreadable_file")


def test_an_edited_file_that_may_not_be_read_is_named_by_status(
    public: Path, lay_at: LayAt
) -> None:
    source = lay_at(public / "source", FILES)
    work = public / "own/work"
    added, made = as_nobody(("add", source, STUB), ("checkout", STUB, work))
    assert (added.code, made.code) == (0, 0)
    (work / "small.txt").unlink()
    (work / "small.txt").write_bytes(b"SMALL")
    (work / "small.txt").chmod(0)

    (answer,) = as_nobody(("status", work, "--json"))

    assert (answer.code, answer.error) == (1, "unreadable_file")
    assert "small.txt" in answer.out


def test_a_store_that_may_not_be_read_is_said_to_be_so(shared: Path) -> None:
    shared.chmod(0)

    for answer in as_nobody(
        ("--store", shared, "ls", "--json"),
        ("--store", shared, "add", shared.parent / "source", "zoo:x", "--json"),
    ):
        assert answer.code == 1
        assert answer.error in ("file_system", "read_only")
        assert "denied" in answer.out


# What may not be written


def test_a_store_cannot_be_made_where_nothing_may_be_written(public: Path, lay_at: LayAt) -> None:
    source = lay_at(public / "source", FILES)
    public.chmod(0o555)

    (answer,) = as_nobody(("--store", public / "new/store", "add", source, STUB, "--json"))

    assert (answer.code, answer.error) == (1, "read_only")
    assert not (public / "new").exists()


@pytest.mark.parametrize(
    "command",
    [("checkout", STUB, "{}/work"), ("publish", STUB, "--to", "{}/zoo")],
    ids=["checkout", "publish"],
)
def test_a_place_that_may_not_be_written_to_is_said_to_be_so(
    public: Path, lay_at: LayAt, command: tuple[str, ...]
) -> None:
    source = lay_at(public / "source", FILES)
    (public / "closed").mkdir(mode=0o555)
    filled = [argument.format(public / "closed") for argument in command]

    added, answer = as_nobody(("add", source, STUB), (*filled, "--json"))

    assert (added.code, answer.code, answer.error) == (0, 1, "file_system")
    assert list((public / "closed").iterdir()) == []


def test_a_folder_of_a_checkout_that_may_not_be_written_to_stops_an_update_before_it_begins(
    public: Path, lay_at: LayAt, look: Look
) -> None:
    old: dict[str, Content] = {"a/x": b"old", "b/x": b"old", "c": b"old"}
    new: dict[str, Content] = {"a/x": b"new", "b/x": b"new", "c": b"new"}
    work = public / "own/work"
    for answer in as_nobody(
        ("add", lay_at(public / "old", old), STUB),
        ("checkout", STUB, work),
        ("add", lay_at(public / "new", new), STUB),
    ):
        assert answer.code == 0
    (work / "b").chmod(0o555)

    (refused,) = as_nobody(("checkout", STUB, work, "--json"))
    (work / "b").chmod(0o755)
    if os.geteuid() == 0:
        os.chown(work / "b", NOBODY, NOBODY)
    (again,) = as_nobody(("checkout", STUB, work, "--json"))

    assert (refused.code, refused.error) == (1, "file_system")
    assert again.code == 0, "what was done of it is no obstacle to the rest"
    assert look(work) == new
