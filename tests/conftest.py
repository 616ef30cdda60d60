"""What all tests share: a home of their own, small directories, the command line, web servers.

A directory is written as a mapping of paths in the notation of `ls -F`: `name*` is an
executable file, `name/` an empty folder. Bytes are a file's content, a text is where a link
points, None stands for a folder.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from http.server import SimpleHTTPRequestHandler
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeAlias

import pytest
from hypothesis import settings

from tests.hub import hub as hub  # a fixture
from tests.web_server import WebServer
from zoostore import Store
from zoostore.cli.main import run
from zoostore.transport.patience import Patience

Content: TypeAlias = bytes | str | None
Files: TypeAlias = Mapping[str, Content]

# Other work on the machine may make any example slow: that is no finding.
settings.register_profile("zoostore", deadline=None)
settings.load_profile("zoostore")

SETTINGS = ("HOME", "INDEX", "OFFLINE", "REMOTE", "NO_PROGRESS")
HUB_SETTINGS = ("HF_HUB_OFFLINE", "HF_ENDPOINT", "HF_HOME", "HF_TOKEN", "HF_TOKEN_PATH")
SMALL_THRESHOLD = 'large_object = 16\nlink = "hardlink"\n'
"""A config.toml with which files of 16 bytes are large, so that small tests meet both tiers."""


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the user's store, and no setting of the user's changes a test."""
    for name in SETTINGS:
        monkeypatch.delenv(f"ZOOSTORE_{name}", raising=False)
    for name in ("NO_COLOR", "FORCE_COLOR", "http_proxy", "HTTP_PROXY", *HUB_SETTINGS):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ZOOSTORE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")  # where nobody listens
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


# Directories


def lay_out(root: Path, files: Files) -> Path:
    """Make a directory that holds these files."""
    root.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        path = root / name.rstrip("*/")
        path.parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            path.mkdir()
        elif isinstance(content, str):
            path.symlink_to(content)
        else:
            path.write_bytes(content)
            path.chmod(0o755 if name.endswith("*") else 0o644)
    return root


def look_at(root: Path) -> dict[str, Content]:
    """What a directory holds; a checkout's own folder is passed over."""
    found: dict[str, Content] = {}
    for folder, names, files in os.walk(root):
        if ".zoostore" in names:
            names.remove(".zoostore")
        for name in [*names, *files]:
            path = Path(folder, name)
            key = path.relative_to(root).as_posix()
            status = path.lstat()
            if stat.S_ISLNK(status.st_mode):
                found[key] = os.readlink(path)
            elif stat.S_ISREG(status.st_mode):
                found[key + "*" * bool(status.st_mode & 0o100)] = path.read_bytes()
            elif not any(path.iterdir()):
                found[key + "/"] = None
    return found


class LayOut(Protocol):
    """Makes a directory, by its name in the test's own folder, that holds some files."""

    def __call__(self, name: str, files: Files) -> Path: ...


@pytest.fixture(scope="session")
def lay_at() -> Callable[[Path, Files], Path]:
    """Makes a directory anywhere."""
    return lay_out


@pytest.fixture
def lay(tmp_path: Path) -> LayOut:
    return lambda name, files: lay_out(tmp_path / name, files)


@pytest.fixture
def look() -> Callable[[Path], dict[str, Content]]:
    return look_at


@pytest.fixture
def stamps() -> Callable[[Path], dict[str, tuple[int, int]]]:
    """Inode and time of the last change of every file below a directory."""

    def of(root: Path) -> dict[str, tuple[int, int]]:
        paths = [path for path in root.rglob("*") if path.is_symlink() or path.is_file()]
        statuses = {path.relative_to(root).as_posix(): path.lstat() for path in paths}
        return {name: (status.st_ino, status.st_mtime_ns) for name, status in statuses.items()}

    return of


# Stores


@pytest.fixture
def new_store(tmp_path: Path) -> Callable[[str], Store]:
    """Gives an empty store of this name in the test's folder, with a small threshold."""

    def make(name: str) -> Store:
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.toml").write_text(SMALL_THRESHOLD)
        return Store(tmp_path / name)

    return make


@pytest.fixture
def store(new_store: Callable[[str], Store]) -> Store:
    """A store in which files of 16 bytes are large, and checkouts are hard links."""
    return new_store("store")


class InStore(Protocol):
    """The files of a store or a zoo that are of one kind: objects, packs."""

    def __call__(self, root: Path) -> list[Path]: ...


@pytest.fixture
def loose() -> InStore:
    return lambda root: sorted(path for path in (root / "objects").rglob("*") if path.is_file())


@pytest.fixture
def packs() -> InStore:
    return lambda root: sorted((root / "packs").iterdir())


# The command line


class Ran(NamedTuple):
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Cli(Protocol):
    """Runs the command line in this process."""

    def __call__(self, *arguments: str | Path) -> Ran: ...


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Cli:
    def call(*arguments: str | Path) -> Ran:
        capsys.readouterr()
        code = run([str(argument) for argument in arguments])
        return Ran(code, *capsys.readouterr())

    return call


class Process(Protocol):
    """Runs the command line in a process of its own."""

    def __call__(
        self, *arguments: str | Path, env: Mapping[str, str] | None = None, cwd: Path | None = None
    ) -> subprocess.CompletedProcess[bytes]: ...


@pytest.fixture
def process() -> Process:
    def call(
        *arguments: str | Path, env: Mapping[str, str] | None = None, cwd: Path | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [sys.executable, "-m", "zoostore", *map(str, arguments)],
            env={**os.environ, **(env or {})},
            cwd=cwd,
            capture_output=True,
            timeout=60,
            check=False,
        )

    return call


# Web servers


class Request(NamedTuple):
    """What a server was asked for."""

    path: str
    range: str | None


class Handler(SimpleHTTPRequestHandler):
    """Serves a directory as `python -m http.server` does: whole files only."""

    server: Web

    def do_GET(self) -> None:
        self.server.requests.append(Request(self.path, self.headers.get("Range")))
        answers = self.server.answers.get(self.path)
        if answers:
            answer = answers[0] if len(answers) == 1 else answers.pop(0)
            if answer is not None:
                answer(self)
                return
        self.serve_file()

    def serve_file(self) -> None:
        super().do_GET()

    def answer(self, status: int, body: bytes, **headers: str) -> None:
        """Send a whole answer; `headers` with `_` for `-`, and over those that it would have."""
        self.send_response(status)
        sent = {"Content_Length": str(len(body)), **headers}
        for name, value in sent.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def content(self) -> bytes:
        """The file that was asked for."""
        return Path(self.translate_path(self.path)).read_bytes()

    def log_message(self, format: str, *args: Any) -> None:
        pass


class RangeHandler(Handler):
    """Serves a directory as most web servers do: parts of files too."""

    def serve_file(self) -> None:
        wanted = self.headers.get("Range", "").removeprefix("bytes=")
        if wanted and Path(self.translate_path(self.path)).is_file():
            self.answer_range(wanted, self.content())
        else:
            super().serve_file()

    def answer_range(self, wanted: str, data: bytes) -> None:
        first, _, last = wanted.partition("-")
        start = int(first)
        end = min(int(last) + 1 if last else len(data), len(data))
        if start >= end:
            self.answer(416, b"")
            return
        self.answer(206, data[start:end], Content_Range=f"bytes {start}-{end - 1}/{len(data)}")


Answer: TypeAlias = Callable[[Handler], None] | None
"""What to do with a request; None is to serve the file."""


class Web(WebServer):
    """A web server on the loopback, with a list of what it was asked for.

    `answers` say, by path, what happens to the next requests; the last one stays.
    """

    def __init__(self, root: Path, *, ranges: bool) -> None:
        handler = RangeHandler if ranges else Handler
        super().__init__(("127.0.0.1", 0), functools.partial(handler, directory=str(root)))
        self.requests: list[Request] = []
        self.answers: dict[str, list[Answer]] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def paths(self) -> list[str]:
        return [request.path for request in self.requests]


class Serve(Protocol):
    """Serves a directory until the test ends; `ranges` says whether parts of files can be had."""

    def __call__(self, root: Path, *, ranges: bool = ...) -> Web: ...


@pytest.fixture
def serve() -> Iterator[Serve]:
    with contextlib.ExitStack() as stack:

        def start(root: Path, *, ranges: bool = True) -> Web:
            web = stack.enter_context(Web(root, ranges=ranges))
            thread = threading.Thread(target=web.serve_forever, args=(0.01,), daemon=True)
            thread.start()
            stack.callback(thread.join)
            stack.callback(web.shutdown)
            return web

        yield start


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Failed requests are tried again at once."""
    patience = Patience(tries=4, first_pause=0.001)
    monkeypatch.setattr("zoostore.transport.http.client.DEFAULT_PATIENCE", patience)


# Something to run the command line on


class Scene(NamedTuple):
    """A store that the command line finds by itself, and what there is around it.

    `zoo:one` has two snapshots, the first tagged `v1`; `zoo:two` shares a file with it.
    """

    store: Store
    work: Path
    """A checkout of `zoo:one` in which `text` was edited, `link` deleted and `new` added."""
    zoo: Path
    """A published zoo with `zoo:far` in it, tagged `v1`. No remote leads there yet."""


@pytest.fixture
def scene(
    store: Store,
    new_store: Callable[[str], Store],
    lay: LayOut,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Scene:
    big = bytes(range(256))
    first: Files = {"text": b"first", "big.bin": big, "sub/run*": b"#!", "link": "text"}
    store.add(lay("first", first), "zoo:one", message="first", metadata={"accuracy": "0.9"})
    store.tag("zoo:one", "v1")
    work = store.checkout("zoo:one", tmp_path / "work").directory
    (work / "text").write_bytes(b"second")
    store.commit(work, message="second")
    store.add(lay("two", {"big.bin": big, "own": b"own"}), "zoo:two")
    (work / "text").write_bytes(b"edited")
    (work / "link").unlink()
    (work / "new").write_bytes(b"new")
    publisher = new_store("publisher")
    publisher.add(lay("far", {"far.bin": big[::-1], "near.txt": b"near"}), "zoo:far")
    publisher.tag("zoo:far", "v1")
    publisher.publish(["zoo:far"], tmp_path / "zoo")
    monkeypatch.setenv("ZOOSTORE_HOME", str(store.path))
    return Scene(store, work, tmp_path / "zoo")
