"""Reading a span of a content from one place after the other."""

from __future__ import annotations

import shutil
import time
from typing import TYPE_CHECKING

from zoostore.errors import TransferFailed, WrongContent
from zoostore.transport.addresses import shown, take_apart
from zoostore.transport.base import RangesIgnored
from zoostore.transport.partial import Span
from zoostore.transport.parts import Part, part_of, range_header, validator_of, wrong_size
from zoostore.transport.patience import Interrupted, Tries
from zoostore.transport.spans import SpanWriter
from zoostore.transport.transfer import Transfer
from zoostore.transport.wanted import Place

if TYPE_CHECKING:
    from zoostore.transport.http import Answer

_WHOLE = 200
_NO_SUCH_RANGE = 416

_FAST = 256 << 20
"""Bytes a second that are enough for one connection: more connections do not make it faster, for
it is the disk, the hashing or the server that takes the time."""
_FAST_AFTER = 0.03
"""Seconds of waiting after which that can be told."""
_LOOK_EVERY = 16 << 20
"""Bytes of a content of unknown size after which the disk is looked at again."""


def fill(transfer: Transfer, writer: SpanWriter) -> None:
    """Have a span written, until it is done, no place is left, or the plan is another.

    Raises:
        Stopped: nobody wants it any more.
        OSError: it cannot be written.
    """
    lock = transfer.terms.changed
    while not writer.is_done and not transfer.must_replan:
        with lock:
            place = transfer.places.current
        if place is None:
            return
        try:
            _fill_from(transfer, writer, place)
        except RangesIgnored:
            with lock:
                transfer.places.leave_for_last(place)
        except (TransferFailed, WrongContent) as error:
            with lock:
                _refused(transfer, place, error)


def _refused(transfer: Transfer, place: Place, error: TransferFailed | WrongContent) -> None:
    if error.facts.get("status") == _NO_SUCH_RANGE and not transfer.is_plain:
        # An empty content has no range, and a content of no known size may be empty.
        _ask_plainly(transfer)
        return
    transfer.places.give_up(place, error)
    if not transfer.has_digest and isinstance(error, WrongContent):
        transfer.replan(discard=True)
    elif transfer.places.is_mixed:
        transfer.replan()


def _ask_plainly(transfer: Transfer) -> None:
    """Ranges lead nowhere with this content: have one worker ask for the whole."""
    transfer.is_plain = transfer.is_sole = True
    transfer.replan()


def _fill_from(transfer: Transfer, writer: SpanWriter, place: Place) -> None:
    tries = transfer.terms.tries(place)
    while not writer.is_done and not transfer.must_replan:
        try:
            _stream(transfer, writer, place, tries)
        except Interrupted as error:
            try:
                tries.failed(error)
            except TransferFailed:
                transfer.terms.dead.add(take_apart(place.url).origin)
                raise


def _stream(transfer: Transfer, writer: SpanWriter, place: Place, tries: Tries) -> None:
    """Make one request, and write what it brings."""
    asked, headers = _question(transfer, writer)
    client, wanted = transfer.terms.client, transfer.wanted
    with client.ask(place, headers, transfer.terms.stop) as answer:
        part = part_of(answer, asked, wanted.size, wanted.name)
        with transfer.terms.changed:
            _hold_to_state(transfer, writer, answer, part)
            _accept(transfer, writer, answer, part)
            transfer.gave(place, answer.headers.get("ETag", ""))
            transfer.terms.dead.discard(take_apart(place.url).origin)
        _write(transfer, writer, answer, tries)
    if transfer.must_replan:
        return
    if writer.end is None:
        with transfer.terms.changed:
            transfer.learn_size(writer.at, writer)
        writer.finish_grain()
    elif not writer.is_done:
        raise Interrupted(f"the answer ended after {writer.at} of {transfer.partial.size} bytes")


def _question(transfer: Transfer, writer: SpanWriter) -> tuple[Span | None, dict[str, str]]:
    """The span to ask for, and the headers that say so; None is the whole."""
    state = transfer.partial.state
    if writer.at and not transfer.has_digest and not state.validator:
        with transfer.terms.changed:
            transfer.discard()
            transfer.take_whole(writer)
    writer.skip()
    is_to_end = writer.end is None or writer.end == state.size
    if writer.at == 0 and is_to_end and (transfer.is_plain or state.size is not None):
        return None, {}
    asked = Span(writer.at, writer.end)
    headers = range_header(asked)
    if state.validator:
        headers["If-Range"] = state.validator
    return asked, headers


def _hold_to_state(transfer: Transfer, writer: SpanWriter, answer: Answer, part: Part) -> None:
    """Go on only with what is there of the same content, as far as the server tells.

    Without a digest it has to name it; and a size that nobody promised may have been a lie.
    """
    named = "" if transfer.has_digest else validator_of(answer)
    partial, state = transfer.partial, transfer.partial.state
    is_of_size = part.total is None or state.size in (None, part.total)
    is_named = transfer.has_digest or bool(named) or not writer.at
    if is_of_size and is_named and named == state.validator:
        return
    if is_of_size and not partial.bytes_there and not writer.at:
        partial.learn_validator(named)
        return
    if not transfer.take_whole(writer):
        raise wrong_size(transfer.wanted.name, answer.url, state.size, part.total)
    transfer.discard(named)
    writer.go_to(Span(0, partial.size))
    transfer.changes_left -= 1
    if transfer.changes_left <= 0:
        raise TransferFailed(
            f"{transfer.wanted.name} changes while it is read; it was thrown away.",
            name=transfer.wanted.name,
        )
    if answer.status != _WHOLE:
        raise Interrupted("it changed while it was read")


def _accept(transfer: Transfer, writer: SpanWriter, answer: Answer, part: Part) -> None:
    """Agree on what an answer is used for. Raises RangesIgnored if it is for nothing."""
    if answer.status == _WHOLE and not transfer.take_whole(writer):
        raise RangesIgnored("It sends whole files only.")
    if transfer.partial.size is None and part.total is not None:
        transfer.learn_size(part.total, writer)
    if answer.status != _WHOLE and transfer.partial.size is None and not transfer.is_plain:
        _ask_plainly(transfer)


def _write(transfer: Transfer, writer: SpanWriter, answer: Answer, tries: Tries) -> None:
    new, waited = 0, 0.0
    proof = writer.furthest + transfer.terms.patience.least
    pieces = answer.pieces()
    while not transfer.must_replan:
        asked = time.monotonic()
        piece = next(pieces, None)
        waited += time.monotonic() - asked
        if piece is None:
            return
        if writer.end is not None and writer.at + len(piece) > writer.end:
            raise _too_long(transfer, answer)
        if writer.end is None:
            _leave_room(transfer, writer.at, len(piece), answer)
        came = writer.write(piece)
        transfer.tally.came(len(piece), came)
        new += came
        if writer.furthest >= proof:
            tries.progressed()
        if answer.status != _WHOLE and waited > _FAST_AFTER and new < waited * _FAST:
            transfer.may_be_joined()


def _leave_room(transfer: Transfer, at: int, more: int, answer: Answer) -> None:
    """Give up what may have no end before it fills the disk. Raises WrongContent."""
    if at // _LOOK_EVERY == (at + more) // _LOOK_EVERY:
        return
    least = transfer.terms.least_free
    if shutil.disk_usage(transfer.terms.folder).free < least:
        where = shown(answer.url)
        raise WrongContent(
            f"{where} has not ended after {at} bytes, and does not say how long it is. The disk "
            f"has less than {least} bytes free; what came was thrown away.",
            url=where,
        )


def _too_long(transfer: Transfer, answer: Answer) -> TransferFailed | WrongContent:
    if answer.status == _WHOLE:
        size = transfer.partial.size
        return wrong_size(transfer.wanted.name, answer.url, size, "more than that")
    where = shown(answer.url)
    return TransferFailed(f"{where} sent more than the part that was asked for.", url=where)
