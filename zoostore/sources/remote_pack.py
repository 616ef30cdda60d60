"""Reading objects out of a pack that is somewhere else, in as few requests as will do."""

from __future__ import annotations

import io
import operator
from collections.abc import Collection, Iterable, Iterator
from typing import BinaryIO

from zoostore.digest import Oid
from zoostore.errors import MalformedObject, WrongContent, ZooError
from zoostore.files.spool import Spool, temporary_file
from zoostore.sources.catalog import pack_path
from zoostore.store.packs import (
    FOOTER,
    MAX_PACKED_BYTES,
    Rows,
    check_object,
    decode_footer,
    decode_table,
)
from zoostore.store.records import Packed
from zoostore.transport.base import RangesIgnored, StaticFiles

_WHOLE_UP_TO = 1 << 20
"""A pack of at most this many bytes is fetched in one go."""

_GAP = 1 << 16
"""Objects no further apart than this are fetched together."""

_LOOK_UP = 16
"""To look an object up in a table takes as long as to look at so many rows."""

_offset = operator.attrgetter("offset")
_RUN = 8 << 20
"""How many bytes are asked for at a time."""

_MAX_TABLE_BYTES = 1 << 30
"""That of a pack with the most files that a snapshot may have, each an object, is smaller."""


class RemotePack:
    """A pack of a published zoo. It is believed in nothing: each object is checked."""

    def __init__(self, files: StaticFiles, name: Oid, size: int) -> None:
        self._files = files
        self._path = pack_path(name)
        self._size = size
        self._local: BinaryIO | None = None
        self._rows: Rows | None = None
        self._window = bytearray()

    def close(self) -> None:
        """Let go of what was read; it is read again if it is needed again."""
        self._rows = None
        self._window = bytearray()
        if self._local is not None:
            self._local.close()
            self._local = None

    @property
    def rows(self) -> Rows:
        """What the pack holds. Raises what reading it raises."""
        if self._rows is None:
            tail = max(self._size - FOOTER.size, 0)
            table = decode_footer(bytes(self._read(tail, FOOTER.size)), self._size)
            self._require(table.length <= _MAX_TABLE_BYTES, "a table", _MAX_TABLE_BYTES)
            with Spool(temporary_file) as spool:
                end = table.offset + table.length
                for at in range(table.offset, end, _RUN):
                    spool.append(self._read(at, min(_RUN, end - at)))
                self._window = bytearray()  # of many packs, few are read
                self._rows = decode_table(table, spool.view())
        return self._rows

    def objects(self, wanted: Collection[Oid]) -> Iterator[tuple[Packed, bytes]]:
        """The objects of these ids that the pack has, each checked against its id.

        Args:
            wanted: those that were handed out may be taken from it meanwhile.

        Raises:
            WrongContent: one is not what its id says.
            MalformedObject: one is larger than what is kept in packs.
            TransferFailed: the pack cannot be read.
        """
        for run in _runs(self._in_place(wanted)):
            start = run[0].offset
            data = self._read(start, run[-1].offset + run[-1].stored - start)
            for row in run:
                content = bytes(data[row.offset - start : row.offset - start + row.stored])
                self._check(row, content)
                yield row, content

    def _in_place(self, wanted: Collection[Oid]) -> Iterator[Packed]:
        """The rows of objects that the pack has, in the order in which they stand in it."""
        rows = self.rows
        if len(wanted) * _LOOK_UP < len(rows):
            numbers = [number for oid in wanted if (number := rows.number(oid)) is not None]
            found = iter(sorted(map(rows.row, numbers), key=_offset))
        else:
            found = (row for row in rows.in_place() if row.oid in wanted)
        for row in found:
            self._require(row.stored <= MAX_PACKED_BYTES, f"the object {row.oid}", MAX_PACKED_BYTES)
            yield row

    def _require(self, is_possible: bool, what: str, limit: int) -> None:
        if not is_possible:
            raise MalformedObject(
                f"The pack {self._files.address}/{self._path} is said to hold {what} of more than "
                f"{limit} bytes; it was not read."
            )

    def _check(self, row: Packed, content: bytes) -> None:
        where = f"{self._files.address}/{self._path}"
        try:
            check_object(row.oid, row.kind, content, where)
        except ZooError as error:
            raise WrongContent(error.message, **error.facts) from error

    def _read(self, offset: int, length: int) -> memoryview:
        """Some bytes of the pack, which are good until others are read."""
        if self._local is None and self._size > _WHOLE_UP_TO:
            # Into the same memory again and again: what is allocated for each would not go back.
            if len(self._window) < length:
                self._window = bytearray(max(length, min(_RUN, self._size)))
            into = memoryview(self._window)[:length]
            try:
                return into[: self._files.read_range(self._path, offset, into)]
            except RangesIgnored:
                self._window = bytearray()
        if self._local is None:
            self._local = self._fetch_whole()
        self._local.seek(offset)
        return memoryview(self._local.read(length))

    def _fetch_whole(self) -> BinaryIO:
        spool: BinaryIO = io.BytesIO()
        if self._size > _RUN:
            spool = temporary_file()
        try:
            self._fill(spool)
        except BaseException:
            spool.close()
            raise
        return spool

    def _fill(self, spool: BinaryIO) -> None:
        received = 0
        with self._files.stream(self._path) as chunks:
            for chunk in chunks:
                received += len(chunk)
                if received > self._size:
                    break
                spool.write(chunk)
        if received != self._size:
            raise WrongContent(
                f"The pack {self._files.address}/{self._path} did not arrive as promised: expected "
                f"{self._size} bytes, got {'more' if received > self._size else received}. "
                "It was thrown away."
            )


def _runs(rows: Iterable[Packed]) -> Iterator[list[Packed]]:
    run: list[Packed] = []
    for row in rows:
        if run:
            end = run[-1].offset + run[-1].stored
            if row.offset - end > _GAP or row.offset + row.stored - run[0].offset > _RUN:
                yield run
                run = []
        run.append(row)
    if run:
        yield run
