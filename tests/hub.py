"""A Hugging Face Hub on the loopback, as far as downloads go.

`Hub` answers what huggingface_hub 2.4 and zoostore ask for: the state of a repository, its tree
in pages, its commits, and the files themselves. Large files are redirected with a signed query to
a second server on another port, the CDN, as the real Hub does; small ones to another path. There
is no Xet.

    def test_…(hub: Hub, tmp_path: Path) -> None:
        commit = hub.commit("org/name", {"config.json": b"{}", "model.safetensors": b"…"})
        hub.repository("org/name").refs["v1"] = commit
        snapshot = hub.download("org/name", tmp_path / "cache")  # by the real library
        assert hub.asked("cdn")[0].headers…

A repository is called as in a stub behind `hf:`, so `datasets/org/name` is a dataset. Files of
which the name ends as in `hub_repository.LFS` are kept by sha256, all others by their Git blob id.

`hub.requests` has all that was asked for. `hub.answers` says, by path without its query, what
happens to the next requests for it, as those of `Web` do; the last answer stays.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import parse_qs, quote, unquote, urlencode, urlsplit

import pytest

from tests.hub_repository import Blob, Commit, Repository
from tests.web_server import WebServer

Headers: TypeAlias = Mapping[str, str]

NONE: Headers = {}
SIGNATURE = "Signature=signed-by-the-hub"

_ID = r"(?P<id>[^/]+(?:/[^/]+)??)"
_API = re.compile(
    rf"/api/(?P<kind>models|datasets)/{_ID}"
    r"(?:/(?P<verb>revision|tree|commits|auth-check)(?:/(?P<revision>[^/]+)(?P<path>/.*)?)?)?"
)
_CACHED = re.compile(
    rf"/api/resolve-cache/(?P<kind>models|datasets)/{_ID}/(?P<revision>[0-9a-f]{{40}})/(?P<path>.+)"
)
_RESOLVE = re.compile(rf"/(?P<kind>datasets/)?{_ID}/resolve/(?P<revision>[^/]+)/(?P<path>.+)")

_DOWNLOAD = """
import sys
from huggingface_hub import snapshot_download
name, kind, revision, cache = sys.argv[1:]
print(snapshot_download(name, repo_type=kind, revision=revision or None, cache_dir=cache))
"""


@dataclass
class Asked:
    """A request; `host` is `hub` or `cdn`, `sent` the bytes of the body that answered it."""

    host: str
    method: str
    target: str
    headers: Mapping[str, str]
    status: int = 0
    sent: int = 0

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        return {name: values[-1] for name, values in parse_qs(urlsplit(self.target).query).items()}

    @property
    def token(self) -> str | None:
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        return token if scheme == "Bearer" else None


class Handler(BaseHTTPRequestHandler):
    """Answers one connection's requests."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_GET(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.asked = Asked(self.server.name, self.command, self.path, headers)
        hub = self.server.hub
        hub.requests.append(self.asked)
        answers = hub.answers.get(self.asked.path)
        answer = None
        if answers:
            answer = answers[0] if len(answers) == 1 else answers.pop(0)
        (answer or type(self).serve)(self)

    do_HEAD = do_GET  # noqa: N815

    def serve(self) -> None:
        """Answer as if nothing else were said."""
        serve_cdn(self) if self.server.name == "cdn" else serve_hub(self)

    def answer(self, status: int, body: bytes = b"", headers: Headers = NONE) -> None:
        """Send a whole answer; `headers` go over those that it would have."""
        self.asked.status = status
        self.asked.sent = len(body) if self.command == "GET" else 0
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def say(self, value: object, status: int = 200, headers: Headers = NONE) -> None:
        """Send JSON."""
        body = json.dumps(value).encode()
        self.answer(status, body, {"Content-Type": "application/json", **headers})

    def refuse(self, status: int, message: str, code: str = "") -> None:
        headers = {"X-Error-Message": message} | ({"X-Error-Code": code} if code else {})
        self.say({"error": message}, status, headers)

    def send_content(self, content: bytes, headers: Headers) -> None:
        """Send a file, or the range of it that was asked for."""
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.asked.headers.get("range", ""))
        headers = {"Accept-Ranges": "bytes", **headers}
        if wanted is None:
            self.answer(200, content, headers)
            return
        start, end = int(wanted[1]), int(wanted[2] or len(content)) + 1
        part = content[start:end]
        if not part:
            self.answer(416, headers={"Content-Range": f"bytes */{len(content)}"})
            return
        span = f"bytes {start}-{start + len(part) - 1}/{len(content)}"
        self.answer(206, part, {"Content-Range": span, **headers})

    def log_message(self, format: str, *args: Any) -> None:
        pass


Answer: TypeAlias = Callable[[Handler], None] | None
"""What to do with a request; None is to serve it as usual."""


class _Server(WebServer):
    def __init__(self, hub: Hub, name: str) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.hub, self.name = hub, name
        self._open: set[Any] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        """End the connections that clients keep open."""
        for request in list(self._open):
            with contextlib.suppress(OSError):
                request.shutdown(2)


class Hub:
    """The Hub and its CDN, until it is closed.

    Attributes:
        repositories: by name.
        renamed: new names by old ones.
        tokens: those that the Hub has given out; any other is refused.
        page_size: how many lines of a tree stand in one answer.
        requests: what was asked for, of both servers.
        answers: what happens to the next requests for a path.
    """

    def __init__(self) -> None:
        self.repositories: dict[str, Repository] = {}
        self.renamed: dict[str, str] = {}
        self.tokens: set[str] = set()
        self.page_size = 1000
        self.requests: list[Asked] = []
        self.answers: dict[str, list[Answer]] = {}
        self._servers = [_Server(self, name) for name in ("hub", "cdn")]
        self._threads = [
            threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
            for server in self._servers
        ]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        for server, thread in zip(self._servers, self._threads, strict=True):
            server.shutdown()
            thread.join()
            server.hang_up()
            server.server_close()

    @property
    def url(self) -> str:
        """What `HF_ENDPOINT` is to be."""
        return self._servers[0].url

    @property
    def cdn_url(self) -> str:
        return self._servers[1].url

    def repository(self, name: str) -> Repository:
        """The repository of this name; made if there is none."""
        return self.repositories.setdefault(name, Repository(name))

    def commit(self, name: str, files: Mapping[str, bytes], *, to: str = "main") -> str:
        """Add a commit that holds just these files, and point a branch to it; its id."""
        return self.repository(name).commit(files, to)

    def asked(self, host: str, method: str = "GET") -> list[Asked]:
        """What one of the servers was asked for, so far."""
        return [asked for asked in self.requests if (asked.host, asked.method) == (host, method)]

    @property
    def paths(self) -> list[str]:
        return [asked.path for asked in self.requests]

    def says(self, path: str, value: object, status: int = 200, headers: Headers = NONE) -> None:
        """Have a path answered with JSON from now on."""
        self.answers[path] = [lambda handler: handler.say(value, status, headers)]

    def environment(self, home: Path, token: str = "") -> dict[str, str]:
        """The environment in which the real library works with this Hub, and with nothing else."""
        named = {
            "HF_ENDPOINT": self.url,
            "HF_HOME": str(home),
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "NO_PROXY": "*",
        }
        kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
        return kept | named | ({"HF_TOKEN": token} if token else {})

    def download(self, name: str, cache: Path, *, revision: str = "", token: str = "") -> Path:
        """Have huggingface_hub download into its cache; the folder of the snapshot.

        It reads its environment when it is imported, so it gets a process of its own.
        """
        repository = name.removeprefix("datasets/")
        kind = "model" if repository == name else "dataset"
        ran = subprocess.run(
            [sys.executable, "-c", _DOWNLOAD, repository, kind, revision, str(cache)],
            env=self.environment(cache.with_name(f"{cache.name}-home"), token),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        return Path(ran.stdout.strip())


def serve_hub(handler: Handler) -> None:
    """Answer for the Hub itself."""
    path = handler.asked.path
    routes = ((_CACHED, _cached), (_API, _api), (_RESOLVE, _resolve))
    matches = ((pattern.fullmatch(path), serve) for pattern, serve in routes)
    match, serve = next(((match, serve) for match, serve in matches if match), (None, _api))
    if match is None:
        handler.refuse(404, "Not found")
        return
    kind = "datasets/" if (match["kind"] or "").startswith("datasets") else ""
    name = kind + unquote(match["id"])
    hub = handler.server.hub
    if name in hub.renamed:
        to = handler.path.replace(match["id"], hub.renamed[name].removeprefix("datasets/"), 1)
        handler.answer(307, headers={"Location": to})
        return
    repository = hub.repositories.get(name)
    is_file = serve is not _api or match["verb"] == "auth-check"
    if refusal := _refusal(hub, repository, handler.asked.token, is_file=is_file):
        handler.refuse(*refusal)
        return
    assert repository is not None
    serve(handler, repository, match)


def _refusal(
    hub: Hub, repository: Repository | None, token: str | None, *, is_file: bool
) -> tuple[int, str, str] | None:
    if token is not None and token not in hub.tokens:
        return 401, "Invalid credentials in Authorization header", ""
    is_reader = repository is not None and token in repository.readers
    if repository is None or (repository.is_private and not is_reader):
        if token is None:
            return 401, "Invalid username or password.", ""
        return 404, "Repository not found", "RepoNotFound"
    if repository.is_disabled:
        return 403, "Access to this resource is disabled.", ""
    if repository.gated and not is_reader and (is_file or repository.is_listing_gated):
        restricted = f"Access to {repository.name} is restricted"
        if token is None:
            return 401, f"{restricted}. You must be authenticated.", "GatedRepo"
        return 403, f"{restricted}, and you are not in the authorized list.", "GatedRepo"
    return None


def _api(handler: Handler, repository: Repository, match: re.Match[str]) -> None:
    if match["verb"] == "auth-check":
        handler.answer(200)
        return
    commit = _commit(handler, repository, unquote(match["revision"] or "main"))
    if commit is None:
        return
    if match["verb"] == "commits":
        times = [found for found in repository.commits.values() if found.time <= commit.time]
        handler.say([_commit_line(found) for found in reversed(times)])
    elif match["verb"] == "tree":
        _tree(handler, commit)
    else:
        handler.say(repository.info(commit))


def _commit_line(commit: Commit) -> dict[str, Any]:
    author = {"user": "someone"}
    return {
        "id": commit.id,
        "title": "A commit",
        "message": "",
        "authors": [author],
        "date": commit.date,
    }


def _tree(handler: Handler, commit: Commit) -> None:
    query = handler.asked.query
    start, size = int(query.get("cursor", "0")), handler.server.hub.page_size
    lines = commit.tree()
    headers = {}
    if start + size < len(lines):
        following = urlencode(query | {"cursor": str(start + size)})
        url = f"{handler.server.url}{handler.asked.path}?{following}"
        headers["Link"] = f'<{url}>; rel="next"'
    handler.say(lines[start : start + size], headers=headers)


def _commit(handler: Handler, repository: Repository, revision: str) -> Commit | None:
    commit = repository.find(revision)
    if commit is None:
        handler.refuse(404, f"Invalid rev id: {revision}", "RevisionNotFound")
    return commit


def _found(
    handler: Handler, repository: Repository, match: re.Match[str]
) -> tuple[Commit, Blob] | None:
    commit = _commit(handler, repository, unquote(match["revision"]))
    if commit is None:
        return None
    blob = commit.blobs.get(unquote(match["path"]))
    if blob is None:
        handler.refuse(404, "Entry not found", "EntryNotFound")
        return None
    return commit, blob


def _resolve(handler: Handler, repository: Repository, match: re.Match[str]) -> None:
    found = _found(handler, repository, match)
    if found is None:
        return
    commit, blob = found
    said = {
        "X-Repo-Commit": commit.id,
        "X-Linked-Size": str(len(blob.content)),
        "X-Linked-Etag": f'"{blob.etag}"',
    }
    if blob.is_lfs:
        location = f"{handler.server.hub.cdn_url}/{blob.sha256}?Expires=1&{SIGNATURE}"
        handler.answer(302, headers={"Location": location, **said})
        return
    name = repository.name.removeprefix("datasets/")
    kind = "models" if name == repository.name else "datasets"
    path = quote(unquote(match["path"]))
    location = f"/api/resolve-cache/{kind}/{name}/{commit.id}/{path}"
    handler.answer(307, headers={"Location": location, **said})


def _cached(handler: Handler, repository: Repository, match: re.Match[str]) -> None:
    found = _found(handler, repository, match)
    if found is not None:
        commit, blob = found
        said = {"ETag": f'"{blob.etag}"', "X-Repo-Commit": commit.id}
        handler.send_content(blob.content, said)


def serve_cdn(handler: Handler) -> None:
    """Answer for the CDN, which knows large files only, and only signed requests."""
    if "authorization" in handler.asked.headers:
        handler.answer(400, b"Only one auth mechanism allowed")
        return
    if SIGNATURE not in handler.path:
        handler.answer(403, b"Missing signature")
        return
    for repository in handler.server.hub.repositories.values():
        for commit in repository.commits.values():
            for blob in commit.blobs.values():
                if blob.is_lfs and blob.sha256 == handler.asked.path.removeprefix("/"):
                    handler.send_content(blob.content, {"ETag": f'"{blob.sha256[:32]}"'})
                    return
    handler.answer(404, b"No such object")


@pytest.fixture
def hub() -> Iterator[Hub]:
    """A Hub of the test's own."""
    with contextlib.closing(Hub()) as running:
        yield running
