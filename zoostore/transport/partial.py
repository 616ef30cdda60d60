"""A file that is not whole yet, and what of it is known to be right."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from zoostore.digest import Oid, hash_bytes
from zoostore.errors import StoreBusy
from zoostore.files.claim import claim
from zoostore.files.staging import Staging
from zoostore.files.steady import WRITE
from zoostore.transport.journal import (
    GRAIN,
    JOURNAL,
    JOURNAL_SUFFIXES,
    Journal,
    State,
    read_journal,
)
from zoostore.transport.patience import Stopped


class Span(NamedTuple):
    """Bytes of a file from `start` up to `end`; None means as far as there are any."""

    start: int
    end: int | None


class Partial:
    """A file in a folder, a journal of its right grains beside it, and a claim to both.

    Only one process and one transfer uses it at a time. If the name is taken, this is a
    file of its own instead, of which nothing is kept.

    Args:
        folder: where partial files are.
        name: tells the content; the same in every process.
        staging: where a file of its own would be.

    Attributes:
        changed: notified when there is another grain.
        state: what it is a part of; `state.size` is set as soon as the size is known.
    """

    def __init__(self, folder: Path, name: str, staging: Staging) -> None:
        self._held = contextlib.ExitStack()
        self.path, self.is_kept = folder / f"{name}.part", _claim(self._held, folder, name)
        if self.is_kept:
            _remove_if_anothers(self.path)
        else:
            self.path = staging.new_path().with_suffix(".part")
        self.changed = threading.Condition()
        self.state = State()
        self._journal = Journal(self.path.with_suffix(JOURNAL))
        self._known = read_journal(self.path.with_suffix(JOURNAL))
        self._grains: set[int] = set()
        self._bytes = 0
        try:
            self.descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError:
            self._held.close()
            raise

    # From one process to the next

    @property
    def known_state(self) -> State:
        """What the process that worked on it before said of it."""
        return self._known[0] if self._known else State()

    def resume(self, state: State, stop: threading.Event) -> None:
        """Begin with what is on the disk, if it is part of this content, and right.

        Raises:
            Stopped: it was not looked through to its end; nothing was changed.
        """
        found: dict[int, Oid] = {}
        self.state = state
        if self._known and self._known[0] == state:
            for grain, oid in sorted(self._known[1].items()):
                if stop.is_set():
                    raise Stopped
                if self._holds(grain, oid):
                    found[grain] = oid
        self._journal.begin(state, found)
        self._set_grains(found)

    def restart(self, state: State) -> None:
        """Throw away all that is there."""
        self._journal.begin(state)
        self.state = state
        self._set_grains(())

    def close(self) -> None:
        """Keep it for the next process that wants it."""
        self._close()
        if not self.is_kept:
            self.path.unlink(missing_ok=True)
            self._journal.remove()
        self._held.close()

    def forget(self) -> None:
        """Its file was taken away: remove what is beside it."""
        self._close()
        self._journal.remove()
        self._held.close()

    def _close(self) -> None:
        self._journal.close()
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def _holds(self, grain: int, oid: Oid) -> bool:
        start, end = self._span_of(grain)
        data = os.pread(self.descriptor, max(end - start, 0), start)
        return len(data) == end - start and hash_bytes(data) == oid

    def _set_grains(self, grains: Iterable[int]) -> None:
        with self.changed:
            self._grains = set(grains)
            self._bytes = sum(self._length(grain) for grain in self._grains)
            end = max((self._span_of(grain)[1] for grain in self._grains), default=0)
        os.ftruncate(self.descriptor, end)

    # What is there

    def write(self, offset: int, data: memoryview) -> None:
        while data:
            count = os.pwrite(self.descriptor, data[:WRITE], offset)
            data, offset = data[count:], offset + count

    def add(self, grain: int, oid: Oid) -> None:
        """A grain has been written to its end."""
        self._journal.add(grain, oid)
        with self.changed:
            self._grains.add(grain)
            self._bytes += self._length(grain)
            self.changed.notify_all()

    def has(self, grain: int) -> bool:
        return grain in self._grains

    def learn_size(self, size: int) -> None:
        """The size of the whole is known now."""
        with self.changed:
            self.state = replace(self.state, size=size)
            self._bytes = sum(map(self._length, self._grains))
            self.changed.notify_all()
        self._write_down_state()

    def learn_validator(self, validator: str) -> None:
        """What the server calls the state of which this is a part."""
        self.state = replace(self.state, validator=validator)
        self._write_down_state()

    def _write_down_state(self) -> None:
        if not self._grains:
            self._journal.begin(self.state)

    @property
    def size(self) -> int | None:
        return self.state.size

    @property
    def bytes_there(self) -> int:
        """How many bytes are known to be right."""
        return self._bytes

    @property
    def is_whole(self) -> bool:
        return self.size is not None and self._bytes == self.size

    def missing(self) -> Iterator[Span]:
        """What is not there, in runs that are as long as can be."""
        start = 0
        for grain in sorted(self._grains):
            if grain * GRAIN > start:
                yield Span(start, grain * GRAIN)
            start = (grain + 1) * GRAIN
        if self.size is None or start < self.size:
            yield Span(start, self.size)

    def _length(self, grain: int) -> int:
        start, end = self._span_of(grain)
        return end - start

    def _span_of(self, grain: int) -> tuple[int, int]:
        start, end = grain * GRAIN, (grain + 1) * GRAIN
        return start, end if self.size is None else min(end, self.size)


def _claim(held: contextlib.ExitStack, folder: Path, name: str) -> bool:
    """Whether a name is now held."""
    try:
        held.enter_context(claim(folder / f"{name}.claim", name))
    except StoreBusy:
        return False
    return True


def _remove_if_anothers(path: Path) -> None:
    """Begin anew what another user began: at its end it could not be made read-only."""
    if sys.platform == "win32":
        return
    with contextlib.suppress(FileNotFoundError):
        if os.stat(path).st_uid != os.geteuid():
            path.unlink()
            for suffix in JOURNAL_SUFFIXES:
                path.with_suffix(suffix).unlink(missing_ok=True)
