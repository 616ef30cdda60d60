"""Making one request, and those that it is redirected to."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterator, Mapping
from typing import Self

import requests
from requests.auth import HTTPBasicAuth

from zoostore.errors import TransferFailed
from zoostore.progress import Progress, Silent
from zoostore.transport.addresses import Address, Origin, redirected, shown, take_apart
from zoostore.transport.http.answers import Answer, Reply, check_head
from zoostore.transport.http.reasons import BROKEN, MAY_PASS, UNREACHABLE, causes_of, why
from zoostore.transport.http.sessions import TALKATIVE, drop_queries, new_session
from zoostore.transport.pace import PACE, Pace
from zoostore.transport.patience import DEFAULT_PATIENCE, Interrupted, Patience, Tries
from zoostore.transport.wanted import Place

_MAX_REDIRECTS = 10
_REDIRECTS = frozenset([301, 302, 303, 307, 308])


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
        self._reached: set[Origin] = set()
        self._idle: list[requests.Session] = []
        self._lock = threading.Lock()
        for name in TALKATIVE:
            logging.getLogger(name).addFilter(drop_queries)

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

    def has_reached(self, url: str) -> bool:
        """Whether the server of an address has answered before."""
        return take_apart(url).origin in self._reached

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
            check_head(response, url)
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
        pace.start_head()
        try:
            response = session.get(
                address.url,
                headers=headers,
                auth=_auth(address, headers),
                stream=True,
                timeout=timeout,
                allow_redirects=False,
            )
        except BROKEN as error:
            if isinstance(error, MAY_PASS) and "CERTIFICATE_VERIFY_FAILED" not in str(error):
                is_gone = any(isinstance(cause, UNREACHABLE) for cause in causes_of(error))
                raise Interrupted(why(error), unreachable=is_gone) from None
            where = shown(address.url)
            raise TransferFailed(f"{where} cannot be asked for: {why(error)}.", url=where) from None
        finally:
            PACE.reset(token)
        pace.start_body()
        self._reached.add(address.origin)
        return response

    @contextlib.contextmanager
    def _session(self) -> Iterator[requests.Session]:
        """A session that no other thread uses meanwhile; its connections are kept for the next."""
        with self._lock:
            session = self._idle.pop() if self._idle else new_session()
        try:
            yield session
        finally:
            with self._lock:
                self._idle.append(session)


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
