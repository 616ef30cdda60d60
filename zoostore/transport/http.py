"""A published directory behind a web server. The only importer of requests."""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Iterator
from urllib.parse import urlsplit, urlunsplit

import requests

from zoostore.digest import CHUNK
from zoostore.errors import TransferFailed
from zoostore.transport.base import NotThere, RangesIgnored

_CONNECT_SECONDS = 10
_READ_SECONDS = 60
_TRIES = 4
_FIRST_PAUSE_SECONDS = 0.25
_NOT_THERE = frozenset([404, 410])
_TRY_AGAIN = frozenset([408, 425, 429, 500, 502, 503, 504])


class _Interrupted(Exception):
    """A request failed in a way that the next one may not."""


class HttpFiles:
    """The files below a URL.

    A body that breaks off is asked for again from where it broke; whoever reads
    it checks the content.
    """

    needs_network = True

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._session = requests.Session()
        # What is hashed is the file, not what a server makes of it on the way.
        self._session.headers.update({"Accept-Encoding": "identity", "User-Agent": "zoostore"})

    def close(self) -> None:
        self._session.close()

    @property
    def address(self) -> str:
        parts = urlsplit(self._url)
        return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query=""))

    @property
    def url(self) -> str:
        return self.address

    @contextlib.contextmanager
    def stream(self, path: str) -> Iterator[Iterator[bytes]]:
        # The first request is made here, so that a file that is not there is known at once.
        first = self._retrying(path, 0)
        with contextlib.ExitStack() as stack:
            stack.callback(first.close)
            yield self._continued(path, first, stack)

    def read_range(self, path: str, offset: int, length: int) -> bytes:
        headers = {"Range": f"bytes={offset}-{offset + length - 1}"}
        pause = _FIRST_PAUSE_SECONDS
        for attempt in range(_TRIES):
            try:
                with self._request(path, headers) as response:
                    if response.status_code == requests.codes.ok:
                        raise RangesIgnored(f"{self.address} sends whole files only.")
                    return b"".join(_body(response, length))
            except _Interrupted as error:
                pause = self._wait(path, error, attempt, pause)
        raise AssertionError("unreachable")

    def _continued(
        self, path: str, response: requests.Response, stack: contextlib.ExitStack
    ) -> Iterator[bytes]:
        received, attempt, pause = 0, 0, _FIRST_PAUSE_SECONDS
        while True:
            try:
                for chunk in _body(response):
                    received += len(chunk)
                    attempt = 0
                    yield chunk
                return
            except _Interrupted as error:
                pause = self._wait(path, error, attempt, pause)
                attempt += 1
            response = self._retrying(path, received)
            stack.callback(response.close)
            if received and response.status_code == requests.codes.ok:
                raise TransferFailed(
                    f"The transfer of {self.address}/{path} broke off after {received} bytes, and "
                    "the server cannot go on from there.",
                    url=f"{self.address}/{path}",
                )

    def _retrying(self, path: str, start: int) -> requests.Response:
        headers = {"Range": f"bytes={start}-"} if start else {}
        pause = _FIRST_PAUSE_SECONDS
        for attempt in range(_TRIES):
            try:
                return self._request(path, headers)
            except _Interrupted as error:
                pause = self._wait(path, error, attempt, pause)
        raise AssertionError("unreachable")

    def _request(self, path: str, headers: dict[str, str]) -> requests.Response:
        url = f"{self._url}/{path}"
        try:
            response = self._session.get(
                url, headers=headers, stream=True, timeout=(_CONNECT_SECONDS, _READ_SECONDS)
            )
        except requests.ConnectionError as error:
            raise _Interrupted(_plain(error)) from error
        except requests.Timeout as error:
            raise _Interrupted("no answer in time") from error
        except requests.RequestException as error:
            raise TransferFailed(
                f"{self.address}/{path} cannot be asked for: {_plain(error)}.",
                url=f"{self.address}/{path}",
            ) from error
        self._check_status(path, response, is_range=bool(headers))
        return response

    def _check_status(self, path: str, response: requests.Response, *, is_range: bool) -> None:
        status = response.status_code
        if status == requests.codes.ok or (is_range and status == requests.codes.partial_content):
            return
        response.close()
        if status in _TRY_AGAIN:
            raise _Interrupted(f"status {status}")
        failed = NotThere if status in _NOT_THERE else TransferFailed
        raise failed(
            f"{self.address}/{path} is not to be had: the server answered with status {status}.",
            url=f"{self.address}/{path}",
            status=status,
        )

    def _wait(self, path: str, error: Exception, attempt: int, pause: float) -> float:
        """Wait before the next try; how long to wait before the one after."""
        if attempt + 1 >= _TRIES:
            raise TransferFailed(
                f"{self.address}/{path} could not be read: {error} ({_TRIES} tries).",
                url=f"{self.address}/{path}",
            ) from error
        time.sleep(pause * random.uniform(0.5, 1.5))
        return 2 * pause


def _body(response: requests.Response, limit: int | None = None) -> Iterator[bytes]:
    """The body in pieces, as sent; no more than `limit` bytes."""
    promised = response.headers.get("Content-Length", "")
    received = 0
    try:
        for chunk in response.iter_content(CHUNK):
            received += len(chunk)
            if limit is not None and received > limit:
                raise TransferFailed(f"The server sent more than the {limit} bytes asked for.")
            yield chunk
    except requests.RequestException as error:
        raise _Interrupted(_plain(error)) from error
    if promised.isdigit() and received < int(promised):
        raise _Interrupted(f"{received} of {promised} bytes came")


def _plain(error: requests.RequestException) -> str:
    """What went wrong, without the addresses and the wrapping of the libraries below."""
    text = str(error)
    for said, meant in (
        ("refused", "the connection was refused"),
        ("Name or service not known", "no such host"),
        ("name resolution", "no such host"),
        ("reset", "the connection was reset"),
        ("CERTIFICATE_VERIFY_FAILED", "the server's certificate is not trusted"),
    ):
        if said in text:
            return meant
    return type(error).__name__
