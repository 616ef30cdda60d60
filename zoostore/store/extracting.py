"""Extracting: making files of small blobs that stand in packs, each checked on its way.

It needs no index, so that a worker can do it. What is handed to it, and what it gives, are bare
tuples: to pickle named ones takes as long as to make the files takes Python.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

from zoostore.digest import hash_bytes
from zoostore.files.stamp import packed_stamp
from zoostore.files.writing import write_new
from zoostore.store.packs import PackReader

Place: TypeAlias = tuple[str, int, int]
"""Where a blob stands: in which pack, from which byte on, and how many."""

Extraction: TypeAlias = tuple[Place, bytes, str, int]
"""A file to be made where nothing stands: of what, its oid, the path, and its permissions."""


def extract(extractions: Sequence[Extraction]) -> list[bytes | None]:
    """Make files, in rising order of their places; the stamp of each.

    None stands for one that was not made, for its pack is gone, or holds other bytes.
    """
    made: list[bytes | None] = []
    for path, some in itertools.groupby(extractions, lambda each: each[0][0]):
        made += _from_pack(Path(path), list(some))
    return made


def _from_pack(path: Path, extractions: Sequence[Extraction]) -> Iterator[bytes | None]:
    try:
        pack = PackReader(path)
    except FileNotFoundError:  # gc has just packed anew what was in it
        yield from [None] * len(extractions)
        return
    with pack:
        pieces = pack.read_together([place[1:] for place, *_ in extractions])
        for (_, oid, target, permissions), data in zip(extractions, pieces, strict=True):
            if hash_bytes(data) != oid:
                yield None
                continue
            yield packed_stamp(write_new(target, data, permissions))
