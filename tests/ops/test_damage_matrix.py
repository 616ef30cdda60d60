"""Every form of what a store holds, damaged in every way: found, named, and repaired or refused.

Each case damages one file of a store that has checkouts and a remote. Whatever it was, no command
gives out wrong bytes; `verify` finds it, or the answers are as if nothing had happened; and
`repair` makes it right.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import pytest

from zoostore import Store
from zoostore.digest import Digest, digest_bytes, hash_bytes
from zoostore.errors import (
    DamagedContent,
    InvalidConfig,
    NewerFormat,
    NoStore,
    NotFound,
    ZooError,
)
from zoostore.ops.verify import Verified
from zoostore.store.batch import Batch
from zoostore.store.packs import FOOTER, ROW, PackReader
from zoostore.store.records import ObjectKind

if TYPE_CHECKING:
    from tests.conftest import Content, Files

STUB, OTHER = "zoo:one", "zoo:other"
BIG, SMALL = bytes(range(256)) * 8, b"small"
FILES: dict[str, Content] = {"big.bin": BIG, "small.txt": SMALL, "sub/deep": b"deep"}
OTHERS: dict[str, Content] = {"other.bin": BIG[::-1], "o": b"other"}

Span: TypeAlias = tuple[Path, int, int]
"""A file, and where in it the form under test begins and ends."""


@dataclass(frozen=True)
class Place:
    """A store that is about to be damaged, and what is around it."""

    home: Path
    work: Path

    def loose(self, content: bytes) -> Path:
        digits = hash_bytes(content).hex()
        return self.home / "objects" / digits[:2] / digits[2:]

    def pack(self, stub: str) -> Path:
        """The pack with a model's snapshot in it."""
        snapshot = Store(self.home).snapshot(stub).id
        for path in sorted((self.home / "packs").iterdir()):
            with PackReader(path) as pack:
                if snapshot in {row.oid for row in pack.table()}:
                    return path
        raise AssertionError(stub)

    def in_pack(self, kind: ObjectKind) -> Span:
        path = self.pack(STUB) if kind is not ObjectKind.ALIASES else self.pack_of_aliases()
        with PackReader(path) as pack:
            row = min((row for row in pack.table() if row.kind is kind), key=lambda row: row.offset)
        return path, row.offset, row.offset + row.stored

    def pack_of_aliases(self) -> Path:
        for path in sorted((self.home / "packs").iterdir()):
            with PackReader(path) as pack:
                if any(row.kind is ObjectKind.ALIASES for row in pack.table()):
                    return path
        raise AssertionError("there are no aliases")

    def line(self, number: int) -> Span:
        """A line of the reflog, by its number; -1 is the last."""
        path = self.home / "reflog"
        lines = path.read_bytes().splitlines(keepends=True)
        number %= len(lines)
        start = sum(map(len, lines[:number]))
        return path, start, start + len(lines[number])


def record_header(place: Place) -> Span:
    path, start, _ = place.in_pack(ObjectKind.BLOB)
    return path, start - 51, start


def table(place: Place) -> Span:
    path = place.pack(STUB)
    with PackReader(path) as pack:
        rows = len(pack.table())
    end = path.stat().st_size - FOOTER.size
    return path, end - rows * ROW.size, end


def footer(place: Place) -> Span:
    path = place.pack(STUB)
    size = path.stat().st_size
    return path, size - FOOTER.size, size


def whole(path: Path) -> Span:
    return path, 0, path.stat().st_size


FORMS: dict[str, Callable[[Place], Span]] = {
    "a loose object": lambda place: whole(place.loose(BIG)),
    "a file in a pack": lambda place: place.in_pack(ObjectKind.BLOB),
    "a tree in a pack": lambda place: place.in_pack(ObjectKind.TREE),
    "a snapshot in a pack": lambda place: place.in_pack(ObjectKind.SNAPSHOT),
    "a table of aliases": lambda place: place.in_pack(ObjectKind.ALIASES),
    "the header of a record": record_header,
    "the table of a pack": table,
    "the footer of a pack": footer,
    "the index": lambda place: whole(place.home / "index/data.mdb"),
    "the lock of the index": lambda place: whole(place.home / "index/lock.mdb"),
    "the stamp of the index": lambda place: whole(place.home / "index/stamp"),
    "the first line of the reflog": lambda place: place.line(0),
    "a line within the reflog": lambda place: place.line(2),
    "the last line of the reflog": lambda place: place.line(-1),
    "checkout.json": lambda place: whole(place.work / ".zoostore/checkout.json"),
    "the entries of a checkout": lambda place: whole(place.work / ".zoostore/entries"),
    "a hard link in a checkout": lambda place: whole(place.work / "big.bin"),
    "a symbolic link in a checkout": lambda place: (
        place.work.with_name("links") / "big.bin",
        0,
        0,
    ),
    "the format file": lambda place: whole(place.home / "format"),
    "config.toml": lambda place: whole(place.home / "config.toml"),
}


def flip(span: Span, _: Path) -> None:
    path, start, end = span
    data = bytearray(path.read_bytes())
    data[(start + end) // 2] ^= 0x10
    write(path, bytes(data))


def truncate(span: Span, _: Path) -> None:
    path, start, end = span
    write(path, path.read_bytes()[: (start + end) // 2])


def zero(span: Span, _: Path) -> None:
    path, start, end = span
    data = path.read_bytes()
    write(path, data[:start] + bytes(end - start) + data[end:])


def delete(span: Span, _: Path) -> None:
    path, start, end = span
    data = b"" if path.is_symlink() else path.read_bytes()
    if (start, end) == (0, len(data)) or not data:
        path.unlink()
    else:
        write(path, data[:start] + data[end:])


def swap(span: Span, other: Path) -> None:
    path, start, end = span
    data, new = path.read_bytes(), other.read_bytes()
    if (start, end) != (0, len(data)):
        new = data[:start] + (new * (end // len(new) + 1))[: end - start] + data[end:]
    write(path, new)


def write(path: Path, data: bytes) -> None:
    """Write to a file in place, as whoever is root may do through any of its names."""
    path.chmod(0o644)
    with open(path, "r+b") as file:
        file.truncate(0)
        file.write(data)


WAYS: dict[str, Callable[[Span, Path], None]] = {
    "flipped": flip,
    "truncated": truncate,
    "zeroed": zero,
    "deleted": delete,
    "swapped": swap,
}
CASES = [
    (form, way)
    for form in FORMS
    for way in WAYS
    if not (form == "a symbolic link in a checkout" and way != "swapped")
]


@pytest.fixture(scope="module")
def original(
    tmp_path_factory: pytest.TempPathFactory, lay_at: Callable[[Path, Files], Path]
) -> Path:
    root = tmp_path_factory.mktemp("damage")
    config = 'large_object = 16\nlink = "hardlink"\n'
    lay_at(root / "store", {"config.toml": config.encode()})
    store = Store(root / "store")
    store.add(lay_at(root / "other", OTHERS), OTHER, time=1)
    store.add(lay_at(root / "first", {**FILES, "small.txt": b"before"}), STUB, time=1)
    store.tag(STUB, "v1")
    store.add(lay_at(root / "source", FILES), STUB, time=2)
    with Batch(store._opened.writable()) as batch:
        named: set[Digest] = {digest_bytes("sha256", BIG)}
        batch.note_aliases("a test", {hash_bytes(BIG): named})
        batch.publish()
    store.publish([STUB, OTHER], root / "zoo")
    return root


@pytest.fixture
def place(original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A copy of the store, with its own checkouts, a remote, and another store to swap with."""
    # Nothing here is about what a power cut leaves, and to wait for a disk takes long.
    monkeypatch.setattr("os.fsync", lambda _: None)
    shutil.copytree(original / "store", tmp_path / "store", ignore=shutil.ignore_patterns("index"))
    store = Store(tmp_path / "store")
    store.add_remote("zoo", str(original / "zoo"))
    store.checkout(STUB, tmp_path / "work")
    store.checkout(STUB, tmp_path / "links", link="symlink")
    store.verify()
    return Place(tmp_path / "store", tmp_path / "work")


def other_of_its_form(form: str, place: Place) -> Path:
    """A file of the same form with another content."""
    if form == "a hard link in a checkout" or form == "a loose object":
        return place.loose(BIG[::-1])
    if "pack" in form or "record" in form or "aliases" in form:
        return place.pack(OTHER)
    other = Store(place.home.parent / "elsewhere")
    (place.home.parent / "theirs").mkdir()
    (place.home.parent / "theirs/file").write_bytes(b"theirs" * 20)
    other.add(place.home.parent / "theirs", "zoo:theirs", time=1)
    theirs = other.checkout("zoo:theirs", place.home.parent / "their work").directory
    if "reflog" in form:
        return other.path / "reflog"
    if "index" in form:
        return other.path / "index" / FORMS[form](place)[0].name
    if "entries" in form or "json" in form:
        return theirs / ".zoostore" / FORMS[form](place)[0].name
    config = other.path / "config.toml"
    config.write_text('large_object = 99\nlink = "copy"\n')
    return config if "config" in form else place.home / "reflog"


def damage(form: str, way: str, place: Place) -> None:
    span = FORMS[form](place)
    if form == "a symbolic link in a checkout":
        span[0].unlink()
        span[0].symlink_to(place.loose(BIG[::-1]))
        return
    other = other_of_its_form(form, place) if way == "swapped" else span[0]
    WAYS[way](span, other)


def read_all(store: Store) -> Iterator[tuple[str, bytes]]:
    for stub, files in ((STUB, FILES), (OTHER, OTHERS)):
        for path in files:
            with store.open_file(stub, path) as file:
                yield f"{stub} {path}", file.read()


RIGHT = {f"{STUB} {path}": content for path, content in FILES.items()} | {
    f"{OTHER} {path}": content for path, content in OTHERS.items()
}
EARLIER = {f"{STUB} small.txt": b"before"}
"""What a model had before the last line of the reflog."""

REFUSED = {"the format file", "config.toml"}
"""What cannot be told from a store of another making is refused; nothing is made of it."""

HARMLESS = {"the index", "the lock of the index", "the stamp of the index", "config.toml"}
"""What is derived, or a setting: nothing is lost with it."""

LOCAL = {"deleted": "a hard link in a checkout"}
"""To delete a file from one's own directory is no damage."""

REFLOG = {form for form in FORMS if "reflog" in form}


@pytest.mark.parametrize(("form", "way"), CASES, ids=[f"{form}, {way}" for form, way in CASES])
def test_damage_is_found_and_repaired_and_no_wrong_bytes_are_read(
    form: str, way: str, place: Place
) -> None:
    damage(form, way, place)
    alone = place.home.parent / "alone"
    left = ["config.toml", "checkouts", *(["index"] if "index" not in form else [])]
    shutil.copytree(place.home, alone, ignore=shutil.ignore_patterns(*left))

    read_nothing_wrong(alone, form)
    store = Store(place.home, offline=True)
    if form in REFUSED:
        with contextlib.suppress(NoStore, InvalidConfig, NewerFormat):
            assert store.verify().is_clean
            assert form == "config.toml", "nothing but a setting can change unseen"
        return
    verified = store.verify()
    is_clean = form in HARMLESS or LOCAL.get(way) == form
    assert verified.is_clean == is_clean, verified
    if not is_clean:
        assert is_named(form, place, verified)

    # The lines of another store name what nobody here has ever had.
    repaired = store.repair(drop=form in REFLOG and way == "swapped")

    assert repaired.is_done, repaired
    again = Store(place.home, offline=True)
    assert again.verify().is_clean, again.verify()
    assert dict(read_all(again)) == RIGHT
    assert {model.stub for model in again.snapshots()} == {STUB, OTHER}
    assert again.snapshot(STUB).tags.keys() >= {"v1"}


def is_named(form: str, place: Place, verified: Verified) -> bool:
    """Whether what was found says where to look: the model, or the file."""
    found = [*verified.damaged, *verified.missing]
    files = {
        str(place.home / "reflog"),
        str(place.home / "index"),
        *map(str, (place.home / "packs").iterdir()),
    }
    files |= {str(path) for path in (place.work / ".zoostore").iterdir()}
    files |= {str(place.work / ".zoostore/checkout.json"), str(place.work / ".zoostore/entries")}
    files |= {str(path) for path in (place.home / "quarantine").glob("refs.*")}
    files |= {str(place.home.parent / "links/big.bin")}
    if form == "a table of aliases":  # no model needs one
        return any(item.what in files for item in found)
    return all(item.reason and (item.models or item.what in files) for item in found)


def read_nothing_wrong(home: Path, form: str) -> None:
    """Without remotes and checkouts: what can be read is right, and the rest is refused."""
    refusals: tuple[type[ZooError], ...] = (DamagedContent,)
    if form in REFUSED:
        refusals = (NoStore, NewerFormat)
    elif form in REFLOG:
        refusals = (DamagedContent, NotFound)
    for name, content in RIGHT.items():
        stub, _, path = name.partition(" ")
        with contextlib.suppress(*refusals):
            with Store(home, offline=True).open_file(stub, path) as file:
                found = file.read()
            assert found == content or (form in REFLOG and found == EARLIER.get(name)), name
