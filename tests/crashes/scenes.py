"""What the commands of the sweeps find: a store with a history, checkouts, and a published zoo.

A scene is a folder that is swept: `store`, `work` (a checkout of the newest snapshot, with edits),
`old` (a checkout of an earlier one), `incoming` and `next` (directories to add). What is only
read is elsewhere: a published zoo, as a folder and behind a web server.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from zoostore import Store
from zoostore.store.index_stamp import record_stamp

SETTINGS = 'large_object = 16\nlink = "hardlink"\n'
BIG = bytes(range(256))


class Scene(NamedTuple):
    """A scene, and what there is outside of it.

    Attributes:
        root: the folder that is swept.
        zoo: a published zoo, as a folder.
        web: its address at a web server.
    """

    root: Path
    zoo: Path
    web: str

    @property
    def store(self) -> Store:
        return Store(self.root / "store", offline=True)

    @property
    def checkouts(self) -> list[Path]:
        """The directories that may be checkouts."""
        return [self.root / name for name in ("work", "old", "new")]

    def connected(self, address: str) -> Store:
        """The store, with a zoo as the one that is asked first."""
        os.environ["ZOOSTORE_REMOTE"] = address
        return Store(self.root / "store")


def lay_out(root: Path, files: Mapping[str, bytes]) -> Path:
    for name, content in files.items():
        path = root / name.rstrip("*")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)  # it may be a link to an object
        path.write_bytes(content)
        path.chmod(0o755 if name.endswith("*") else 0o644)
    return root


def publish_zoo(folder: Path) -> Path:
    """A zoo of one model with large and small files, and a tag; its folder."""
    publisher = _new_store(folder / "publisher")
    files = {"far.bin": BIG[::-1], "second.bin": b"weights " * 20, "near.txt": b"near"}
    publisher.add(lay_out(folder / "far", files), "zoo:far", time=1)
    publisher.tag("zoo:far", "v1")
    publisher.publish(["zoo:far"], folder / "zoo")
    return folder / "zoo"


def prepare(scene: Scene) -> None:
    """Make a scene."""
    root, store = scene.root, _new_store(scene.root / "store")
    first = {"text": b"first", "big.bin": BIG, "sub/run*": b"#!", "changed": b"old" * 20}
    store.add(lay_out(root / "one", first), "zoo:one", message="first", time=1)
    store.tag("zoo:one", "v1")
    store.checkout("zoo:one", root / "old")
    lay_out(root / "one", {"changed": b"new" * 20, "text": b"second", "more": b"m" * 30})
    (root / "one" / "sub/run").unlink()
    store.add(root / "one", "zoo:one", message="second", time=2)
    store.add(lay_out(root / "two", {"big.bin": BIG, "own": b"own" * 9}), "zoo:two", time=2)
    store.add(lay_out(root / "gone", {"gone.bin": b"gone" * 9, "g": b"g"}), "zoo:gone", time=2)
    store.remove("zoo:gone")
    for name in ("one", "two", "gone"):
        shutil.rmtree(root / name)
    work = store.checkout("zoo:one", root / "work").directory
    lay_out(work, {"text": b"edited", "big.bin": b"another" * 9, "sub/fresh": b"fresh"})
    (work / "more").unlink()
    lay_out(
        root / "incoming",
        {"big.bin": BIG, "fine.bin": b"tuned" * 9, "note": b"note", "deep/er/run*": b"#!/bin/sh"},
    )
    (root / "incoming" / "link").symlink_to("note")
    lay_out(root / "next", {"next": b"next", "next.bin": b"next" * 9})


def damage_pulled(scene: Scene) -> None:
    """Pull the model of the zoo, and damage a loose object of it, and the pack with the others."""
    scene.connected(str(scene.zoo)).pull("zoo:far")
    damaged = [path for path in _files(scene.root / "store") if _is_of_pulled(path.read_bytes())]
    assert {path.parent.name for path in damaged} > {"packs"}
    for path in damaged:
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.unlink()
        path.write_bytes(data)


def _is_of_pulled(data: bytes) -> bool:
    return data == BIG[::-1] or (data.startswith(b"zpack1") and b"near" in data)


def _new_store(path: Path) -> Store:
    path.mkdir(parents=True)
    (path / "config.toml").write_text(SETTINGS)
    return Store(path, offline=True)


def copy_scene(pristine: Path, to: Path) -> None:
    """Put a scene where it was prepared, as if nothing had happened there.

    Objects and packs, which nothing may write to, are hard links: so their stamps are as they
    were. The index is a copy, and its stamp is noted anew.
    """
    shutil.rmtree(to, ignore_errors=True)
    objects = _inodes(pristine / "store" / "objects") | _inodes(pristine / "store" / "packs")
    for folder, names, files in os.walk(pristine):
        target = to / os.path.relpath(folder, pristine)
        target.mkdir(exist_ok=True)
        for name in [*names, *files]:
            path = os.path.join(folder, name)
            if os.path.islink(path):
                os.symlink(os.readlink(path), target / name)
            elif name in files and os.stat(path).st_ino in objects:
                os.link(path, target / name)
            elif name in files:
                shutil.copy2(path, target / name)
    if (to / "store" / "index").exists():
        record_stamp(to / "store" / "index")


def _inodes(folder: Path) -> set[int]:
    return {os.stat(path).st_ino for path in _files(folder)}


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())
