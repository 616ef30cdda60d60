"""What is to be downloaded, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from zoostore.digest import BLAKE3, Digest, Oid
from zoostore.errors import ZooError


@dataclass(frozen=True, slots=True)
class Place:
    """Where a content can be fetched.

    Attributes:
        url: its address; may hold credentials, so it is never shown as it is.
        headers: what is sent along to this address's origin, and to no other.
    """

    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False, hash=False)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A content to be downloaded.

    Attributes:
        name: what a person calls it.
        places: where it can be had; each is tried if those before it fail.
        size: in bytes; None if it is not known.
        digests: what the content must have; it is thrown away if any differs.
        compute: algorithms of further digests to compute while it arrives.
    """

    name: str
    places: tuple[Place, ...]
    size: int | None = None
    digests: tuple[Digest, ...] = ()
    compute: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Arrived:
    """A content that came, and is what was promised.

    Attributes:
        content: the bytes themselves if they are few, else the file that holds them, which is
            now the receiver's: to be moved away or removed. It is not yet durable.
        size: in bytes.
        digests: by algorithm: BLAKE3, those that were promised, and those to be computed.
        place: where it came from in the end.
        etag: what the server called this state of it; may be empty.
        received: bytes that came over the network for it in this run; less than `size` if the
            rest was here from before.
    """

    wanted: Wanted
    content: bytes | Path
    size: int
    digests: Mapping[str, Digest]
    place: Place
    etag: str = ""
    received: int = 0

    @property
    def oid(self) -> Oid:
        return Oid(self.digests[BLAKE3].value)


@dataclass(frozen=True, slots=True)
class Failed:
    """A content that no place gave.

    Attributes:
        error: `NotThere` if every place answered that it has no such thing; otherwise what
            went wrong at the last place that might have it.
    """

    wanted: Wanted
    error: ZooError
