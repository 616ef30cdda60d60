"""Whether what came is what was promised, and what to say if it is not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from zoostore.digest import BLAKE3, DIGEST_BYTES, GIT_BLOB, SHA256, Digest
from zoostore.errors import TransferFailed, WrongContent, ZooError
from zoostore.transport.addresses import shown
from zoostore.transport.base import NotThere
from zoostore.transport.wanted import Place, Wanted

_STRONGEST_FIRST = (BLAKE3, SHA256, GIT_BLOB)


def algorithms_of(wanted: Wanted) -> frozenset[str]:
    """The digests to compute: those that were promised, and those that were asked for."""
    return wanted.compute | {digest.algorithm for digest in wanted.digests}


def strongest(wanted: Wanted) -> Digest | None:
    """The promised digest that tells the content best."""
    known = [digest for digest in wanted.digests if digest.algorithm in DIGEST_BYTES]
    return min(known, key=lambda digest: _STRONGEST_FIRST.index(digest.algorithm), default=None)


def check(
    wanted: Wanted, size: int, digests: Mapping[str, Digest], place: Place | None
) -> WrongContent | None:
    """Why a content that came is not the one that was wanted; None if it is.

    Args:
        place: who gave all of it; None if several did.
    """
    if wanted.size is not None and size != wanted.size:
        return _wrong(wanted, f"{wanted.size} bytes", f"{size}", place)
    for promised in wanted.digests:
        if digests.get(promised.algorithm) != promised:
            got = digests.get(promised.algorithm, "none of its kind")
            return _wrong(wanted, str(promised), str(got), place)
    return None


def _wrong(wanted: Wanted, expected: str, got: str, place: Place | None) -> WrongContent:
    where = f" from {shown(place.url)}" if place else ""
    return WrongContent(
        f"{wanted.name}{where} did not arrive as promised: expected {expected}, got {got}. "
        "It was thrown away.",
        name=wanted.name,
        expected=expected,
        got=got,
    )


def worst(wanted: Wanted, failures: Sequence[ZooError]) -> ZooError:
    """Which of the errors of all places says why a content did not come."""
    for kind in (WrongContent, TransferFailed, ZooError):
        for error in reversed(failures):
            if isinstance(error, kind) and not isinstance(error, NotThere):
                return error
    if failures:
        return failures[-1]
    return TransferFailed(f"{wanted.name} is to be had nowhere.", name=wanted.name)
