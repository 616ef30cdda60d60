"""What `pull` needs of a source."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from zoostore.digest import Oid
from zoostore.objects.listing import Listing
from zoostore.objects.snapshot import Snapshot
from zoostore.store.records import ObjectKind
from zoostore.stubs import Stub
from zoostore.transport.wanted import Place, Wanted


@dataclass(frozen=True, slots=True)
class Known:
    """A model that a source lists.

    Attributes:
        stub: its full name.
        snapshot: what the name means.
        files, size: what that holds; `size` in bytes.
        tags: other snapshots of it that have names.
    """

    stub: str
    snapshot: Oid
    files: int
    size: int
    tags: Mapping[str, Oid]


@dataclass(frozen=True, slots=True)
class Offer:
    """A snapshot that a source has.

    Attributes:
        stub: the model's full name.
        id: the snapshot's oid.
        snapshot: its value.
        listing: its files, by path.
        tags: the source's tags of the model.
    """

    stub: str
    id: Oid
    snapshot: Snapshot
    listing: Listing
    tags: Mapping[str, Oid]


@dataclass(frozen=True, slots=True)
class UpstreamFile:
    """A file as an upstream lists it; `wanted` says what it is called by, and where it is."""

    path: str
    wanted: Wanted


@dataclass(frozen=True, slots=True)
class Upstream:
    """A state of a model that its source knows by other digests than ours.

    It has no snapshot yet: that can be made when the content of every file is known.

    Attributes:
        stub: the model's full name.
        source: where it comes from, for the snapshot: an address without credentials.
        revision: the source's own name for this state, which never means another.
        time: when it was made, in seconds since 1970-01-01 UTC; 0 if that is not known.
        files: all of them.
        notes: what a person who pulls it should know, such as that it was renamed.
    """

    stub: str
    source: str
    revision: str
    time: int
    files: tuple[UpstreamFile, ...]
    notes: tuple[str, ...] = ()


class Source(Protocol):
    """A place that models can be pulled from."""

    @property
    def name(self) -> str:
        """What the user calls it."""

    @property
    def needs_network(self) -> bool:
        """Whether asking it sends anything."""

    def close(self) -> None:
        """Let go of what was read and of connections; it can still be used again."""

    def resolve(self, stub: Stub) -> Offer | Upstream | None:
        """The state of a model that a stub means there; None if it does not know the model.

        Raises:
            UnknownRevision: it knows the model, but not so.
            TransferFailed: it cannot be read.
            DamagedContent: what it sent is not what it promised.
        """

    def locate(self, stub: Stub) -> tuple[str, Oid] | None:
        """The full name and the snapshot's id that a stub means there. Raises as `resolve`."""


class Zoo(Source, Protocol):
    """A source that holds objects by their ids."""

    def models(self) -> Iterator[Known]:
        """Every model that it lists.

        Raises:
            TransferFailed, DamagedContent: as `resolve`.
        """

    def url_of(self, stub: str, oid: Oid) -> str | None:
        """Where a blob of a model's snapshot can be fetched; None if it does not know the model.

        What stands in a pack with others has the pack's address, with its id behind a `#`.

        Args:
            stub: the full name.

        Raises:
            TransferFailed, DamagedContent: as `resolve`.
        """

    def packed(self, wanted: Collection[Oid]) -> Iterator[tuple[Oid, bytes]]:
        """Of these blobs, those in the packs of the models that were resolved, each checked.

        Args:
            wanted: what came is taken from it before the next is asked for, or soon after.

        Raises:
            TransferFailed: it cannot be read.
            WrongContent: one is not what its id says.
        """

    def files(self, wanted: Collection[Oid]) -> Iterator[tuple[Oid, Iterator[bytes]]]:
        """Of these blobs, those that are files of their own on a disk here.

        They come in pieces, each to be read before the next is asked for.

        Args and raises: as `packed`.
        """

    def packed_elsewhere(self, wanted: Collection[Oid]) -> Iterator[tuple[Oid, bytes]]:
        """As `packed`, of the packs of all other models: an older snapshot's may be there."""

    def small_objects(self, wanted: Collection[Oid]) -> Iterator[tuple[Oid, ObjectKind, bytes]]:
        """Of these objects, of whatever kind, those that any pack of it has, each checked.

        Raises:
            TransferFailed, DamagedContent: as `resolve`.
        """

    def place_of(self, oid: Oid) -> Place | None:
        """Where a blob is if it is a file of its own there; None if that is on a disk here.

        Nothing is asked: it need not be there.
        """
