"""Packing apart: a worker reads small files, and writes a pack of its own of those that are new.

What a file holds never leaves that process: it tells the oids, and is told which of them to keep
by this one, which knows what is in the store, and what is on its way to it.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import BinaryIO, TypeAlias

from zoostore.digest import OID_BYTES, Oid
from zoostore.files.reading import Wanted, read_together
from zoostore.files.staging import make_durable
from zoostore.files.steady import create_steadily
from zoostore.store.packs import PackReader, PackWriter, Rows
from zoostore.store.records import ObjectKind
from zoostore.worker import Worker, hire

_AT_ONCE = 3
"""So many groups of files are waited for at a time, so that the worker need not wait."""

_Order: TypeAlias = list[Wanted] | bytes | None
"""Files to be read; which of those to keep that were read longest ago, a byte for each; or to
finish the pack."""


class Apart:
    """A worker that packs small files.

    Args:
        worker: whose program is `_pack`.
        path: of its pack.
    """

    def __init__(self, worker: Worker, path: Path) -> None:
        self._path = path
        self._worker = worker
        self._waiting = 0

    @classmethod
    def begin(cls, root: Path, path: Path) -> Apart | None:
        """One that reads files below a folder; None where there can be none.

        Args:
            path: of the pack, where nothing stands.
        """
        worker = hire(partial(_pack, str(root), str(path)))
        return None if worker is None else cls(worker, path)

    @property
    def has_room(self) -> bool:
        """Whether it should be given more to read."""
        return self._waiting < _AT_ONCE

    @property
    def is_ready(self) -> bool:
        """Whether it has read some files by now."""
        return self._waiting > 0 and self._worker.is_ready()

    def read(self, files: list[Wanted]) -> None:
        """Have it read some files, whose contents it keeps until it is told which are new."""
        self._worker.begin(files)
        self._waiting += 1

    def oids(self) -> list[Oid]:
        """Of the contents of the files that it was given longest ago.

        Raises: what `read_together` raises.
        """
        joined = self._worker.result()
        self._waiting -= 1
        return [Oid(joined[at : at + OID_BYTES]) for at in range(0, len(joined), OID_BYTES)]

    def keep(self, which: list[bool]) -> None:
        """Have it pack some of those contents, and let go of the others."""
        self._worker.begin(bytes(which))

    def finish(self) -> None:
        """Have it make its pack durable: its last order, once all of its oids were asked for."""
        self._worker.begin(None)

    def finished(self) -> Iterator[tuple[Path, Oid, Rows]]:
        """The pack, where something is in it: where it stands, its name and its rows."""
        name = self._worker.result()
        if name is not None:
            with PackReader(self._path) as pack:
                yield self._path, name, pack.rows()

    def close(self) -> None:
        """End it. What it has packed stays where it is."""
        self._worker.close()


def _pack(root: str, path: str, orders: Iterator[_Order]) -> Iterator[object]:
    """The program of such a worker."""
    held: deque[list[tuple[Oid, bytes]]] = deque()
    with create_steadily(Path(path)) as file:
        writer = PackWriter(file)
        for order in orders:
            if isinstance(order, list):
                contents = read_together(root, order)
                held.append(contents)
                yield b"".join(oid for oid, _ in contents)
            elif order is not None:
                writer.add_all(ObjectKind.BLOB, itertools.compress(held.popleft(), order))
            else:
                yield _finished(writer, file)
                return


def _finished(writer: PackWriter, file: BinaryIO) -> Oid | None:
    if len(writer) == 0:
        return None
    name, _ = writer.finish()
    make_durable(file)
    return name
