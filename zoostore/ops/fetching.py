"""Fetching: contents that a pull needs, from whoever has them, into a batch."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeAlias

from zoostore.digest import BLAKE3, Digest, Oid
from zoostore.errors import MissingObject, TransferFailed, ZooError
from zoostore.groups import batched
from zoostore.ops.keeping import KeptNowAndThen, kept_on_errors
from zoostore.ops.missing import Missing
from zoostore.progress import Progress
from zoostore.sources.base import Zoo
from zoostore.store.batch import Batch, require_size
from zoostore.store.records import ObjectKind
from zoostore.transport.base import NotThere
from zoostore.transport.wanted import Arrived, Wanted

if TYPE_CHECKING:
    from zoostore.transport.downloads import Downloads

PUBLISH_BYTES = 64 << 20
"""What came is published after so many bytes."""

_TOGETHER, _TOGETHER_BYTES = 256, 1 << 19
"""Packed objects that are in memory together."""

_ASKED_TOGETHER = 8192
_NAMED = 1000

StartDownloads: TypeAlias = Callable[[], "Downloads"]


def receive_downloads(
    batch: Batch,
    downloads: Downloads,
    wanted: Sequence[Wanted],
    origin: str,
    take: Callable[[Arrived], None] = lambda _: None,
) -> list[ZooError]:
    """Download contents into a batch, and publish it now and then.

    Args:
        origin: who calls the contents by their digests.
        take: is told of each that came.

    Returns:
        Why others did not come.
    """
    failures: list[ZooError] = []
    keeping = KeptNowAndThen(batch, PUBLISH_BYTES)
    for outcome in downloads.run(wanted):
        if not isinstance(outcome, Arrived):
            failures.append(outcome.error)
            continue
        if isinstance(outcome.content, bytes):
            batch.take_bytes(outcome.oid, outcome.content)
        else:
            batch.take_file(outcome.oid, outcome.content, outcome.size)
        batch.note_aliases(origin, {outcome.oid: outcome.digests.values()})
        take(outcome)
        keeping.look()
    return failures


def fetch_objects(
    batch: Batch,
    zoos: Sequence[Zoo],
    missing: Missing,
    start: StartDownloads,
    progress: Progress,
) -> None:
    """Get blobs by their ids, from the first zoo that has each; what did arrive stays.

    Args:
        missing: none of it is left in the end.

    Raises:
        MissingObject: no zoo has them all.
        WrongContent: one sent other bytes than it promised.
        TransferFailed: one that may have the rest cannot be read.
    """
    work = _Fetch(batch, zoos, missing, start, progress)
    progress.begin("pulling", missing.size_left)
    try:
        with kept_on_errors(batch):
            work.run()
    finally:
        progress.end()


class _Fetch:
    def __init__(
        self,
        batch: Batch,
        zoos: Sequence[Zoo],
        missing: Missing,
        start: StartDownloads,
        progress: Progress,
    ) -> None:
        self._batch = batch
        self._zoos = zoos
        self._missing = missing
        self._start = start
        self._progress = progress
        self._keeping = KeptNowAndThen(batch, PUBLISH_BYTES)
        self._failure: TransferFailed | None = None

    def run(self) -> None:
        far = [zoo for zoo in self._zoos if zoo.needs_network]
        near = [zoo for zoo in self._zoos if not zoo.needs_network]
        # What is on a disk here is not asked for anywhere else.
        self._ask(near, lambda zoo: self._take_packed(zoo.packed(self._missing)))
        self._ask(near, lambda zoo: self._take_files(zoo.files(self._missing)))
        self._ask(near, lambda zoo: self._take_packed(zoo.packed_elsewhere(self._missing)))
        self._ask(far, lambda zoo: self._take_packed(zoo.packed(self._missing)))
        self._download()
        self._ask(far, lambda zoo: self._take_packed(zoo.packed_elsewhere(self._missing)))
        self._check_none_left()

    def _ask(self, zoos: Sequence[Zoo], take_from: Callable[[Zoo], None]) -> None:
        for zoo in zoos if self._missing else ():
            try:
                take_from(zoo)
            except TransferFailed as error:  # another source may have the rest
                self._failure = error

    def _take_packed(self, objects: Iterable[tuple[Oid, bytes]]) -> None:
        together: list[tuple[Oid, bytes]] = []
        size = 0
        try:
            for oid, data in objects:
                require_size(oid, self._missing.size_of(oid), len(data))
                self._missing.came(oid)
                self._progress.advance(len(data))
                together.append((oid, data))
                size += len(data)
                if len(together) >= _TOGETHER or size >= _TOGETHER_BYTES:
                    self._put(together)
                    size = 0
        finally:
            self._put(together)

    def _put(self, together: list[tuple[Oid, bytes]]) -> None:
        self._batch.put_all(ObjectKind.BLOB, together)
        together.clear()
        self._keeping.look()

    def _take_files(self, files: Iterable[tuple[Oid, Iterator[bytes]]]) -> None:
        for oid, chunks in files:
            size = self._missing.size_of(oid)
            self._batch.receive(oid, size, chunks, self._progress.advance)
            self._missing.came(oid)
            self._keeping.look()

    def _download(self) -> None:
        if not any(zoo.needs_network for zoo in self._zoos):
            return
        wanted = (each for item in self._missing.items() if (each := self._wanted(*item)))
        with contextlib.ExitStack() as stack:
            downloads: Downloads | None = None
            for some in batched(wanted, _ASKED_TOGETHER):
                downloads = downloads or stack.enter_context(self._start())
                for error in receive_downloads(self._batch, downloads, some, "", self._take):
                    self._note(error)

    def _note(self, error: ZooError) -> None:
        if isinstance(error, NotThere):  # it may be in a pack
            return
        if not isinstance(error, TransferFailed):
            raise error
        self._failure = error

    def _wanted(self, path: str, oid: Oid, size: int) -> Wanted | None:
        # What one zoo has lost, another may have: an object is known by its content.
        places = tuple(place for zoo in self._zoos if (place := zoo.place_of(oid)))
        return Wanted(path, places, size, (Digest.of_oid(oid),)) if places else None

    def _take(self, arrived: Arrived) -> None:
        self._missing.came(Oid(arrived.digests[BLAKE3].value))

    def _check_none_left(self) -> None:
        if not self._missing:
            return
        if self._failure is not None:
            raise self._failure
        left = [str(oid) for oid in itertools.islice(self._missing, _NAMED)]
        named = ", ".join(oid[:12] for oid in left[:5])
        asked = ", ".join(zoo.name for zoo in self._zoos) or "no source"
        raise MissingObject(
            f"{len(self._missing)} objects are not in the store, and {asked} does not have them: "
            f"{named}.",
            oids=left,
        )
