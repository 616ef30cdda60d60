"""What the tests of the transport share: a web server that fails and lies when it is told to."""

from __future__ import annotations

import contextlib
import random
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeAlias

import pytest

from tests.web_server import WebServer
from zoostore.digest import SHA256, Digest, DigestHasher
from zoostore.progress import Progress
from zoostore.transport.downloads import Downloads
from zoostore.transport.http import HttpClient
from zoostore.transport.patience import Patience
from zoostore.transport.wanted import Arrived, Failed, Place, Wanted

MIB = 1 << 20
SEGMENT = MIB
SMALL = 1000
LARGE = 4 * MIB + 12_345
"""A content that several connections fetch, the last of its segments being short."""

HURRIED = Patience(
    tries=3, first_pause=0.001, longest_pause=0.01, connect=5, read=0.1, window=0.1, least=1000
)


class Asked(NamedTuple):
    """A request as it came."""

    path: str
    headers: Mapping[str, str]

    @property
    def range(self) -> str | None:
        return self.headers.get("Range")


class Exchange(BaseHTTPRequestHandler):
    """One request, and the means to answer it."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: FaultServer

    def do_GET(self) -> None:
        fault = self.server.note(Asked(self.path, dict(self.headers.items())))
        with contextlib.suppress(OSError):
            (fault or Exchange.serve)(self)

    @property
    def content(self) -> bytes:
        return self.server.contents.get(self.path.partition("?")[0], b"")

    @property
    def span(self) -> tuple[int, int] | None:
        """What is asked for, if the server does ranges and the client's condition holds."""
        wanted = self.headers.get("Range", "").removeprefix("bytes=")
        condition = self.headers.get("If-Range", self.server.etag)
        if not wanted or not self.server.ranges or condition != self.server.etag:
            return None
        first, _, last = wanted.partition("-")
        return int(first), min(int(last) + 1 if last else len(self.content), len(self.content))

    def serve(self) -> None:
        """Answer as a server should."""
        self.head()
        self.body(self.asked_bytes())

    def asked_bytes(self) -> bytes:
        start, end = self.span or (0, len(self.content))
        return self.content[start:end]

    def head(self, status: int = 0, **headers: str) -> None:
        """The head of an answer; `headers` with `_` for `-`, and over those that it would have."""
        size = len(self.content)
        sent = {"Content_Length": str(len(self.asked_bytes()))}
        if self.server.etag:
            sent["ETag"] = self.server.etag
        if self.span is not None:
            sent["Content_Range"] = f"bytes {self.span[0]}-{self.span[1] - 1}/{size}"
        self.send_response(status or (200 if self.span is None else 206))
        for name, value in (sent | headers).items():
            if value:
                self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def body(self, data: bytes) -> None:
        for start in range(0, len(data), 1 << 16):
            piece = data[start : start + (1 << 16)]
            self.wfile.write(piece)
            with self.server.lock:
                self.server.sent += len(piece)

    def hang_up(self) -> None:
        self.close_connection = True

    def until_the_client_goes(self) -> None:
        self.close_connection = True
        self.connection.settimeout(20)
        with contextlib.suppress(OSError):
            self.connection.recv(1)

    def log_message(self, format: str, *args: Any) -> None:
        pass


Fault: TypeAlias = Callable[[Exchange], None] | None
"""What to do with a request; None is to answer as a server should."""


class FaultServer(WebServer):
    """Serves contents by their paths.

    `faults` say what happens to the next requests, whatever they ask for; `always` to all others.
    """

    def __init__(self, contents: dict[str, bytes], *, ranges: bool) -> None:
        super().__init__(("127.0.0.1", 0), Exchange)
        self.contents = contents
        self.ranges = ranges
        self.etag = ""
        self.faults: list[Fault] = []
        self.always: Fault = None
        self.asked: list[Asked] = []
        self.sent = 0
        self.lock = threading.Lock()
        self.connections: list[Any] = []
        self.closing = threading.Event()
        self.tls: ssl.SSLContext | None = None

    @property
    def url(self) -> str:
        return f"http{'s' if self.tls else ''}://127.0.0.1:{self.server_port}"

    def finish_request(self, request: Any, client_address: Any) -> None:
        if self.tls is not None:
            request = self.tls.wrap_socket(request, server_side=True)
        with request:
            super().finish_request(request, client_address)

    def note(self, asked: Asked) -> Fault:
        with self.lock:
            self.asked.append(asked)
            return self.faults.pop(0) if self.faults else self.always

    def process_request(self, request: Any, client_address: Any) -> None:
        with self.lock:
            self.connections.append(request)
        super().process_request(request, client_address)

    def hang_up_all(self) -> None:
        """End connections that clients keep for later, and answers that do not end."""
        self.closing.set()
        for connection in self.connections:
            with contextlib.suppress(OSError):
                connection.shutdown(2)


class StartServer(Protocol):
    """Starts a server with contents by path, until the test ends."""

    def __call__(self, contents: dict[str, bytes], *, ranges: bool = ...) -> FaultServer: ...


@pytest.fixture
def start_server() -> Iterator[StartServer]:
    with contextlib.ExitStack() as stack:

        def start(contents: dict[str, bytes], *, ranges: bool = True) -> FaultServer:
            server = stack.enter_context(FaultServer(contents, ranges=ranges))
            thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
            thread.start()
            stack.callback(thread.join)
            stack.callback(server.shutdown)
            stack.callback(server.hang_up_all)
            return server

        yield start


@pytest.fixture(scope="session")
def large() -> bytes:
    return random.Random(4).randbytes(LARGE)


@pytest.fixture
def client() -> Iterator[HttpClient]:
    with HttpClient(HURRIED) as client:
        yield client


@pytest.fixture(autouse=True)
def _always_in_parallel(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loopback is fast enough for one connection, but several are what is tested."""
    monkeypatch.setattr("zoostore.transport.streaming._FAST", 1 << 60)
    monkeypatch.setattr("zoostore.transport.streaming._FAST_AFTER", 0)


def promised(content: bytes) -> Digest:
    hasher = DigestHasher([SHA256])
    hasher.update(content)
    return hasher.digests()[SHA256]


class Want(Protocol):
    """Describes a content; by its size and its SHA-256 if nothing else is said."""

    def __call__(
        self, content: bytes, *urls: str, size: bool = ..., digest: bool = ...
    ) -> Wanted: ...


@pytest.fixture
def want() -> Want:
    def make(content: bytes, *urls: str, size: bool = True, digest: bool = True) -> Wanted:
        return Wanted(
            "the model",
            tuple(map(Place, urls)),
            len(content) if size else None,
            (promised(content),) if digest else (),
        )

    return make


class Fetch(Protocol):
    """Downloads contents; what became of each, its file read and taken away."""

    def __call__(self, *wanted: Wanted) -> list[Arrived | Failed]: ...


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "downloads"


class Watcher:
    """Remembers what progress it was told of."""

    def __init__(self) -> None:
        self.done = 0
        self.items: dict[str, tuple[int, int | None]] = {}
        self.ended: list[str] = []
        self.notes: list[str] = []
        self._lock = threading.Lock()

    def begin(self, what: str, total_bytes: int) -> None:
        pass

    def advance(self, count: int) -> None:
        with self._lock:
            self.done += count

    def item(self, name: str, done: int, total: int | None) -> None:
        with self._lock:
            self.items[name] = (done, total)

    def item_end(self, name: str) -> None:
        with self._lock:
            self.ended.append(name)

    def note(self, text: str) -> None:
        with self._lock:
            self.notes.append(text)

    def end(self) -> None:
        pass


@pytest.fixture
def watcher() -> Watcher:
    return Watcher()


@pytest.fixture
def fetch(folder: Path, client: HttpClient, watcher: Progress) -> Fetch:
    def run(*wanted: Wanted) -> list[Arrived | Failed]:
        with Downloads(folder, client, watcher, segment=SEGMENT, small=SMALL) as downloads:
            return [taken(outcome) for outcome in downloads.run(wanted)]

    return run


def taken(outcome: Arrived | Failed) -> Arrived | Failed:
    """The outcome with the content in memory; its file is taken away, as its receiver does."""
    if isinstance(outcome, Failed) or isinstance(outcome.content, bytes):
        return outcome
    data = outcome.content.read_bytes()
    outcome.content.unlink()
    return Arrived(
        outcome.wanted,
        data,
        outcome.size,
        outcome.digests,
        outcome.place,
        outcome.etag,
        outcome.received,
    )
