"""docs/format.md is enough to read a store: a reader written from that page alone.

Nothing of zoostore is imported here. It only makes, in a process of its own, what is
then read: a store, a published zoo, a checkout, and the page's worked example.
"""

from __future__ import annotations

import json
import os
import re
import struct
import subprocess
import sys
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from blake3 import blake3

ROOT = Path(__file__).parents[2]

# The reader

BLOB, TREE, SNAPSHOT = 1, 2, 3
FILE, EXECUTABLE, FOLDER, LINK = 1, 2, 3, 4
CONTEXTS = {TREE: "zoostore 2026-11 tree v1", SNAPSHOT: "zoostore 2026-11 snapshot v1"}

RECORD = struct.Struct(">cBBQQ32s")
ROW = struct.Struct(">32sBBQQQ")
FOOTER = struct.Struct(">QQ32s8s")
CHECKED_OUT = struct.Struct(">BBQQQQ32s")

SHORT_ESCAPES = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\t": "\\t"} | {
    "\n": "\\n",
    "\f": "\\f",
    "\r": "\\r",
}
NUMBERS = ["files", "size", "time"]
SNAPSHOT_KEYS = {"message", "metadata", "parents", "revision", "source", "stub", "tree", *NUMBERS}


class Refused(Exception):
    """What was read breaks a rule of the page."""


def must(holds: bool, rule: str) -> None:
    if not holds:
        raise Refused(rule)


def oid_of(kind: int, data: bytes) -> str:
    context = CONTEXTS.get(kind)
    hasher = blake3(data, derive_key_context=context) if context else blake3(data)
    return hasher.hexdigest()


class Stored(NamedTuple):
    """An object as a pack holds it."""

    kind: int
    payload: bytes


def read_pack(data: bytes) -> dict[str, Stored]:
    """The objects of a whole pack, each hashed."""
    must(data[:8] == b"zpack1\n\0", "it begins as a pack")
    offset, count, checksum, end = FOOTER.unpack(data[-56:])
    must(end == b"zpackend" and offset + 58 * count + 56 == len(data), "it ends as a pack")
    table = data[offset : offset + 58 * count]
    must(blake3(table).digest() == checksum, "the table is intact")
    rows = list(ROW.iter_unpack(table))
    must(all(one[0] < two[0] for one, two in pairwise(rows)), "it is in order")
    found = {}
    for oid, kind, encoding, start, stored, size in rows:
        must(kind in (1, 2, 3) and encoding == 0 and stored == size, "no later release wrote it")
        must(start + stored <= offset, "a payload stands before the table")
        found[oid.hex()] = Stored(kind, data[start : start + stored])
        must(oid_of(*found[oid.hex()]) == oid.hex(), "a payload has its oid")
    return found


def read_records(data: bytes) -> Iterator[tuple[str, Stored]]:
    """The objects of a pack whose end is lost."""
    place = 8
    while place + 51 <= len(data) and data[place : place + 1] == b"R":
        _, kind, encoding, stored, _, oid = RECORD.unpack_from(data, place)
        payload = data[place + 51 : place + 51 + stored]
        if encoding == 0 and kind in (1, 2, 3) and oid_of(kind, payload) == oid.hex():
            yield oid.hex(), Stored(kind, payload)
        place += 51 + stored


class Entry(NamedTuple):
    """What a tree has at a name; `target` is that of a link."""

    kind: int
    oid: str
    size: int = 0
    target: str = ""


def read_tree(data: bytes) -> dict[str, Entry]:
    must(data[:7] == b"ztree1\n", "it begins as a tree")
    (count,) = struct.unpack_from(">I", data, 7)
    entries: dict[str, Entry] = {}
    previous, place = b"", 11
    for _ in range(count):
        kind, length = struct.unpack_from(">BH", data, place)
        name = data[place + 3 : place + 3 + length]
        must(len(name) == length and name > previous, "names are whole and rise")
        previous = name
        entries[name.decode()], place = read_body(kind, data, place + 3 + length)
    must(place == len(data), "nothing follows the last entry")
    check_names(entries)
    return entries


def read_body(kind: int, data: bytes, place: int) -> tuple[Entry, int]:
    must(kind in (FILE, EXECUTABLE, FOLDER, LINK), "the kind is known")
    if kind == FOLDER:
        must(place + 32 <= len(data), "the oid is whole")
        return Entry(kind, data[place : place + 32].hex()), place + 32
    if kind == LINK:
        (length,) = struct.unpack_from(">H", data, place)
        target = data[place + 2 : place + 2 + length]
        must(len(target) == length, "the target is whole")
        return Entry(kind, "", length, target.decode()), place + 2 + length
    size, oid = struct.unpack_from(">Q32s", data, place)
    return Entry(kind, oid.hex(), size), place + 40


def check_names(names: Iterable[str]) -> None:
    names = list(names)
    for name in names:
        must(name not in ("", ".", ".."), "a name is not empty, . or ..")
        must(not {"/", "\0"}.intersection(name), "a name holds no slash and no NUL")
        must(len(name.encode()) <= 1020, "a name has at most 1020 bytes")
    folded = {fold(name) for name in names}
    must(len(folded) == len(names) and ".zoostore" not in folded, "names differ when folded")


def fold(name: str) -> str:
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", name).casefold())


def check_target(path: str, target: str) -> None:
    must(bool(target) and not {"\0", "\\"}.intersection(target), "a target is a path")
    must(not target.startswith("/") and target[1:2] != ":", "a target is relative")
    parts = [part for part in target.split("/") if part not in ("", ".")]
    ups = parts.count("..")
    must(parts[:ups] == [".."] * ups, "all .. stand first")
    must(ups <= path.count("/"), "a target stays inside")


def text(value: str, *, ascii_only: bool) -> str:
    """A text in canonical JSON."""
    return '"' + "".join(escaped(character, ascii_only) for character in value) + '"'


def escaped(character: str, ascii_only: bool) -> str:
    if character in SHORT_ESCAPES:
        return SHORT_ESCAPES[character]
    if character >= " " and (character <= "~" or not ascii_only):
        return character
    units = character.encode("utf-16-be")
    return "".join(f"\\u{units[i : i + 2].hex()}" for i in range(0, len(units), 2))


def canonical(value: Any, *, ascii_only: bool = False) -> str:
    """JSON in the only form that is taken."""
    if isinstance(value, str):
        return text(value, ascii_only=ascii_only)
    if isinstance(value, list):
        return f"[{','.join(canonical(item, ascii_only=ascii_only) for item in value)}]"
    if isinstance(value, dict):
        pairs = (
            f"{text(key, ascii_only=ascii_only)}:{canonical(value[key], ascii_only=ascii_only)}"
            for key in sorted(value)
        )
        return f"{{{','.join(pairs)}}}"
    if isinstance(value, bool) or value is None:
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)


def read_snapshot(data: bytes) -> dict[str, Any]:
    value = json.loads(data.decode())
    must(value.keys() == SNAPSHOT_KEYS, "it has the keys of a snapshot")
    for key in NUMBERS:
        must(type(value[key]) is int and 0 <= value[key] < 1 << 53, f"{key} is a number")
    must(all(isinstance(item, str) for item in value["metadata"].values()), "metadata is texts")
    for oid in (value["tree"], *value["parents"]):
        must(re.fullmatch("[0-9a-f]{64}", oid) is not None, "an oid has 64 hex digits")
    must(canonical(value).encode() == data, "it is in canonical form")
    return dict(value)


class Reflog(NamedTuple):
    """What the lines of a reflog come to, and how many were torn or damaged."""

    refs: dict[str, str]
    tags: dict[tuple[str, str], str]
    torn: int
    damaged: int


def read_reflog(data: bytes) -> Reflog:
    refs: dict[str, str] = {}
    tags: dict[tuple[str, str], str] = {}
    torn = damaged = 0
    for line in data.split(b"\n")[:-1]:
        change = read_line(line)
        if change is None:
            torn, damaged = torn + line.endswith(b" torn"), damaged + (not line.endswith(b" torn"))
            continue
        stub, tag, new = change["stub"], change["tag"], change["new"]
        if tag:
            tags[stub, tag] = new
        elif new is None:
            refs.pop(stub, None)
            tags = {key: oid for key, oid in tags.items() if key[0] != stub}
        else:
            refs[stub] = new
    return Reflog(refs, tags, torn, damaged)


def read_line(line: bytes) -> dict[str, Any] | None:
    begin = re.match(rb'\{"check":"([0-9a-f]{16})",', line)
    if begin is None or blake3(b"{" + line[28:]).digest()[:8].hex() != begin[1].decode():
        return None
    value: dict[str, Any] = json.loads(line)
    must(canonical(value, ascii_only=True).encode() == line, "a line is in canonical form")
    return value


@dataclass
class Objects:
    """The objects of a store or a zoo: a folder with `objects` and some packs."""

    folder: Path
    packs: Iterable[Path]

    def __post_init__(self) -> None:
        self.packed: dict[str, Stored] = {}
        for path in self.packs:
            data = path.read_bytes()
            must(blake3(data).hexdigest() + ".zpack" == path.name, "a pack has its name")
            self.packed |= read_pack(data)

    def read(self, kind: int, oid: str) -> bytes:
        loose = self.folder / "objects" / oid[:2] / oid[2:]
        if kind == BLOB and loose.exists():
            data = loose.read_bytes()
            must(oid_of(kind, data) == oid, "a loose object has its oid")
            return data
        found = self.packed[oid]
        must(found.kind == kind, "the object is of this kind")
        return found.payload

    def model(self, snapshot: str) -> dict[str, tuple[int, bytes]]:
        """The kind and the content of everything in a snapshot, by path."""
        value = read_snapshot(self.read(SNAPSHOT, snapshot))
        found = dict(self._walk("", value["tree"]))
        contents = [content for kind, content in found.values() if kind != FOLDER]
        must(value["files"] == len(contents), "files is right")
        must(value["size"] == sum(map(len, contents)), "size is right")
        return found

    def _walk(self, prefix: str, tree: str) -> Iterator[tuple[str, tuple[int, bytes]]]:
        for name, entry in read_tree(self.read(TREE, tree)).items():
            path = prefix + name
            if entry.kind == FOLDER:
                yield path, (FOLDER, b"")
                yield from self._walk(path + "/", entry.oid)
            elif entry.kind == LINK:
                check_target(path, entry.target)
                yield path, (LINK, entry.target.encode())
            else:
                content = self.read(BLOB, entry.oid)
                must(len(content) == entry.size, "a file has its size")
                yield path, (entry.kind, content)


def open_store(folder: Path) -> tuple[Objects, Reflog]:
    must((folder / "format").read_bytes() == b"zoostore 1\n", "the store is of format 1")
    packs = sorted((folder / "packs").glob("*.zpack"))
    return Objects(folder, packs), read_reflog((folder / "reflog").read_bytes())


def open_zoo(folder: Path) -> dict[str, tuple[dict[str, Any], Objects]]:
    """The models of a zoo: the line of each, and the objects that it needs."""
    manifest = json.loads((folder / "zoo.json").read_bytes())
    must(manifest["format"] == 1, "the zoo is of format 1")
    promised = manifest["catalog"]
    data = (folder / "catalog" / f"{promised['oid']}.jsonl").read_bytes()
    must(len(data) == promised["size"] and oid_of(BLOB, data) == promised["oid"], "the catalog")
    lines = [json.loads(line) for line in data.split(b"\n")[:-1]]
    return {
        line["stub"]: (line, Objects(folder, list(named_packs(folder, line)))) for line in lines
    }


def named_packs(folder: Path, line: Mapping[str, Any]) -> Iterator[Path]:
    for name, size in line["packs"].items():
        path = folder / "packs" / f"{name}.zpack"
        must(path.stat().st_size == size, "a pack has the size that the catalog says")
        yield path


class CheckedOut(NamedTuple):
    """A path of a checkout, as it was laid out."""

    entry: Entry
    is_laid_out: bool
    mtime_ns: int
    inode: int
    ctime_ns: int


def read_checkout(folder: Path) -> tuple[dict[str, Any], dict[str, CheckedOut]]:
    state = json.loads((folder / ".zoostore" / "checkout.json").read_bytes())
    must(state["format"] == 1, "the checkout is of format 1")
    data = (folder / ".zoostore" / "entries").read_bytes()
    must(data[:10] == b"zentries2\n", "it begins as entries")
    must(blake3(data[:-32]).digest() == data[-32:], "the checksum is right")
    table, count = struct.unpack(">QI", data[-76:-64])
    must(data[-64:-32].hex() == state["snapshot"], "it is of the snapshot")
    paths = data[table + 21 * count : -76].decode().split("\0")
    folders = struct.iter_unpack(">QIIIB", data[table : table + 21 * count])
    found: dict[str, CheckedOut] = {}
    for path, (offset, rows, names, targets, laid_out) in zip(paths, folders, strict=True):
        if rows == 0:
            empty = Entry(FOLDER, oid_of(TREE, b"ztree1\n\0\0\0\0"), 0, "")
            found[path] = CheckedOut(empty, bool(laid_out), 0, 0, 0)
            continue
        part = data[offset : offset + 66 * rows + names + targets]
        prefix = f"{path}/" if path else ""
        found |= read_folder(prefix, rows, names, part)
    return state, found


def read_folder(prefix: str, rows: int, names: int, data: bytes) -> dict[str, CheckedOut]:
    records = CHECKED_OUT.iter_unpack(data[: 66 * rows])
    texts = data[66 * rows : 66 * rows + names].decode().split("\0")
    targets = iter(data[66 * rows + names :].decode().split("\0"))
    must(texts == sorted(texts) and len(texts) == rows, "the names are in order")
    found = {}
    for name, (kind, laid_out, size, mtime, inode, ctime, oid) in zip(texts, records, strict=True):
        entry = Entry(kind, oid.hex(), size, next(targets) if kind == LINK else "")
        found[prefix + name] = CheckedOut(entry, bool(laid_out), mtime, inode, ctime)
    return found


# What it is tried on

MODEL = "zoo:cv/classification/mlp-1/numpy/none/none/base-none"
STUBS = {"model": MODEL, "hub": "hf:org/other", "gone": "zoo:gone"}
MESSAGE = 'Zwei\n\t"\\\b\f\r\x01\x1f\x7f\u2028é\U0001f642/'

CONTENTS: dict[str, dict[str, tuple[int, bytes]]] = {
    "first": {
        "big.bin": (FILE, bytes(range(256)) * 300),
        "empty.txt": (FILE, b""),
        "größe.txt": (FILE, "größer\n".encode()),
        "hollow": (FOLDER, b""),
        "run": (EXECUTABLE, b"#!/bin/sh\n"),
        "sub": (FOLDER, b""),
        "sub/deep": (FOLDER, b""),
        "sub/deep/same.bin": (FILE, bytes(range(256)) * 300),
        "sub/deep/up": (LINK, b"../../run"),
        "sub/small.bin": (FILE, bytes(range(256))),
    },
    "second": {
        "big.bin": (FILE, bytes(reversed(range(256))) * 300),
        "run": (FILE, b"#!/bin/sh\n"),
    },
    "tiny": {
        "empty": (FOLDER, b""),
        "hello.txt": (FILE, b"hello\n"),
        "latest": (LINK, b"hello.txt"),
        "run.sh": (EXECUTABLE, b"#!/bin/sh\n"),
    },
}

MAKE = """
import json, sys
from pathlib import Path
from zoostore import Store

root, stubs, message = Path(sys.argv[1]), json.loads(sys.argv[2]), json.loads(sys.argv[3])
store = Store(root / "store", offline=True)
store.add(root / "first", stubs["model"], message="One", time=1)
store.tag(stubs["model"], "one")
store.add(root / "second", stubs["model"], message=message, metadata={message: message}, time=2)
store.add(root / "first", stubs["hub"], time=3)
store.add(root / "second", stubs["gone"], time=4)
store.tag(stubs["gone"], "lost")
store.remove(stubs["gone"])
store.publish([stubs["model"], stubs["hub"]], root / "zoo", name="A zoo")
store.checkout(stubs["model"] + "@one", root / "checkout", exclude=["*.txt"])
example = Store(root / "example", offline=True)
message = "Gr\\u00f6\\u00dfe:\\t\\"4\\""
example.add(root / "tiny", "zoo:tiny", message=message, metadata={"run": "1"}, time=1793491200)
example.publish(["zoo:tiny"], root / "example-zoo", name="Tiny zoo")
"""


def run_zoostore(program: str, *arguments: str) -> None:
    environment = {name: value for name, value in os.environ.items() if "ZOOSTORE" not in name}
    command = [sys.executable, "-c", program, *arguments]
    subprocess.run(command, check=True, cwd=ROOT, env=environment, timeout=60)


def write_directory(root: Path, contents: Mapping[str, tuple[int, bytes]]) -> None:
    root.mkdir()
    for path, (kind, content) in contents.items():
        if kind == FOLDER:
            (root / path).mkdir()
        elif kind == LINK:
            (root / path).symlink_to(content.decode())
        else:
            (root / path).write_bytes(content)
            (root / path).chmod(0o755 if kind == EXECUTABLE else 0o644)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with everything that zoostore writes."""
    root = tmp_path_factory.mktemp("made")
    for name, contents in CONTENTS.items():
        write_directory(root / name, contents)
    run_zoostore(MAKE, str(root), json.dumps(STUBS), json.dumps(MESSAGE))
    return root


def test_the_refs_and_tags_of_a_store_are_read(made: Path) -> None:
    objects, reflog = open_store(made / "store")

    assert reflog.refs.keys() == {MODEL, STUBS["hub"]}
    assert reflog.tags.keys() == {(MODEL, "one")}
    assert (reflog.torn, reflog.damaged) == (0, 0)
    newest = read_snapshot(objects.read(SNAPSHOT, reflog.refs[MODEL]))
    assert newest["parents"] == [reflog.tags[MODEL, "one"]]
    assert (newest["message"], newest["metadata"]) == (MESSAGE, {MESSAGE: MESSAGE})


def test_the_files_of_a_store_are_read_byte_for_byte(made: Path) -> None:
    objects, reflog = open_store(made / "store")

    assert objects.model(reflog.refs[MODEL]) == CONTENTS["second"]
    assert objects.model(reflog.tags[MODEL, "one"]) == CONTENTS["first"]
    assert objects.model(reflog.refs[STUBS["hub"]]) == CONTENTS["first"]


def test_large_blobs_are_loose_and_the_rest_is_in_packs(made: Path) -> None:
    objects, _ = open_store(made / "store")
    loose = [path for path in (made / "store" / "objects").rglob("*") if path.is_file()]

    assert sorted(path.parent.name + path.name for path in loose) == sorted(
        oid_of(BLOB, CONTENTS[name]["big.bin"][1]) for name in ("first", "second")
    )
    assert all(path.stat().st_mode & 0o777 == 0o444 for path in [*loose, *objects.packs])


def test_the_files_of_a_zoo_are_read_byte_for_byte(made: Path) -> None:
    zoo = open_zoo(made / "zoo")
    line, objects = zoo[MODEL]

    assert list(zoo) == [STUBS["hub"], MODEL]
    assert objects.model(line["snapshot"]) == CONTENTS["second"]
    assert objects.model(line["tags"]["one"]) == CONTENTS["first"]
    assert (line["files"], line["facets"]["architecture"]) == (2, "mlp")
    assert zoo[STUBS["hub"]][0]["facets"] == {}


def test_what_a_checkout_knows_is_read(made: Path) -> None:
    objects, reflog = open_store(made / "store")
    state, found = read_checkout(made / "checkout")

    assert (state["stub"], state["snapshot"]) == (MODEL, reflog.tags[MODEL, "one"])
    listed = objects.model(state["snapshot"]).items()
    paths = [path for path, (kind, _) in listed if kind != FOLDER or path == "hollow"]
    assert sorted(found) == sorted(paths)
    for path, known in found.items():
        assert known.is_laid_out is not path.endswith(".txt")
        if known.is_laid_out and known.entry.kind != FOLDER:
            status = os.lstat(made / "checkout" / path)
            assert (known.mtime_ns, known.inode) == (status.st_mtime_ns, status.st_ino)
            assert known.ctime_ns in (0, status.st_ctime_ns)
    target = found["sub/deep/up"].entry
    assert (target.target, target.oid) == ("../../run", oid_of(BLOB, b"../../run"))


def test_lines_that_a_crash_or_damage_left_in_a_reflog_are_passed_over(
    made: Path, tmp_path: Path
) -> None:
    lines = (made / "store" / "reflog").read_bytes()
    damaged = lines.replace(b'"op":"tag"', b'"op":"rm"', 1)
    torn = lines[: lines.rindex(b'"new"')]
    write_directory(tmp_path / "directory", CONTENTS["second"])
    (tmp_path / "reflog").write_bytes(torn)

    assert read_reflog(damaged).damaged == 1
    assert read_reflog(torn).torn == 0
    add_to = (
        "import sys; from zoostore import Store; Store(sys.argv[1]).add(sys.argv[2], 'zoo:new')"
    )
    run_zoostore(
        add_to, str(make_store_with(torn, tmp_path / "store")), str(tmp_path / "directory")
    )
    after = read_reflog((tmp_path / "store" / "reflog").read_bytes())
    assert (after.torn, after.damaged) == (1, 0)
    assert "zoo:new" in after.refs


def make_store_with(reflog: bytes, folder: Path) -> Path:
    for path in (folder, folder / "packs", folder / "objects", folder / "tmp"):
        path.mkdir()
    (folder / "format").write_bytes(b"zoostore 1\n")
    (folder / "reflog").write_bytes(reflog)
    return folder


def test_a_pack_whose_end_is_lost_is_read_from_its_beginning(made: Path) -> None:
    (path,) = (made / "example" / "packs").iterdir()
    data = path.read_bytes()

    assert dict(read_records(data[:-300])) == read_pack(data)
    with pytest.raises(Refused):
        read_pack(data[:-1])


# The page's worked example

_EXAMPLE = re.compile(r"<!-- example: (.+?) -->\n```\w+\n(.*?\n)```", re.DOTALL)


@pytest.fixture(scope="module")
def page() -> dict[str, bytes]:
    """The examples of the page, by name, as the bytes that they stand for."""
    found: dict[str, bytes] = {}
    for name, body in _EXAMPLE.findall((ROOT / "docs" / "format.md").read_text("utf-8")):
        if "#" in body:
            found[name] = b"".join(line_of_hex(line, found) for line in body.splitlines())
        else:
            found[name] = body.encode()
    return found


def line_of_hex(line: str, known: Mapping[str, bytes]) -> bytes:
    above = re.fullmatch(r"\(the (\d+) bytes of (.+), as above\)", line)
    if above is None:
        return bytes.fromhex(line.partition("#")[0])
    assert len(known[above[2]]) == int(above[1])
    return known[above[2]]


def test_the_examples_are_what_zoostore_writes(page: dict[str, bytes], made: Path) -> None:
    store, zoo = made / "example", made / "example-zoo"
    (pack,) = (store / "packs").iterdir()
    (published,) = (zoo / "packs").iterdir()
    (catalog,) = (zoo / "catalog").iterdir()

    assert pack.read_bytes() == published.read_bytes() == page["the pack"]
    assert (store / "reflog").read_bytes() == page["the reflog line"]
    assert catalog.read_bytes() == page["the catalog"]
    assert (zoo / "zoo.json").read_bytes() == page["zoo.json"]
    assert pack.name == published.name


def test_the_page_says_the_sizes_and_the_names_of_its_examples(page: dict[str, bytes]) -> None:
    text = (ROOT / "docs" / "format.md").read_text("utf-8")
    tree, snapshot, pack = page["the root tree"], page["the snapshot"], page["the pack"]

    for kind, data in ((TREE, tree), (SNAPSHOT, snapshot)):
        assert f"has {len(data)} bytes and the oid `{oid_of(kind, data)}`" in text
    assert f"has {len(pack)} bytes and the name `{oid_of(BLOB, pack)}`" in text
    assert f"catalog/{oid_of(BLOB, page['the catalog'])}.jsonl" in text
    assert all(context in text for context in CONTEXTS.values())
    assert oid_of(TREE, b"ztree1\n\0\0\0\0") in text


def test_the_examples_are_read(page: dict[str, bytes]) -> None:
    packed = read_pack(page["the pack"])
    snapshot = read_snapshot(page["the snapshot"])
    reflog = read_reflog(page["the reflog line"])

    assert packed[reflog.refs["zoo:tiny"]] == Stored(SNAPSHOT, page["the snapshot"])
    assert packed[snapshot["tree"]] == Stored(TREE, page["the root tree"])
    assert list(read_tree(page["the root tree"])) == list(CONTENTS["tiny"])


@pytest.mark.parametrize(
    "change",
    [
        (b'"files":3', b'"files":03'),
        (b'"files":3', b'"files": 3'),
        (b'"files":3', b'"files":3,"files":3'),
        (b'"files":3', b'"files":3.0'),
        (b"\\t", b"\\u0009"),
        ("ß".encode(), b"\\u00df"),
        (b'"source":"","stub"', b'"stub"'),
    ],
)
def test_a_snapshot_that_is_not_canonical_is_refused(
    change: tuple[bytes, bytes], page: dict[str, bytes]
) -> None:
    data = page["the snapshot"].replace(*change, 1)

    assert data != page["the snapshot"]
    with pytest.raises((Refused, ValueError)):
        read_snapshot(data)
