"""Makes the zoos in `zoos/`: `python -m tests.hostile.make_zoos`.

What each is, and what must become of a pull from it, is said in `zoos.txt`, a line for each.
"""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from tests.hostile.raw_zoo import (
    DIRECTORY,
    FILE,
    LINK,
    STUB,
    RawEntry,
    Zoo,
    blob,
    file_named,
    folder,
    link,
    tree,
    write_catalog,
)
from zoostore.digest import Oid, hash_bytes
from zoostore.objects.snapshot import Snapshot, encode_snapshot, snapshot_oid
from zoostore.objects.tree import tree_oid
from zoostore.sources.catalog import Listed, encode_catalog, pack_path
from zoostore.store.packs import END, FOOTER, MAGIC, RECORD, ROW

FOLDER = Path(__file__).parent / "zoos"
BLOB, TREE, SNAPSHOT = 1, 2, 3
EVIL = hash_bytes(b"evil")
GOOD_TREE = file_named(b"good")


def unfolding(depth: int, names: Iterable[bytes]) -> tuple[bytes, ...]:
    """Trees that each hold the next one under several names; the root is the first."""
    trees = [GOOD_TREE]
    for _ in range(depth):
        below = folder(trees[0])
        trees.insert(0, tree(*((DIRECTORY, name, below) for name in sorted(names))))
    return tuple(trees)


class Pack:
    """A pack whose records and rows say what they like."""

    def __init__(self) -> None:
        self.data = bytearray(MAGIC)
        self.rows: list[list[Any]] = []

    def add(self, oid: bytes, kind: int, content: bytes) -> Pack:
        self.data += RECORD.pack(b"R", kind, 0, len(content), len(content), oid)
        self.rows.append([oid, kind, 0, len(self.data), len(content), len(content)])
        self.data += content
        return self

    def finish(self, *, count: int | None = None, is_sorted: bool = True) -> bytes:
        rows = sorted(self.rows) if is_sorted else self.rows
        table = b"".join(ROW.pack(*row) for row in rows)
        numbers = (len(self.data), len(rows) if count is None else count)
        return bytes(self.data) + table + FOOTER.pack(*numbers, hash_bytes(table), END)


def usual(
    root: bytes = GOOD_TREE, oid: bytes | None = None, files: int = 1, size: int = 4
) -> tuple[Pack, Oid]:
    """A pack of a model with one file, and the oid of its snapshot."""
    root_oid = Oid(oid or tree_oid(root))
    data = encode_snapshot(Snapshot(root_oid, files, size, STUB))
    pack = Pack().add(snapshot_oid(data), SNAPSHOT, data).add(root_oid, TREE, root)
    return pack.add(EVIL, BLOB, b"evil"), snapshot_oid(data)


def publish(root: Path, pack: bytes, snapshot: Oid, size: int | None = None) -> None:
    name = hash_bytes(pack)
    (root / "packs").mkdir(parents=True)
    (root / pack_path(name)).write_bytes(pack)
    promised = len(pack) if size is None else size
    write_catalog(root, encode_catalog([Listed(STUB, snapshot, 1, 4, packs={name: promised})]))


def zoo(*trees: bytes, files: int = 1, size: int = 4) -> Callable[[Path], None]:
    return Zoo(trees, files, size).write


def with_row(**changed: int) -> Callable[[Path], None]:
    """A pack with a row, that of the blob, which says something else."""

    def make(root: Path) -> None:
        pack, snapshot = usual()
        names = ("oid", "kind", "encoding", "offset", "stored", "size")
        for key, value in changed.items():
            pack.rows[-1][names.index(key)] = value
        publish(root, pack.finish(), snapshot)

    return make


def in_itself(root: Path) -> None:
    """A tree that is said to have the oid that stands in it."""
    claimed = bytes(range(32))
    publish(root, *_finished(usual(tree((DIRECTORY, b"again", claimed)), claimed)))


def in_each_other(root: Path) -> None:
    first, second = bytes(range(32)), bytes(range(1, 33))
    pack, snapshot = usual(tree((DIRECTORY, b"b", second)), first)
    pack.add(second, TREE, tree((DIRECTORY, b"a", first)))
    publish(root, pack.finish(), snapshot)


def _finished(made: tuple[Pack, Oid]) -> tuple[bytes, Oid]:
    return made[0].finish(), made[1]


def overlapping(root: Path) -> None:
    """A hundred files that share bytes: 5 kB that would become 100 times 4 kB."""
    content = bytes(range(256)) * 16 + bytes(100)
    parts = {hash_bytes(part): part for part in (content[at : at + 4000] for at in range(100))}
    entries: list[RawEntry] = [
        (FILE, b"%03d" % number, blob(part)) for number, part in enumerate(parts.values())
    ]
    pack, snapshot = usual(tree(*entries), files=len(parts), size=4000 * len(parts))
    pack.add(hash_bytes(content), BLOB, content)
    start = pack.rows.pop()[3]
    for at in range(100):
        part = content[at : at + 4000]
        if hash_bytes(part) in parts:
            del parts[hash_bytes(part)]
            pack.rows.append([hash_bytes(part), BLOB, 0, start + at, 4000, 4000])
    publish(root, pack.finish(), snapshot)


def twice(root: Path) -> None:
    pack, snapshot = usual()
    pack.rows.append(pack.rows[-1])
    publish(root, pack.finish(), snapshot)


def out_of_order(root: Path) -> None:
    pack, snapshot = usual()
    pack.rows.sort(reverse=True)
    publish(root, pack.finish(is_sorted=False), snapshot)


def counting(count: int) -> Callable[[Path], None]:
    def make(root: Path) -> None:
        pack, snapshot = usual()
        publish(root, pack.finish(count=count), snapshot)

    return make


def as_blob(root: Path) -> None:
    pack, snapshot = usual()
    pack.rows[1][1] = BLOB
    publish(root, pack.finish(), snapshot)


def snapshot_of(change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    """A model whose snapshot's bytes were changed, and have the oid that they then have."""

    def make(root: Path) -> None:
        data = change(encode_snapshot(Snapshot(tree_oid(GOOD_TREE), 1, 4, STUB)))
        pack = Pack().add(snapshot_oid(data), SNAPSHOT, data)
        pack.add(tree_oid(GOOD_TREE), TREE, GOOD_TREE).add(EVIL, BLOB, b"evil")
        publish(root, pack.finish(), snapshot_oid(data))

    return make


def catalog_of(change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    """A zoo whose catalog was changed, and has the oid that it then has."""

    def make(root: Path) -> None:
        zoo(GOOD_TREE)(root)
        (path,) = (root / "catalog").iterdir()
        data = path.read_bytes()
        path.unlink()
        write_catalog(root, change(data))

    return make


def manifest_of(change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def make(root: Path) -> None:
        zoo(GOOD_TREE)(root)
        data = (root / "zoo.json").read_bytes()
        (root / "zoo.json").write_bytes(change(data))

    return make


def value(key: str, text: str) -> Callable[[bytes], bytes]:
    """Replaces what stands at a key of a JSON object by any text."""

    def change(data: bytes) -> bytes:
        found = json.loads(data)
        was = json.dumps(found[key], separators=(",", ":"))
        return data.replace(f'"{key}":{was}'.encode(), f'"{key}":{text}'.encode())

    return change


def twice_in(key: str, text: str) -> Callable[[bytes], bytes]:
    """Puts a key in front of a JSON object that has it already."""
    return lambda data: data.replace(b"{", f'{{"{key}":{text},'.encode(), 1)


def lying(name: bytes) -> Callable[[Path], None]:
    """A pack under another name than its hash, which nobody need believe."""

    def make(root: Path) -> None:
        zoo(GOOD_TREE)(root)
        (pack,) = (root / "packs").iterdir()
        listed, size = Oid(name), pack.stat().st_size
        pack.rename(root / pack_path(listed))
        (catalog,) = (root / "catalog").iterdir()
        data = catalog.read_bytes()
        catalog.unlink()
        was = json.loads(data)["packs"]
        write_catalog(
            root,
            data.replace(
                json.dumps(was, separators=(",", ":")).encode(),
                json.dumps({str(listed): size}, separators=(",", ":")).encode(),
            ),
        )

    return make


LONG = [b"%03d" % number + b"n" * 997 for number in range(24)]
WINDOWS = tree(*((FILE, name, blob()) for name in (b"CON", b"a:b", b"aux.txt", b"dot.", b"end ")))
LOOP = tree((LINK, b"a", link(b"b")), (LINK, b"b", link(b"a")), (LINK, b"c", link(b"c")))
CHAIN = tree(
    *((LINK, b"%03d" % at, link(b"%03d" % (at + 1))) for at in range(100)),
    (FILE, b"100", blob()),
)
THROUGH = tree(
    (LINK, b"here", link(b".")), (FILE, b"me", blob()), (LINK, b"self", link(b"here/here/me"))
)
ZOOS: dict[str, Callable[[Path], None]] = {
    # Trees
    "forty-doublings": zoo(*unfolding(40, [b"a", b"b"])),
    "long-paths": zoo(*unfolding(4, LONG), files=24**4, size=4 * 24**4),
    "tree-in-itself": in_itself,
    "trees-in-each-other": in_each_other,
    "tree-as-a-blob": as_blob,
    "names-of-windows": zoo(WINDOWS, files=5, size=20),
    "name-of-1020": zoo(file_named(b"n" * 1020)),
    "links-in-a-loop": zoo(LOOP, files=3, size=3),
    "links-in-a-row": zoo(CHAIN, files=101, size=304),
    "link-to-its-folder": zoo(THROUGH, files=3, size=17),
    # Snapshots
    "snapshot-with-a-space": snapshot_of(lambda data: data.replace(b":", b": ", 1)),
    "snapshot-with-a-key-twice": snapshot_of(twice_in("files", "1")),
    "snapshot-of-400-digits": snapshot_of(value("size", "1" + "0" * 400)),
    "snapshot-of-1e308": snapshot_of(value("size", "1e308")),
    "snapshot-of-nan": snapshot_of(value("time", "NaN")),
    "snapshot-before-1970": snapshot_of(value("time", "-1")),
    "snapshot-with-an-escape": snapshot_of(value("message", '"\\u0041"')),
    # Packs
    "rows-that-overlap": overlapping,
    "row-beyond-2-to-63": with_row(offset=(1 << 64) - 1),
    "row-behind-the-end": with_row(stored=1 << 40, size=1 << 40),
    "row-of-two-sizes": with_row(size=5),
    "row-at-another-place": with_row(offset=9),
    "row-of-kind-9": with_row(kind=9),
    "row-of-encoding-9": with_row(encoding=9),
    "rows-twice": twice,
    "rows-out-of-order": out_of_order,
    "rows-of-2-to-60": counting(1 << 60),
    "rows-too-few": counting(1),
    "pack-of-another-name": lying(bytes(32)),
    # Pages
    "catalog-with-a-model-twice": catalog_of(lambda data: data * 2),
    "catalog-of-nan": catalog_of(value("size", "NaN")),
    "catalog-of-1e308": catalog_of(value("size", "1e308")),
    "catalog-of-400-digits": catalog_of(value("files", "1" + "0" * 400)),
    "catalog-of-9000-digits": catalog_of(value("files", "1" + "0" * 9000)),
    "catalog-with-a-surrogate": catalog_of(value("stub", '"zoo:\\ud800"')),
    "manifest-of-format-nan": manifest_of(value("format", "NaN")),
    "manifest-of-format-true": manifest_of(value("format", "true")),
    "manifest-of-format-0": manifest_of(value("format", "0")),
    "manifest-with-escapes": manifest_of(value("name", '"\\u001b[2J\\ud800"')),
    "manifest-too-long": manifest_of(lambda data: data + b" " * (1 << 16)),
}


def packed(files: list[tuple[str, bytes]]) -> bytes:
    """A zoo's files as one, so that few are kept: a line of JSON, then the contents."""
    head = json.dumps([[name, len(content)] for name, content in files]).encode()
    return struct.pack(">I", len(head)) + head + b"".join(content for _, content in files)


def lay_out(name: str, root: Path) -> Path:
    """A zoo as it was kept."""
    data = (FOLDER / name).read_bytes()
    (length,) = struct.unpack_from(">I", data)
    at = 4 + length
    for path, size in json.loads(data[4:at]):
        place = root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data[at : at + size])
        at += size
    return root


def main() -> None:
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    for name, make in ZOOS.items():
        root = FOLDER / f"{name}.making"
        make(root)
        files = sorted(path for path in root.rglob("*") if path.is_file())
        kept = [(path.relative_to(root).as_posix(), path.read_bytes()) for path in files]
        (FOLDER / name).write_bytes(packed(kept))
        shutil.rmtree(root)


if __name__ == "__main__":
    main()
