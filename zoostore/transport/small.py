"""Contents of few bytes: fetched in one go, and kept in memory."""

from __future__ import annotations

from zoostore.digest import DigestHasher
from zoostore.errors import TransferFailed, WrongContent, ZooError
from zoostore.transport.addresses import take_apart
from zoostore.transport.parts import part_of, wrong_size
from zoostore.transport.patience import Interrupted
from zoostore.transport.promises import algorithms_of, check, worst
from zoostore.transport.tally import Tally
from zoostore.transport.terms import Terms
from zoostore.transport.wanted import Arrived, Failed, Place, Wanted


def fetch_small(wanted: Wanted, terms: Terms) -> Arrived | Failed:
    """Fetch a content whose size is known.

    Raises:
        Stopped: nobody wants it any more.
    """
    failures: list[ZooError] = []
    tally = Tally(terms.progress, wanted.name, wanted.size)
    try:
        for place in wanted.places:
            try:
                return _fetch_from(place, wanted, terms, tally)
            except (TransferFailed, WrongContent) as error:
                failures.append(error)
    finally:
        tally.end()
    return Failed(wanted, worst(wanted, failures))


def _fetch_from(place: Place, wanted: Wanted, terms: Terms, tally: Tally) -> Arrived:
    tries = terms.tries(place)
    while True:
        try:
            arrived = _fetch(place, wanted, terms, tally)
            terms.dead.discard(take_apart(place.url).origin)
            return arrived
        except Interrupted as error:
            try:
                tries.failed(error)
            except TransferFailed:
                terms.dead.add(take_apart(place.url).origin)
                raise


def _fetch(place: Place, wanted: Wanted, terms: Terms, tally: Tally) -> Arrived:
    pieces: list[bytes] = []
    size = 0
    try:
        with terms.client.ask(place, stop=terms.stop) as answer:
            part_of(answer, None, wanted.size, wanted.name)
            for piece in answer.pieces():
                size += len(piece)
                tally.came(len(piece), len(piece))
                pieces.append(bytes(piece))
                if wanted.size is not None and size > wanted.size:
                    raise wrong_size(wanted.name, answer.url, wanted.size, "more than that")
            if wanted.size is not None and size < wanted.size:
                raise Interrupted(f"the answer ended after {size} of {wanted.size} bytes")
            data = b"".join(pieces)
            hasher = DigestHasher(algorithms_of(wanted), wanted.size)
            hasher.update(data)
            digests = hasher.digests()
            wrong = check(wanted, size, digests, place)
            if wrong is not None:
                raise wrong
    except BaseException:
        tally.found(-size)
        raise
    etag = answer.headers.get("ETag", "")
    return Arrived(wanted, data, size, digests, place, etag, tally.received)
