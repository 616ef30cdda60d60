"""pull URL: a file or an archive on the web becomes a model, and is what its pin says."""

from __future__ import annotations

import hashlib
import io
import random
import tarfile
import threading
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from zoostore import Store
from zoostore.digest import hash_bytes
from zoostore.errors import (
    Diverged,
    MalformedObject,
    NeededNetwork,
    TransferFailed,
    UnsafeArchive,
    UsageError,
    WrongContent,
)
from zoostore.progress import Silent

if TYPE_CHECKING:
    from tests.conftest import Cli, Content, Handler, LayOut, Serve, Web

Look = Callable[[Path], "dict[str, Content]"]

CONTENT = random.Random(1).randbytes(50_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
STUB = "zoo:web"


@pytest.fixture
def web(serve: Serve, tmp_path: Path) -> Web:
    (tmp_path / "web").mkdir()
    (tmp_path / "web/weights.bin").write_bytes(CONTENT)
    return serve(tmp_path / "web")


def tar(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(mode="w:gz", fileobj=out) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            info.mode = 0o755 if content.startswith(b"#!") else 0o644
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def zipped(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


@pytest.mark.parametrize(
    "pin", ["", f"#sha256={SHA256}", f"#blake3={hash_bytes(CONTENT)}", f"#sha256={SHA256.upper()}"]
)
def test_a_file_becomes_a_model(
    web: Web, store: Store, tmp_path: Path, look: Look, pin: str
) -> None:
    pulled = store.pull_url(f"{web.url}/weights.bin{pin}", STUB)

    assert (pulled.downloaded_files, pulled.downloaded_bytes) == (1, len(CONTENT))
    assert look(store.checkout(STUB, tmp_path / "work").directory) == {"weights.bin": CONTENT}
    assert store.snapshot(STUB).snapshot.source == f"{web.url}/weights.bin"
    assert store.verify().is_clean


@pytest.mark.parametrize("algorithm", ["sha256", "blake3"])
def test_what_is_pinned_and_here_is_not_asked_for(
    web: Web, store: Store, lay: LayOut, algorithm: str
) -> None:
    digest = {"sha256": SHA256, "blake3": str(hash_bytes(CONTENT))}[algorithm]
    url = f"{web.url}/weights.bin#{algorithm}={digest}"
    first = store.pull_url(url, STUB).snapshot
    web.requests.clear()

    for offline in (False, True):
        again = Store(store.path, offline=offline)
        assert again.pull_url(url, STUB).snapshot == first
        assert again.pull_url(url.replace("weights", "renamed"), "zoo:other").downloaded_files == 0
    assert web.requests == []


@pytest.mark.parametrize("algorithm", ["sha256", "blake3"])
def test_another_content_than_the_pin_says_is_refused(
    web: Web, store: Store, algorithm: str
) -> None:
    with pytest.raises(WrongContent, match=algorithm):
        store.pull_url(f"{web.url}/weights.bin#{algorithm}={'0' * 64}", STUB)

    assert store.snapshots() == []
    assert store.verify().objects == 0


@pytest.mark.parametrize("make", [tar, zipped])
def test_an_archive_is_unpacked(
    web: Web,
    store: Store,
    tmp_path: Path,
    look: Look,
    make: Callable[[dict[str, bytes]], bytes],
) -> None:
    name = "model.tar.gz" if make is tar else "model.zip"
    data = make({"model/a.bin": CONTENT, "model/sub/b.txt": b"b"})
    (tmp_path / "web" / name).write_bytes(data)
    url = f"{web.url}/{name}#sha256={hashlib.sha256(data).hexdigest()}"

    first = store.pull_url(url, STUB)

    assert (first.files, first.downloaded_bytes) == (2, len(data))
    done = store.checkout(STUB, tmp_path / "work")
    assert look(done.directory) == {"a.bin": CONTENT, "sub/b.txt": b"b"}
    web.requests.clear()
    assert store.pull_url(url, STUB).snapshot == first.snapshot
    assert web.requests == [], "a pinned archive that is here is not asked for"
    assert store.verify().is_clean
    assert not list((store.path / "tmp").glob("**/*.bin"))


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (tar({"../outside": b"x"}), UnsafeArchive),
        (tar({"/absolute": b"x"}), UnsafeArchive),
        (tar({"a": b"x", "A": b"y"}), UnsafeArchive),
        (tar({"a": CONTENT})[:-20], MalformedObject),
        (b"<html>not found</html>", MalformedObject),
    ],
    ids=["up", "absolute", "twins", "cut short", "no archive"],
)
def test_an_archive_that_is_not_safe_is_refused(
    web: Web, store: Store, tmp_path: Path, data: bytes, error: type[Exception]
) -> None:
    (tmp_path / "web/model.tar.gz").write_bytes(data)
    before = {path.name for path in tmp_path.iterdir()}

    with pytest.raises(error, match=f"{web.url}/model.tar.gz"):
        store.pull_url(f"{web.url}/model.tar.gz", STUB)

    assert store.snapshots() == []
    assert {path.name for path in tmp_path.iterdir()} == before | {"store"}
    assert store.verify().is_clean


def test_an_address_that_is_pulled_again_may_have_changed(
    web: Web, store: Store, tmp_path: Path
) -> None:
    url = f"{web.url}/weights.bin"
    first = store.pull_url(url, STUB).snapshot
    assert store.pull_url(url, STUB).snapshot == first

    (tmp_path / "web/weights.bin").write_bytes(b"new")
    assert store.pull_url(url, STUB).snapshot != first


def test_a_name_that_is_taken_is_not_overwritten(web: Web, store: Store, lay: LayOut) -> None:
    mine = store.add(lay("mine", {"a": b"a"}), STUB).snapshot
    url = f"{web.url}/weights.bin"

    with pytest.raises(Diverged):
        store.pull_url(url, STUB)
    assert store.snapshot(STUB).id == mine
    assert web.requests == []
    assert store.pull_url(url, STUB, force=True).snapshot != mine


def test_offline_what_is_not_here_is_named(web: Web, store: Store, cli: Cli) -> None:
    for name in ("weights.bin", "model.zip"):
        with pytest.raises(NeededNetwork, match=name):
            Store(store.path, offline=True).pull_url(f"{web.url}/{name}", STUB)
    ran = cli("--offline", "pull", f"{web.url}/weights.bin", "--as", STUB)
    assert ran.code == 4
    assert web.requests == []


def test_a_plan_asks_for_nothing(web: Web, store: Store) -> None:
    for name in ("weights.bin", "model.zip"):
        plan = store.pull_url(f"{web.url}/{name}", STUB, dry_run=True)
        assert [path for path, _ in plan.missing] == [name]
    assert web.requests == []
    assert not (store.path / "format").exists()


def test_a_login_in_an_address_is_nowhere_afterwards(web: Web, store: Store, cli: Cli) -> None:
    host = web.url.removeprefix("http://")
    url = f"http://somebody:very-secret@{host}/weights.bin?signature=also-secret"
    store.pull_url(url, STUB)

    web.answers["/weights.bin?signature=also-secret"] = [lambda request: request.answer(404, b"")]
    ran = cli("--store", store.path, "-v", "pull", url, "--as", "zoo:other")

    assert ran.code != 0
    kept = b"".join(path.read_bytes() for path in store.path.rglob("*") if path.is_file())
    for text in (ran.out.encode(), ran.err.encode(), kept):
        assert b"secret" not in text


@pytest.mark.parametrize(
    "url",
    [
        "ftp://host/file",
        "https:///file",
        "https://host/file#md5=00",
        "https://host/file#sha256=0",
        "https://host:port/file",
    ],
)
def test_an_address_that_makes_no_sense_is_a_usage_error(store: Store, url: str) -> None:
    with pytest.raises(UsageError):
        store.pull_url(url, STUB)


def test_a_host_that_is_not_there_is_a_failed_transfer(store: Store, impatient: None) -> None:
    with pytest.raises(TransferFailed):
        store.pull_url("http://127.0.0.1:1/file", STUB)


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("name", ["weights.bin", "model.zip"])
def test_what_was_added_while_an_address_was_read_is_not_replaced(
    web: Web, store: Store, lay: LayOut, tmp_path: Path, name: str, force: bool
) -> None:
    (tmp_path / "web/model.zip").write_bytes(zipped({"a": b"a"}))
    mine: list[object] = []

    def add_meanwhile(handler: Handler) -> None:
        mine.append(Store(store.path).add(lay("mine", {"m": b"m"}), STUB).snapshot)
        handler.serve_file()

    web.answers[f"/{name}"] = [add_meanwhile]

    with pytest.raises(Diverged):
        store.pull_url(f"{web.url}/{name}", STUB, force=force)
    assert [store.snapshot(STUB).id] == mine


def test_an_address_that_two_pull_at_once_is_sent_once(
    web: Web, store: Store, tmp_path: Path
) -> None:
    store.add_remote("none", str(tmp_path))  # so that there is a store
    first, second = threading.Event(), threading.Event()

    def slow(handler: Handler) -> None:
        first.set()
        second.wait(30)
        handler.serve_file()

    class Waiting(Silent):
        def note(self, text: str) -> None:
            if "waiting for process" in text:
                second.set()

    web.answers["/weights.bin"] = [slow]
    url = f"{web.url}/weights.bin"
    with ThreadPoolExecutor(2) as pool:
        one = pool.submit(Store(store.path).pull_url, url, STUB)
        assert first.wait(30)
        two = pool.submit(Store(store.path, progress=Waiting()).pull_url, url, STUB)

    assert one.result().snapshot == two.result().snapshot
    assert len(web.requests) == 1
