"""What part of a content an answer gives, if it can be believed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from zoostore.errors import TransferFailed, WrongContent
from zoostore.transport.addresses import shown
from zoostore.transport.partial import Span

if TYPE_CHECKING:
    from zoostore.transport.http import Answer

# Source: RFC 9110, 14.4.
_CONTENT_RANGE = re.compile(r"bytes (\d{1,19})-(\d{1,19})/(\d{1,19}|\*)", re.ASCII)
_PARTIAL = 206


class Part(NamedTuple):
    """What an answer gives.

    Attributes:
        start: where its body begins in the content.
        end: where it ends; None if that is not said.
        total: the size of the content; None if that is not said.
    """

    start: int
    end: int | None
    total: int | None


def range_header(span: Span) -> dict[str, str]:
    last = "" if span.end is None else span.end - 1
    return {"Range": f"bytes={span.start}-{last}"}


def part_of(answer: Answer, asked: Span | None, size: int | None, name: str) -> Part:
    """The part that an answer gives: the one asked for, or the whole.

    Args:
        asked: None if the whole was asked for.
        size: what was promised of the content; None if nothing was.

    Raises:
        WrongContent: the content has another size.
        TransferFailed: it is another part than the one asked for.
    """
    if answer.status != _PARTIAL:
        length = _length(answer)
        part = Part(0, length, length)
    else:
        part = _ranged(answer, asked)
    if None not in (size, part.total) and size != part.total:
        raise wrong_size(name, answer.url, size, part.total)
    return part


def wrong_size(name: str, url: str, size: int | None, got: object) -> WrongContent:
    return WrongContent(
        f"{name} at {shown(url)} is not what was promised: expected {size} bytes, got {got}. "
        "It was thrown away.",
        url=shown(url),
        expected=size,
        got=got,
    )


def _ranged(answer: Answer, asked: Span | None) -> Part:
    found = _CONTENT_RANGE.fullmatch(answer.headers.get("Content-Range", "").strip())
    if found and asked:
        start, end = int(found[1]), int(found[2]) + 1
        total = None if found[3] == "*" else int(found[3])
        is_within = asked.end is None or end <= asked.end
        if start == asked.start and start < end and is_within and end <= (total or end):
            return Part(start, end, total)
    raise TransferFailed(
        f"{shown(answer.url)} sent another part than the one asked for; it was not read.",
        url=shown(answer.url),
    )


def _length(answer: Answer) -> int | None:
    text = answer.headers.get("Content-Length", "")
    is_length = text.isascii() and text.isdigit() and len(text) < 20
    return int(text) if is_length and "Transfer-Encoding" not in answer.headers else None


def validator_of(answer: Answer) -> str:
    """What the server calls this state of the content so that it can be held to it; may be empty.

    Source: RFC 9110, 13.1.5: a weak ETag does not say that the bytes are the same.
    """
    etag = answer.headers.get("ETag", "")
    return answer.headers.get("Last-Modified", "") if not etag or etag.startswith("W/") else etag
