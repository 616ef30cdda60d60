"""Answers: what their heads say, and their bodies as they come."""

from __future__ import annotations

import contextlib
import http.client
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Self

import requests
import urllib3

from zoostore.digest import CHUNK
from zoostore.errors import TransferFailed
from zoostore.transport.addresses import shown
from zoostore.transport.base import AccessDenied, NotThere
from zoostore.transport.http.reasons import BROKEN, why
from zoostore.transport.pace import Pace
from zoostore.transport.patience import Interrupted

_USABLE = frozenset([200, 206])
_NOT_THERE = frozenset([404, 410])
_DENIED = frozenset([401, 403])
_TRY_AGAIN = frozenset([408, 425, 429, 500, 502, 503, 504])
_TOLD = ("X-Error-Code", "X-Error-Message")
"""Headers by which a server says why it refuses; they become facts of the error."""
_LONGEST_TOLD = 500


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer.

    Attributes:
        url: where it came from after all redirects; its query may be a secret.
        headers: their names may be looked up in any case.
    """

    status: int
    headers: Mapping[str, str]
    url: str
    data: bytes


class Answer:
    """An answer whose body is still to be read; a context manager that lets go of it.

    Attributes:
        status: 200, or 206 if a part was asked for.
        headers, url: as in `Reply`.
    """

    def __init__(
        self,
        response: requests.Response,
        url: str,
        pace: Pace,
        held: contextlib.ExitStack,
    ) -> None:
        self.status = response.status_code
        self.headers: Mapping[str, str] = response.headers
        self.url = url
        self._body = pace.body
        self._connection: urllib3.HTTPResponse = response.raw
        self._held = held

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._held.close()

    def pieces(self) -> Iterator[memoryview]:
        """The body as it was sent, as it comes. A piece is good until the next is asked for.

        Raises:
            Interrupted: it broke off, or stalled.
            Stopped: nobody waits any more.
        """
        try:
            yield from self._chunks() if self._body.chunked else self._reads()
        except BROKEN as error:
            raise Interrupted(why(error)) from None
        self._connection.release_conn()

    def _chunks(self) -> Iterator[memoryview]:
        while piece := self._body.read1(CHUNK):
            yield memoryview(piece)

    def _reads(self) -> Iterator[memoryview]:
        # Into the same memory again and again: to allocate it costs more than to read.
        size = self._body.length
        view = memoryview(bytearray(CHUNK if size is None else min(size, CHUNK)))
        while count := self._body.readinto(view):
            yield view[:count]
        if self._body.length:
            raise http.client.IncompleteRead(b"", self._body.length)

    def read(self, limit: int) -> bytes:
        """The whole body.

        Raises:
            TransferFailed: it is longer than `limit` bytes.
            Interrupted, Stopped: as `pieces`.
        """
        parts, size = [], 0
        for piece in self.pieces():
            size += len(piece)
            if size > limit:
                raise self._too_long(limit)
            parts.append(bytes(piece))
        return b"".join(parts)

    def read_into(self, view: memoryview) -> int:
        """Read the whole body into memory that is there; how many bytes it has. Raises as `read`,
        the limit being what has room."""
        size = 0
        for piece in self.pieces():
            end = size + len(piece)
            if end > len(view):
                raise self._too_long(len(view))
            view[size:end] = piece
            size = end
        return size

    def _too_long(self, limit: int) -> TransferFailed:
        return TransferFailed(
            f"{shown(self.url)} is longer than the {limit} bytes it should have; "
            "the rest was not read.",
            url=shown(self.url),
        )


def check_head(response: requests.Response, url: str) -> None:
    """Find out whether an answer has a body to be read.

    Raises:
        Interrupted: the next answer may.
        NotThere, AccessDenied, TransferFailed: it has none.
    """
    status, where = response.status_code, shown(url)
    if status in _USABLE:
        encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
        if encoding not in ("", "identity"):
            raise TransferFailed(
                f"{where} was sent in another form ({encoding[:40]}) than it has, though it was "
                "asked for as it is; it was not read.",
                url=where,
            )
        return
    if status in _TRY_AGAIN:
        raise Interrupted(f"status {status}", status, _retry_after(response.headers))
    failed = NotThere if status in _NOT_THERE else TransferFailed
    failed = AccessDenied if status in _DENIED else failed
    raise failed(
        f"{where} is not to be had: the server answered with status {status}.",
        url=where,
        status=status,
        headers={
            name: response.headers[name][:_LONGEST_TOLD]
            for name in _TOLD
            if name in response.headers
        },
    )


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait. Source: RFC 9110, 10.2.3: digits, or a date."""
    text = headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:12])
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, OverflowError, OSError):
        return None
