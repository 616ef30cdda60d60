"""A disk that forgets: damage is named, never handed out, and healed where the bytes can be had."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import pytest

from zoostore import Store
from zoostore.digest import hash_bytes
from zoostore.store.packs import PackReader
from zoostore.store.records import ObjectKind

if TYPE_CHECKING:
    from tests.conftest import Cli, Content, LayOut

Look: TypeAlias = "Callable[[Path], dict[str, Content]]"
Damage: TypeAlias = Callable[[Path], object]

STUB = "zoo:one"
BIG = bytes(range(256)) * 8
FILES: dict[str, Content] = {
    "big.bin": BIG,
    "small.txt": b"small",
    "sub/deep.txt": b"deep",
    "sub/run*": b"#!",
}


def loose_file(home: Path) -> Path:
    digits = hash_bytes(BIG).hex()
    path = home / "objects" / digits[:2] / digits[2:]
    path.chmod(0o644)
    return path


def pack_file(home: Path) -> Path:
    (path,) = (home / "packs").iterdir()
    path.chmod(0o644)
    return path


def flip(path: Path, offset: int) -> None:
    """Change a byte in place, as a disk that rots would; the time of the change shows it."""
    with open(path, "r+b") as file:
        file.seek(offset, os.SEEK_SET if offset >= 0 else os.SEEK_END)
        byte = file.read(1)[0]
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte ^ 0x10]))


def flip_packed(kind: ObjectKind, number: int = 0) -> Damage:
    """Change a byte of a packed object: the number-th of its kind, by where it lies."""

    def damage(home: Path) -> None:
        path = pack_file(home)
        with PackReader(path) as pack:
            rows = sorted(pack.table(), key=lambda row: row.offset)
        row = [row for row in rows if row.kind is kind][number]
        flip(path, row.offset + row.stored - 1)

    return damage


def cut_in(kind: ObjectKind) -> Damage:
    """Cut a pack off within the first object of a kind."""

    def damage(home: Path) -> None:
        path = pack_file(home)
        with PackReader(path) as pack:
            os.truncate(path, min(row.offset for row in pack.table() if row.kind is kind) + 1)

    return damage


LOOSE: dict[str, Damage] = {
    "a large object flipped": lambda home: flip(loose_file(home), 1000),
    "a large object cut": lambda home: os.truncate(loose_file(home), 100),
    "a large object emptied": lambda home: os.truncate(loose_file(home), 0),
    "a large object longer": lambda home: loose_file(home).write_bytes(BIG + b"more"),
    "a large object deleted": lambda home: loose_file(home).unlink(),
}
PACKED: dict[str, Damage] = {
    "a file in a pack flipped": flip_packed(ObjectKind.BLOB, 1),
    "a tree in a pack flipped": flip_packed(ObjectKind.TREE, 0),
    "another tree in a pack flipped": flip_packed(ObjectKind.TREE, 1),
    "a snapshot in a pack flipped": flip_packed(ObjectKind.SNAPSHOT),
    "a pack cut in its files": cut_in(ObjectKind.BLOB),
    "a pack cut in its trees": cut_in(ObjectKind.TREE),
    "a pack cut in its snapshot": cut_in(ObjectKind.SNAPSHOT),
    "a pack emptied": lambda home: os.truncate(pack_file(home), 0),
    "a pack deleted": lambda home: pack_file(home).unlink(),
}
TABLE: dict[str, Damage] = {
    "a pack's table flipped": lambda home: flip(pack_file(home), -100),
    "a pack's end flipped": lambda home: flip(pack_file(home), -1),
    "a pack one byte short": lambda home: os.truncate(
        pack_file(home), pack_file(home).stat().st_size - 1
    ),
}
LOST = {**LOOSE, **PACKED}
ALL = {**LOST, **TABLE}


@pytest.fixture
def home(store: Store, lay: LayOut, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store with one model; beside it the directory it was added from and a zoo that has it."""
    store.add(lay("source", FILES), STUB, message="first")
    store.publish([STUB], tmp_path / "zoo")
    monkeypatch.setenv("ZOOSTORE_HOME", str(store.path))
    return store.path


def held(home: Path) -> dict[str, bytes]:
    """What the parts of a store hold that are not derived."""
    parts = ("objects", "packs", "quarantine", "reflog")
    paths = [path for part in parts for path in [home / part, *(home / part).rglob("*")]]
    return {str(path): path.read_bytes() for path in paths if path.is_file()}


def findings(cli: Cli) -> tuple[int, set[str], set[str]]:
    """How verify ends, the objects that it finds damaged or missing, and who needs them."""
    ran = cli("verify", "--json")
    found = [*ran.json["damaged"], *ran.json["missing"]]
    objects = {finding["what"] for finding in found if "/" not in finding["what"]}
    return ran.code, objects, {stub for finding in found for stub in finding["models"]}


@pytest.mark.parametrize("damage", ALL)
def test_verify_names_what_is_damaged_and_changes_nothing(
    home: Path, cli: Cli, damage: str
) -> None:
    ALL[damage](home)
    before = held(home)

    code, objects, models = findings(cli)

    assert code == 5
    assert held(home) == before
    if damage in LOST:
        assert objects
        assert models == {STUB}
    else:
        assert not objects, "every object can still be read"


@pytest.mark.parametrize("damage", ALL)
def test_verify_says_the_same_again(home: Path, cli: Cli, damage: str) -> None:
    ALL[damage](home)

    assert findings(cli) == findings(cli)


@pytest.mark.parametrize("damage", LOST)
def test_verify_of_the_model_names_what_is_damaged(home: Path, cli: Cli, damage: str) -> None:
    LOST[damage](home)

    assert cli("verify", STUB, "--json").code == 5


@pytest.mark.parametrize("damage", LOST)
def test_a_checkout_of_what_is_damaged_lays_nothing_out(
    home: Path, cli: Cli, damage: str, tmp_path: Path
) -> None:
    LOST[damage](home)

    first = cli("checkout", STUB, tmp_path / "work", "--json")
    second = cli("checkout", STUB, tmp_path / "work", "--json")

    assert (first.code, second.code) == (5, 5)
    assert not (tmp_path / "work").exists()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    assert not list((home / "tmp").iterdir())


@pytest.mark.parametrize("damage", TABLE)
def test_a_pack_whose_end_is_damaged_can_still_be_read(
    home: Path, cli: Cli, damage: str, tmp_path: Path, look: Look
) -> None:
    TABLE[damage](home)
    shutil.rmtree(home / "index")

    assert cli("checkout", STUB, tmp_path / "work").code == 0
    assert look(tmp_path / "work") == FILES


@pytest.mark.parametrize("damage", LOST)
def test_a_checkout_heals_what_a_remote_has(
    home: Path, cli: Cli, damage: str, tmp_path: Path, look: Look
) -> None:
    cli("remote", "add", "zoo", tmp_path / "zoo")
    LOST[damage](home)

    ran = cli("checkout", STUB, tmp_path / "work")

    assert (ran.code, ran.err) == (0, ran.err)
    assert look(tmp_path / "work") == FILES
    assert findings(cli)[1:] == (set(), set())


@pytest.mark.parametrize("damage", LOST)
def test_a_pull_heals_what_a_remote_has(
    home: Path, cli: Cli, damage: str, tmp_path: Path, look: Look
) -> None:
    cli("remote", "add", "zoo", tmp_path / "zoo")
    LOST[damage](home)

    ran = cli("pull", STUB)

    assert ran.code == 0, ran.err
    assert findings(cli)[1:] == (set(), set())
    assert cli("checkout", STUB, tmp_path / "work").code == 0
    assert look(tmp_path / "work") == FILES


@pytest.mark.parametrize("damage", LOST)
def test_adding_the_directory_again_heals(
    home: Path, cli: Cli, damage: str, tmp_path: Path, look: Look
) -> None:
    LOST[damage](home)

    ran = cli("add", tmp_path / "source", STUB)

    assert ran.code == 0, ran.err
    assert findings(cli)[1:] == (set(), set())
    assert cli("checkout", STUB, tmp_path / "work").code == 0
    assert look(tmp_path / "work") == FILES


@pytest.mark.parametrize(
    ("part", "place"), [("objects", 0.5), ("packs", 0.1), ("packs", 0.3), ("packs", 0.6)]
)
def test_the_builtin_zoo_heals_its_own(cli: Cli, tmp_path: Path, part: str, place: float) -> None:
    """The first command of every user, on a disk that then fails; the command itself heals."""
    home = tmp_path / "home"
    assert cli("pull", "mlp-512-digits-base", "--offline").code == 0
    for path in [path for path in (home / part).rglob("*") if path.is_file()]:
        path.chmod(0o644)
        flip(path, int(path.stat().st_size * place))

    ran = cli("checkout", "mlp-512-digits-base", tmp_path / "work", "--offline")

    assert ran.code == 0, ran.err
    assert (tmp_path / "work/model.onnx").is_file()
    assert findings(cli)[1:] == (set(), set())


def test_damaged_bytes_are_never_handed_out(home: Path, cli: Cli) -> None:
    LOST["a large object flipped"](home)
    LOST["a file in a pack flipped"](home)

    ran = {path: cli("cat", STUB, path) for path in ("small.txt", "sub/deep.txt", "sub/run")}
    said = {path: (code, out) for path, (code, out, _) in ran.items()}

    assert cli("cat", STUB, "big.bin")[:2] == (5, "")
    right = {"small.txt": (0, "small"), "sub/deep.txt": (0, "deep"), "sub/run": (0, "#!")}
    assert [answer for path, answer in said.items() if answer != right[path]] == [(5, "")]


def test_a_damaged_large_object_is_set_aside(home: Path, cli: Cli, tmp_path: Path) -> None:
    path = loose_file(home)
    flip(path, 1000)
    damaged = path.read_bytes()

    cli("checkout", STUB, tmp_path / "work")

    (aside,) = (home / "quarantine").iterdir()
    assert aside.name.startswith(hash_bytes(BIG).hex())
    assert aside.read_bytes() == damaged
    assert not path.exists()


def test_a_file_that_was_only_touched_is_not_damaged(
    home: Path, cli: Cli, tmp_path: Path, look: Look
) -> None:
    os.utime(loose_file(home))
    os.utime(pack_file(home))

    assert cli("checkout", STUB, tmp_path / "work").code == 0
    assert look(tmp_path / "work") == FILES
    assert cli("verify").code == 0


def test_a_store_that_was_copied_is_not_damaged(
    home: Path, cli: Cli, tmp_path: Path, look: Look
) -> None:
    copy = shutil.copytree(home, tmp_path / "copy")

    assert cli("--store", copy, "checkout", STUB, tmp_path / "work").code == 0
    assert look(tmp_path / "work") == FILES
    assert cli("--store", copy, "verify").code == 0


def test_damage_to_one_model_does_not_stop_another(
    home: Path, cli: Cli, lay: LayOut, tmp_path: Path, look: Look
) -> None:
    cli("add", lay("other", {"other.bin": BIG[::-1], "o": b"o"}), "zoo:other")
    flip(loose_file(home), 10)

    assert cli("checkout", "zoo:other", tmp_path / "work").code == 0
    assert look(tmp_path / "work") == {"other.bin": BIG[::-1], "o": b"o"}
    assert findings(cli)[2] == {STUB}
    assert cli("verify", "zoo:other").code == 0


# Rot: other bytes under the same stamp


def rot(path: Path, offset: int) -> None:
    before = path.stat()
    flip(path, offset)
    path.chmod(0o444)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def rot_large(home: Path) -> None:
    rot(loose_file(home), 1000)


def rot_small(home: Path) -> None:
    path = pack_file(home)
    with PackReader(path) as pack:
        (row,) = (row for row in pack.table() if row.oid == hash_bytes(b"small"))
    rot(path, row.offset)


@pytest.mark.parametrize("damage", [rot_large, rot_small])
def test_rot_is_found_by_verify(home: Path, cli: Cli, damage: Damage) -> None:
    damage(home)

    code, objects, models = findings(cli)

    assert (code, len(objects), models) == (5, 1, {STUB})


@pytest.mark.parametrize("damage", [rot_large, rot_small])
def test_rot_is_not_laid_out_by_a_checkout_that_verifies(
    home: Path, cli: Cli, tmp_path: Path, damage: Damage
) -> None:
    damage(home)

    assert cli("checkout", STUB, tmp_path / "work", "--verify").code == 5
    assert not (tmp_path / "work").exists()


@pytest.mark.parametrize("damage", [rot_large, rot_small])
def test_rot_is_healed_by_a_checkout_that_verifies_where_a_remote_has_the_bytes(
    home: Path, cli: Cli, tmp_path: Path, look: Look, damage: Damage
) -> None:
    cli("remote", "add", "zoo", tmp_path / "zoo")
    damage(home)

    ran = cli("checkout", STUB, tmp_path / "work", "--verify")

    assert ran.code == 0, ran.err
    assert look(tmp_path / "work") == FILES
    assert findings(cli)[1:] == (set(), set())


@pytest.mark.parametrize("damage", [rot_large, rot_small])
@pytest.mark.parametrize("verb", ["add", "pull"])
def test_rot_that_verify_found_is_healed_by_what_its_hint_says(
    home: Path, cli: Cli, tmp_path: Path, look: Look, damage: Damage, verb: str
) -> None:
    """verify says: pull or add the models named again to get back what is lost."""
    cli("remote", "add", "zoo", tmp_path / "zoo")
    damage(home)
    assert findings(cli)[0] == 5

    cli(verb, *((tmp_path / "source", STUB) if verb == "add" else (STUB,)))

    assert findings(cli)[1:] == (set(), set())
    assert cli("checkout", STUB, tmp_path / "work").code == 0
    assert look(tmp_path / "work") == FILES


def test_an_object_that_somebody_wrote_to_through_a_hard_link_is_noticed(
    home: Path, cli: Cli, tmp_path: Path
) -> None:
    """It takes a chmod and a write; the object then is damaged, and says so."""
    cli("checkout", STUB, tmp_path / "work", "--link", "hardlink")
    path = tmp_path / "work/big.bin"
    assert not path.stat().st_mode & 0o222, "it is read-only"
    path.chmod(0o644)
    flip(path, 5)

    assert cli("status", tmp_path / "work", "--json").json["modified"] == ["big.bin"]
    assert findings(cli)[0] == 5
    assert cli("checkout", STUB, tmp_path / "other").code == 5
