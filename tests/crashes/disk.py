"""A model of a disk behind a page cache: what is on it if the power goes.

It is fed with the calls that the shim wrote down. Until a file is flushed, what was written to
it is only in memory; until a directory is flushed, so are the names that came and went in it.
What a power cut leaves is no single state, so several are played through: see `Cut`.
"""

from __future__ import annotations

import os
import random
import stat
import time
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import NamedTuple, TypeAlias

_LONG_AGO = time.time() - 3600


class Call(NamedTuple):
    """A call that changed something, as the shim wrote it down.

    `one` and `two` are what its kind says: an inode, a size, an offset, permissions.
    """

    position: int
    kind: str
    one: int
    two: int
    path: str
    other: str
    data: bytes


def read_log(log: bytes) -> list[Call]:
    """The calls in the shim's log."""
    calls = []
    at = 0
    while at < len(log):
        end = log.index(b"\n", at)
        position, kind, one, two, *lengths = log[at:end].split()
        at = end + 1
        texts = []
        for length in map(int, lengths):
            texts.append(log[at : at + length])
            at += length
        path, other = os.fsdecode(texts[0]), os.fsdecode(texts[1])
        call = Call(int(position), kind.decode(), int(one), int(two), path, other, texts[2])
        calls.append(call)
    return calls


class Cut(Enum):
    """What of that which was not flushed is on the disk when the power is back."""

    NOTHING = "nothing"
    NAMES = "names, and files that end where they were last flushed"
    ZEROS = "names and sizes, and zeros where nothing was flushed"
    INDEX = "the index, and nothing else"
    SOME = "some names, and some writes, by chance"


class File:
    """A file, in memory and on the disk; `origin` is where its first content still stands."""

    def __init__(self, mode: int, content: bytes = b"", origin: Path | None = None) -> None:
        self.mode = mode
        self.content = bytearray(content)
        self.durable = bytes(content)
        self.origin = origin
        self.unflushed: list[tuple[int, bytes]] = []

    def write(self, offset: int, data: bytes) -> None:
        self.resize(max(len(self.content), offset))
        self.content[offset : offset + len(data)] = data
        self.unflushed.append((offset, data))

    def resize(self, size: int) -> None:
        del self.content[size:]
        self.content.extend(bytes(size - len(self.content)))

    def flush(self) -> None:
        if self.durable != self.content:
            self.durable = bytes(self.content)
        self.unflushed = []

    def after(self, cut: Cut, chance: random.Random) -> bytes:
        """What it holds when the power is back."""
        size = len(self.content)
        if cut is Cut.ZEROS:
            return self.durable[:size] + bytes(size - len(self.durable[:size]))
        if cut is Cut.SOME:
            some = File(self.mode, self.durable)
            for offset, data in self.unflushed:
                if chance.random() < 0.5:
                    some.write(offset, data)
            return bytes(some.content)
        return self.durable


class Link(NamedTuple):
    target: str


class Folder:
    """A directory: its names in memory, those on the disk, and how the first become the second."""

    def __init__(self, mode: int) -> None:
        self.mode = mode
        self.names: dict[str, Node] = {}
        self.durable: dict[str, Node] = {}
        self.unflushed: list[tuple[int, str, Node | None]] = []

    def put(self, moment: int, name: str, node: Node | None) -> None:
        """Give a name to a node, or with None take it away."""
        if node is None:
            del self.names[name]
        else:
            self.names[name] = node
        self.unflushed.append((moment, name, node))

    def flush(self) -> None:
        self.durable = dict(self.names)
        self.unflushed = []

    def after(self, cut: Cut, moment: int) -> dict[str, Node]:
        """The names when the power is back; those from before a moment survive a chance cut."""
        if cut in (Cut.NAMES, Cut.ZEROS):
            return self.names
        if cut is not Cut.SOME:
            return self.durable
        names = dict(self.durable)
        for when, name, node in self.unflushed:
            if when < moment:
                names.pop(name, None)
                if node is not None:
                    names[name] = node
        return names


Node: TypeAlias = File | Link | Folder


class Disk:
    """A directory tree as a process changes it.

    Args:
        root: the tree as it is before the first call, all of it flushed.
        origin: where the same stays as it is.
    """

    def __init__(self, root: Path, origin: Path) -> None:
        self._root = root
        self._origin = origin
        self._inodes: dict[int, File] = {}
        self.tree = self._read(root)
        self.moment = 0

    def _read(self, path: Path) -> Folder:
        folder = Folder(stat.S_IMODE(path.stat().st_mode))
        for child in path.iterdir():
            folder.names[child.name] = self._read_one(child)
        folder.flush()
        return folder

    def _read_one(self, path: Path) -> Node:
        status = path.lstat()
        if stat.S_ISLNK(status.st_mode):
            return Link(os.readlink(path))
        if stat.S_ISDIR(status.st_mode):
            return self._read(path)
        if status.st_ino not in self._inodes:
            origin = self._origin / path.relative_to(self._root)
            mode = stat.S_IMODE(status.st_mode)
            self._inodes[status.st_ino] = File(mode, path.read_bytes(), origin)
        return self._inodes[status.st_ino]

    def apply(self, call: Call) -> None:
        """Do what a call did."""
        self.moment += 1
        getattr(self, f"_{call.kind}")(call)

    def _find(self, path: str) -> tuple[Folder, str]:
        *parents, name = Path(path).relative_to(self._root).parts
        folder = self.tree
        for parent in parents:
            node = folder.names[parent]
            assert isinstance(node, Folder)
            folder = node
        return folder, name

    def _put(self, path: str, node: Node | None) -> None:
        folder, name = self._find(path)
        folder.put(self.moment, name, node)

    def _node(self, path: str) -> Node:
        folder, name = self._find(path)
        return folder.names[name]

    def _create(self, call: Call) -> None:
        node = self._inodes[call.one] = File(call.two & ~_UMASK)
        self._put(call.path, node)

    def _write(self, call: Call) -> None:
        self._inodes[call.one].write(call.two, call.data)

    def _resize(self, call: Call) -> None:
        self._inodes[call.one].resize(call.two)

    def _sync(self, call: Call) -> None:
        if call.one in self._inodes:
            self._inodes[call.one].flush()
        else:
            node = self._node(call.path) if call.path != str(self._root) else self.tree
            assert isinstance(node, Folder)
            node.flush()

    def _rename(self, call: Call) -> None:
        node = self._node(call.path)
        self._put(call.path, None)
        self._put(call.other, node)

    def _link(self, call: Call) -> None:
        self._put(call.other, self._node(call.path))

    def _symlink(self, call: Call) -> None:
        self._put(call.path, Link(call.other))

    def _remove(self, call: Call) -> None:
        self._put(call.path, None)

    def _mkdir(self, call: Call) -> None:
        self._put(call.path, Folder(call.one & ~_UMASK))

    def _chmod(self, call: Call) -> None:
        self._inodes[call.one].mode = call.two

    # After a cut

    def lay_out(self, to: Path, cut: Cut, seed: int = 0) -> None:
        """Make the tree that is there when the power is back."""
        chance = random.Random(seed)
        _LayOut(to, cut, chance, chance.randrange(self.moment + 2)).folder(self.tree, "")

    def contents(self) -> dict[str, bytes]:
        """What every file holds, as long as the power is there."""
        return {path: bytes(node.content) for path, node in _files(self.tree, "")}


def _files(folder: Folder, at: str) -> Iterator[tuple[str, File]]:
    for name, node in folder.names.items():
        if isinstance(node, Folder):
            yield from _files(node, f"{at}{name}/")
        elif isinstance(node, File):
            yield f"{at}{name}", node


class _LayOut:
    def __init__(self, to: Path, cut: Cut, chance: random.Random, moment: int) -> None:
        self._to = to
        self._cut = cut
        self._chance = chance
        self._moment = moment
        self._made: dict[int, Path] = {}

    def folder(self, folder: Folder, at: str) -> None:
        (self._to / at).mkdir(exist_ok=True)
        is_kept = self._cut is Cut.INDEX and _is_in_index(at)
        names = folder.names if is_kept else folder.after(self._cut, self._moment)
        if self._cut is Cut.INDEX and "index" in folder.names:
            names = {**names, "index": folder.names["index"]}
        for name, node in names.items():
            path = f"{at}{name}"
            if isinstance(node, Folder):
                self.folder(node, f"{path}/")
            elif isinstance(node, Link):
                (self._to / path).symlink_to(node.target)
            else:
                self._file(node, self._to / path, keep=is_kept)

    def _file(self, node: File, path: Path, *, keep: bool) -> None:
        if id(node) in self._made:
            os.link(self._made[id(node)], path)
            return
        self._made[id(node)] = path
        content = bytes(node.content) if keep else node.after(self._cut, self._chance)
        if node.origin is not None and _may_be_linked(node.origin) and content == node.durable:
            os.link(node.origin, path)
            return
        path.write_bytes(content)
        path.chmod(node.mode)
        os.utime(path, (_LONG_AGO, _LONG_AGO))


def _is_in_index(at: str) -> bool:
    return at.endswith("/index/")


def _may_be_linked(origin: Path) -> bool:
    return origin.parent.name == "packs" or origin.parent.parent.name == "objects"


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


_UMASK = _umask()
