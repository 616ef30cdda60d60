"""Noticing that a connection has stalled, or that nobody waits for it any more."""

from __future__ import annotations

import contextvars
import http.client
import io
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

from zoostore.transport.patience import Patience, Stopped

_LONGEST_WAIT_SECONDS = 0.25
"""How long a read waits before it looks whether it should go on."""

_MAX_HEAD_BYTES = 1 << 20


class Stalled(OSError):
    """Too little came in too long a time, or what will never be an answer."""


class Pace:
    """How fast the bytes of one answer come. Only the time spent waiting for them counts.

    Args:
        stop: when it is set, whoever waits gets `Stopped`.

    Attributes:
        body: what the answer is read from, once it has come.
    """

    body: http.client.HTTPResponse

    def __init__(self, patience: Patience, stop: threading.Event | None = None) -> None:
        self._patience = patience
        self._stop = stop
        self._silence = 0.0
        self._waited = 0.0
        self._came = 0
        self._left_of_head: int | None = None
        self.wait_seconds = min(_LONGEST_WAIT_SECONDS, patience.read, patience.window)

    def start_head(self) -> None:
        """A request is about to be made. Whoever reads its answer would wait for ever for the end
        of a head that has none, such as one `100 Continue` after the other.
        """
        self._left_of_head = _MAX_HEAD_BYTES

    def start_body(self) -> None:
        """The head of the answer is here, which is few bytes and may have taken its time."""
        self._left_of_head = None
        self._waited, self._came = 0.0, 0

    def waited(self, seconds: float, count: int) -> None:
        """`count` bytes came after so many seconds.

        Raises:
            Stalled: that is too few, or too many for the head of an answer.
            Stopped: nobody waits any more.
        """
        if self._stop is not None and self._stop.is_set():
            raise Stopped
        if self._left_of_head is not None:
            self._left_of_head -= count
            if self._left_of_head < 0:
                raise Stalled("the head of the answer has no end")
        self._silence = 0.0 if count else self._silence + seconds
        self._waited += seconds
        self._came += count
        if self._silence >= self._patience.read:
            raise Stalled(f"nothing came for {self._silence:.0f} s")
        if self._waited >= self._patience.window:
            if self._came < self._patience.least:
                raise Stalled(f"only {self._came} bytes came in {self._waited:.0f} s")
            self._waited, self._came = 0.0, 0


PACE: contextvars.ContextVar[Pace] = contextvars.ContextVar("PACE")
"""The pace of the request that is being made; whoever makes one sets it."""


class PacedSocket:
    """As much of a socket as an HTTP answer is read through.

    What reads below this file's level gives up for ever after one timeout, and takes a
    byte every now and then for progress.
    """

    def __init__(self, sock: socket.socket, pace: Pace) -> None:
        self._socket, self._pace = sock, pace

    def makefile(self, *_: Any, **__: Any) -> io.BufferedReader:
        return _AsItComes(_PacedReader(self._socket, self._pace))


class _AsItComes(io.BufferedReader):
    """Does not wait until the whole of a buffer is filled."""

    def readinto(self, buffer: Any) -> int:
        return self.readinto1(buffer)


class _PacedReader(io.RawIOBase):
    def __init__(self, sock: socket.socket, pace: Pace) -> None:
        # Only held, for a socket stays open until the last of its files is closed.
        self._file = sock.makefile("rb", buffering=0)
        self._receive: Callable[[Any], int] = sock.recv_into
        self._pace = pace
        sock.settimeout(pace.wait_seconds)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while True:
            start = time.monotonic()
            try:
                count = self._receive(buffer)
            except TimeoutError:
                self._pace.waited(time.monotonic() - start, 0)
                continue
            self._pace.waited(time.monotonic() - start, count)
            return count

    def close(self) -> None:
        self._file.close()
        super().close()
