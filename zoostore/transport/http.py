"""Asking a web server: the only importer of requests.

A client makes one request after the other and names what went wrong. Nothing a server says is
believed here beyond the head of its answer; whoever reads the body checks it.
"""

from __future__ import annotations

import contextlib
import http.client
import logging
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http.cookiejar import DefaultCookiePolicy
from typing import Any, Self, cast

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.auth import HTTPBasicAuth
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from zoostore.digest import CHUNK
from zoostore.errors import TransferFailed
from zoostore.progress import Progress, Silent
from zoostore.transport.addresses import Address, redirected, shown, take_apart
from zoostore.transport.base import AccessDenied, NotThere
from zoostore.transport.pace import PACE, Pace, PacedSocket, Stalled
from zoostore.transport.patience import DEFAULT_PATIENCE, Interrupted, Patience, Tries
from zoostore.transport.wanted import Place

_MAX_REDIRECTS = 10
_REDIRECTS = frozenset([301, 302, 303, 307, 308])
_USABLE = frozenset([200, 206])
_NOT_THERE = frozenset([404, 410])
_DENIED = frozenset([401, 403])
_TRY_AGAIN = frozenset([408, 425, 429, 500, 502, 503, 504])
_TOLD = ("X-Error-Code", "X-Error-Message")
"""Headers by which a server says why it refuses; they become facts of the error."""
_LONGEST_TOLD = 500

_OWN_HEADERS = {"Accept-Encoding": "identity", "User-Agent": "zoostore"}
"""What is hashed is the file, not what a server makes of it on the way."""


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
        except _BROKEN as error:
            raise Interrupted(_why(error)) from None
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
                raise TransferFailed(
                    f"{shown(self.url)} is longer than the {limit} bytes it should have; "
                    "the rest was not read.",
                    url=shown(self.url),
                )
            parts.append(bytes(piece))
        return b"".join(parts)


class HttpClient:
    """Asks web servers. May be used from several threads at once.

    Proxies, certificates and logins are taken from where `requests` takes them: the
    environment and `.netrc`. A login in an address, or an `Authorization` among a place's
    headers, goes before `.netrc`. Both are sent to the origin of that address only.

    Args:
        patience: how long servers are waited for.
        progress: is told about pauses.
    """

    def __init__(self, patience: Patience | None = None, progress: Progress | None = None) -> None:
        self.patience = patience or DEFAULT_PATIENCE
        self.progress = progress or Silent()
        self._idle: list[requests.Session] = []
        self._lock = threading.Lock()
        for name in _TALKATIVE:
            logging.getLogger(name).addFilter(_drop_queries)

    def close(self) -> None:
        """Let go of connections; it can still be used again."""
        with self._lock:
            idle, self._idle = self._idle, []
        for session in idle:
            session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def read(self, url: str, headers: Mapping[str, str] | None = None, *, limit: int) -> Reply:
        """A small answer, asked for again if that may help.

        Args:
            headers: sent along to this address's origin, and to no other.

        Raises:
            NotThere, AccessDenied: the server says so; `facts["headers"]` has what it told.
            TransferFailed: anything else, or it is longer than `limit` bytes.
        """
        tries = Tries(self.patience, shown(url), self.progress.note)
        place = Place(url, headers or {})
        while True:
            try:
                with self.ask(place) as answer:
                    data = answer.read(limit)
                    return Reply(answer.status, answer.headers, answer.url, data)
            except Interrupted as error:
                tries.failed(error)

    def ask(
        self,
        place: Place,
        headers: Mapping[str, str] | None = None,
        stop: threading.Event | None = None,
    ) -> Answer:
        """Make one request, and those that it is redirected to.

        Args:
            headers: sent along to every origin: what is no secret.
            stop: ends the waiting when it is set.

        Raises:
            Interrupted: it failed, but may not the next time.
            Stopped: nobody waits any more.
            NotThere, AccessDenied, TransferFailed: as `read`.
        """
        with contextlib.ExitStack() as stack:
            session = stack.enter_context(self._session())
            pace = Pace(self.patience, stop)
            response, url = self._follow(session, place, headers or {}, pace)
            stack.callback(response.close)
            _check_head(response, url)
            return Answer(response, url, pace, stack.pop_all())

    def _follow(
        self,
        session: requests.Session,
        place: Place,
        headers: Mapping[str, str],
        pace: Pace,
    ) -> tuple[requests.Response, str]:
        address = take_apart(place.url)
        secret = place.headers
        for _ in range(_MAX_REDIRECTS + 1):
            response = self._send(session, address, {**headers, **secret}, pace)
            location = response.headers.get("Location")
            if response.status_code not in _REDIRECTS or location is None:
                return response, address.url
            response.close()
            target = redirected(address, location)
            if target.origin != address.origin:
                secret = {}  # and it stays so, wherever else it leads
            address = target
        raise TransferFailed(
            f"{shown(place.url)} leads from one address to the next, more than {_MAX_REDIRECTS} "
            "times; it was not followed further.",
            url=shown(place.url),
        )

    def _send(
        self, session: requests.Session, address: Address, headers: dict[str, str], pace: Pace
    ) -> requests.Response:
        timeout = (self.patience.connect, self.patience.read)
        token = PACE.set(pace)
        try:
            response = session.get(
                address.url,
                headers=headers,
                auth=_auth(address, headers),
                stream=True,
                timeout=timeout,
                allow_redirects=False,
            )
        except _BROKEN as error:
            if isinstance(error, _MAY_PASS) and "CERTIFICATE_VERIFY_FAILED" not in str(error):
                is_gone = any(isinstance(cause, _UNREACHABLE) for cause in _causes(error))
                raise Interrupted(_why(error), unreachable=is_gone) from None
            where = shown(address.url)
            raise TransferFailed(
                f"{where} cannot be asked for: {_why(error)}.", url=where
            ) from None
        finally:
            PACE.reset(token)
        pace.start_body()
        return response

    @contextlib.contextmanager
    def _session(self) -> Iterator[requests.Session]:
        """A session that no other thread uses meanwhile; its connections are kept for the next."""
        with self._lock:
            session = self._idle.pop() if self._idle else _new_session()
        try:
            yield session
        finally:
            with self._lock:
                self._idle.append(session)


def _check_head(response: requests.Response, url: str) -> None:
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


def _auth(address: Address, headers: Mapping[str, str]) -> requests.auth.AuthBase | None:
    """How a request says who makes it; None leaves it to `.netrc`, which would override all."""
    if any(name.lower() == "authorization" for name in headers):
        return _AsItIs()
    if address.login is not None:
        return HTTPBasicAuth(address.login.name.encode(), address.login.password.encode())
    return None


class _AsItIs(requests.auth.AuthBase):
    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        return request


# What goes wrong below


_BROKEN = (OSError, ValueError, http.client.HTTPException, urllib3.exceptions.HTTPError)
"""All that the libraries below raise; the errors of requests are among the first."""

_MAY_PASS = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)

_UNREACHABLE = (urllib3.exceptions.NewConnectionError, socket.gaierror)
"""Nobody listens, there is no such host, or no way to it."""

_REASONS: tuple[tuple[type[BaseException], str], ...] = (
    (ConnectionRefusedError, "the connection was refused"),
    (ConnectionResetError, "the connection was reset"),
    (BrokenPipeError, "the connection was reset"),
    (socket.gaierror, "no such host"),
    (ssl.SSLCertVerificationError, "the server's certificate is not trusted"),
    (ssl.SSLError, "no secure connection could be made"),
    (urllib3.exceptions.ConnectTimeoutError, "no connection in time"),
    (urllib3.exceptions.IncompleteRead, "the answer broke off"),
    (http.client.RemoteDisconnected, "the server hung up"),
    (http.client.IncompleteRead, "the answer broke off"),
    (http.client.HTTPException, "the answer is no HTTP"),
    (urllib3.exceptions.ProxyError, "the proxy does not let it through"),
    (TimeoutError, "no answer in time"),
)


def _why(error: BaseException) -> str:
    """What went wrong, without the addresses and the wrapping of the libraries below."""
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, Stalled):
            return str(cause)
    for kind, meant in _REASONS:
        if any(isinstance(cause, kind) for cause in causes):
            return meant
    return type(error).__name__


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


# How the libraries below are set up


class _PacedResponse(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **named: Any) -> None:
        pace = PACE.get()
        super().__init__(cast("socket.socket", PacedSocket(sock, pace)), *args, **named)
        pace.body = self


class _Connection(HTTPConnection):
    response_class = _PacedResponse


class _SecureConnection(HTTPSConnection):
    response_class = _PacedResponse


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **named: Any) -> None:
        super().init_poolmanager(*args, **named)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, *args: Any, **named: Any) -> urllib3.ProxyManager:
        manager: urllib3.ProxyManager = super().proxy_manager_for(*args, **named)
        manager.pool_classes_by_scheme = _POOLS
        return manager


_POOLS = {"http": _Pool, "https": _SecurePool}


def _new_session() -> requests.Session:
    session = requests.Session()
    session.headers.update(_OWN_HEADERS)
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    for scheme in ("http://", "https://"):
        session.mount(scheme, _Adapter())
    return session


def _drop_queries(record: logging.LogRecord) -> bool:
    """Signed addresses are secrets, and urllib3 logs the addresses that it asks for."""
    if PACE.get(None) is not None and isinstance(record.args, tuple):
        record.args = tuple(
            arg.partition("?")[0] if isinstance(arg, str) else arg for arg in record.args
        )
    return True


_TALKATIVE = ("urllib3.connectionpool", "urllib3.connection")
