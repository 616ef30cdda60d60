"""Fetching: contents that a pull needs, from whoever has them, into a batch."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias

from zoostore.digest import BLAKE3, Digest, Oid
from zoostore.errors import MissingObject, TransferFailed, ZooError
from zoostore.objects.listing import Listing
from zoostore.ops.keeping import KeptNowAndThen, kept_on_errors
from zoostore.progress import Progress
from zoostore.sources.base import Zoo
from zoostore.store.batch import Batch
from zoostore.transport.base import NotThere
from zoostore.transport.wanted import Arrived, Wanted

if TYPE_CHECKING:
    from zoostore.transport.downloads import Downloads

PUBLISH_BYTES = 64 << 20
"""What came is published after so many bytes."""

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
    missing: Mapping[Oid, int],
    start: StartDownloads,
    progress: Progress,
    listing: Listing = MappingProxyType({}),
) -> None:
    """Get blobs by their ids, from the first zoo that has each; what did arrive stays.

    Args:
        missing: their sizes in bytes.
        listing: says what to call them, to a person who waits.

    Raises:
        MissingObject: no zoo has them all.
        WrongContent: one sent other bytes than it promised.
        TransferFailed: one that may have the rest cannot be read.
    """
    work = _Fetch(batch, zoos, start, progress, dict(missing), listing)
    progress.begin("pulling", sum(missing.values()))
    try:
        with kept_on_errors(batch):
            work.run()
    finally:
        progress.end()


def names_of(listing: Listing, oids: Container[Oid]) -> dict[Oid, str]:
    """A path for each of some contents."""
    return {entry.oid: path for path, entry in listing.items() if entry.oid in oids}


@dataclass
class _Fetch:
    batch: Batch
    zoos: Sequence[Zoo]
    start: StartDownloads
    progress: Progress
    left: dict[Oid, int]
    listing: Listing
    failure: TransferFailed | None = field(default=None)

    def run(self) -> None:
        far = [zoo for zoo in self.zoos if zoo.needs_network]
        near = [zoo for zoo in self.zoos if not zoo.needs_network]
        # What is on a disk here is not asked for anywhere else.
        self._stream(near, lambda zoo: zoo.packed(self.left))
        self._stream(near, lambda zoo: zoo.fetch(self.left))
        self._stream(far, lambda zoo: zoo.packed(self.left))
        self._download()
        self._stream(far, lambda zoo: zoo.fetch(self.left))
        self._check_none_left()

    def _stream(
        self, zoos: Sequence[Zoo], ask: Callable[[Zoo], Iterator[tuple[Oid, Iterator[bytes]]]]
    ) -> None:
        keeping = KeptNowAndThen(self.batch, PUBLISH_BYTES)
        for zoo in zoos:
            try:
                for oid, chunks in ask(zoo) if self.left else ():
                    self.batch.receive(oid, self.left[oid], chunks, self.progress.advance)
                    del self.left[oid]
                    keeping.look()
            except TransferFailed as error:  # another source may have the rest
                self.failure = error

    def _download(self) -> None:
        names = names_of(self.listing, self.left) if self.left else {}
        asked = (self._wanted(oid, size, names) for oid, size in self.left.items())
        wanted = [each for each in asked if each is not None]
        if not wanted:
            return
        with self.start() as downloads:
            failures = receive_downloads(self.batch, downloads, wanted, "", self._take)
        for error in failures:
            if isinstance(error, NotThere):  # it may be in a pack
                continue
            if not isinstance(error, TransferFailed):
                raise error
            self.failure = error

    def _wanted(self, oid: Oid, size: int, names: Mapping[Oid, str]) -> Wanted | None:
        # What one zoo has lost, another may have: an object is known by its content.
        places = tuple(place for zoo in self.zoos if (place := zoo.place_of(oid)))
        digests = (Digest.of_oid(oid),)
        return Wanted(names.get(oid, oid.short), places, size, digests) if places else None

    def _take(self, arrived: Arrived) -> None:
        del self.left[Oid(arrived.digests[BLAKE3].value)]

    def _check_none_left(self) -> None:
        if not self.left:
            return
        if self.failure is not None:
            raise self.failure
        named = ", ".join(oid.short for oid in list(self.left)[:5])
        asked = ", ".join(zoo.name for zoo in self.zoos) or "no source"
        raise MissingObject(
            f"{len(self.left)} objects are not in the store, and {asked} does not have them: "
            f"{named}.",
            oids=[str(oid) for oid in self.left],
        )
