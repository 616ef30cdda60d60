"""Zoos that somebody published to do harm, besides those of `tests/ops/test_hostile_zoo.py`."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.hostile.lines import parts_of
from tests.hostile.make_zoos import FOLDER, ZOOS, lay_out, publish, usual
from tests.hostile.raw_zoo import FILE, STUB, Zoo, blob, tree
from zoostore import Store
from zoostore.digest import hash_bytes
from zoostore.objects.tree import decode_tree, tree_oid
from zoostore.objects.walking import require_bounded
from zoostore.store.packs import END, FOOTER, MAGIC, ROW

if TYPE_CHECKING:
    from tests.conftest import Cli, Handler, Serve, Web
    from tests.hostile.conftest import Watching

TAKEN_IN, CHECKED_OUT = "taken in", "checked out"


class Line(NamedTuple):
    name: str
    pull: str
    checkout: str
    what: str


def lines() -> list[Line]:
    """The lines of `zoos.txt`."""
    return [Line(*parts) for parts in parts_of(FOLDER.parent / "zoos.txt")]


LINES = {line.name: line for line in lines()}


def test_there_is_a_line_for_each_zoo_that_is_kept_and_each_that_is_made() -> None:
    assert LINES.keys() == {path.name for path in FOLDER.iterdir()} == ZOOS.keys()
    assert len(lines()) == len(LINES)


def outcome(cli: Cli, *arguments: str | Path, good: str) -> str:
    """What comes of a command: the kind of its error, or `good`."""
    ran = cli(*arguments, "--json")
    if ran.code == 0:
        return good
    error = ran.json["error"]
    assert error["exit_code"] == ran.code
    assert error["kind"] != "internal", ran.out
    return str(error["kind"])


def check_clean(store: Store) -> None:
    assert store.verify().is_clean
    assert {path.name for path in (store.path / "tmp").iterdir()} <= {"downloads"}
    assert not (store.path / "quarantine").exists()


@pytest.mark.parametrize("name", LINES)
def test_nothing_wrong_is_taken_in_and_nothing_is_written_elsewhere(
    name: str, store: Store, cli: Cli, around: Path, watch: Watching
) -> None:
    line, work = LINES[name], around / "work"
    work.mkdir()
    store.add_remote("zoo", str(lay_out(name, around / "zoo")))
    at = ("--store", store.path)
    start = time.process_time()

    with watch(store.path, work):
        assert outcome(cli, *at, "pull", STUB, good=TAKEN_IN) == line.pull
        for verb in (("ls",), ("remote", "show", "zoo"), ("search", "zoo")):
            ran = cli(*at, *verb)
            assert "itself failed" not in ran.err
            assert "\x1b" not in ran.out + ran.err
        if line.checkout:
            done = outcome(cli, *at, "checkout", STUB, work / "out", good=CHECKED_OUT)
            assert done == line.checkout

    assert time.process_time() - start < 20
    assert bool(store.snapshots()) == (line.pull == TAKEN_IN)
    assert [path.name for path in work.iterdir()] == ["out"] * (line.checkout == CHECKED_OUT)
    check_clean(store)


@pytest.mark.parametrize("name", ["forty-doublings", "rows-that-overlap", "tree-in-itself"])
def test_it_is_the_same_from_a_web_server(
    name: str, store: Store, cli: Cli, around: Path, watch: Watching, serve: Serve
) -> None:
    web = serve(lay_out(name, around / "zoo"))
    store.add_remote("zoo", web.url)

    with watch(store.path):
        done = outcome(cli, "--store", store.path, "pull", STUB, good=TAKEN_IN)

    assert done == LINES[name].pull
    check_clean(store)


# Too large to be kept


def sparse(root: Path, size: int, *rows: tuple[bytes, int, int, int, int, int]) -> None:
    """A zoo with a pack of so many bytes, of which nearly none are on the disk."""
    _, snapshot = usual()
    publish(root, b"x", snapshot, size)
    (pack,) = (root / "packs").iterdir()
    table = b"".join(ROW.pack(*row) for row in rows)
    offset = size - FOOTER.size - (len(table) or (2 << 30))
    count = len(rows) or (2 << 30) // ROW.size
    with open(pack, "r+b") as file:
        file.truncate(size)
        file.seek(0)
        file.write(MAGIC)
        file.seek(size - FOOTER.size - len(table))
        file.write(table + FOOTER.pack(offset, count, hash_bytes(table), END))


def one_large(root: Path) -> None:
    """The snapshot is said to have 3 GiB less a few bytes."""
    _, snapshot = usual()
    size = 3 << 30
    stored = size - FOOTER.size - ROW.size - 51 - len(MAGIC)
    sparse(root, size, (snapshot, 3, 0, 51 + len(MAGIC), stored, stored))


LARGE: dict[str, Callable[[Path], None]] = {
    "an object": one_large,
    "a table": lambda root: sparse(root, len(MAGIC) + (2 << 30) // 58 * 58 + FOOTER.size),
}


@pytest.mark.parametrize("what", LARGE)
def test_what_is_too_large_for_memory_is_not_read(
    what: str, store: Store, cli: Cli, around: Path, watch: Watching
) -> None:
    LARGE[what](around / "zoo")
    store.add_remote("zoo", str(around / "zoo"))
    start = time.process_time()

    with watch(store.path):
        assert outcome(cli, "--store", store.path, "pull", STUB, good=TAKEN_IN) == "malformed"

    assert time.process_time() - start < 5
    check_clean(store)


def test_a_folder_of_very_many_files_is_taken_in(
    store: Store, cli: Cli, around: Path, watch: Watching
) -> None:
    """A million take as long as one would think; here are fewer."""
    count = 5_000
    body = blob()
    root = tree(*((FILE, b"%07d" % number, body) for number in range(count)))
    Zoo((root,), count, 4 * count).write(around / "zoo")
    store.add_remote("zoo", str(around / "zoo"))

    with watch(store.path):
        assert outcome(cli, "--store", store.path, "pull", STUB, good=TAKEN_IN) == TAKEN_IN

    (snapshot,) = store.snapshots()
    assert snapshot.files == count
    check_clean(store)


def test_a_tree_is_looked_at_once_however_often_it_stands_there() -> None:
    trees = {tree_oid(raw): raw for raw in _doublings(20)}
    root = tree_oid(_doublings(20)[0])
    asked: list[bytes] = []

    def read(oid: bytes) -> dict[str, object]:
        asked.append(oid)
        return decode_tree(trees[oid])  # type: ignore[index, return-value]

    require_bounded(read, root)  # type: ignore[arg-type]

    assert len(asked) <= 2 * len(trees)


def _doublings(depth: int) -> tuple[bytes, ...]:
    from tests.hostile.make_zoos import unfolding

    return unfolding(depth, [b"a", b"b"])


# Servers


@pytest.fixture
def web(serve: Serve, around: Path, store: Store, impatient: None) -> Web:
    """An honest zoo, whose server a test makes lie."""
    Zoo((tree((FILE, b"a", blob())),)).write(around / "zoo")
    web = serve(around / "zoo")
    store.add_remote("zoo", web.url)
    return web


PAGES = ("zoo.json", "catalog", "packs")


def path_of(web: Web, around: Path, page: str) -> str:
    if page == "zoo.json":
        return "/zoo.json"
    (found,) = (around / "zoo" / page).iterdir()
    return f"/{page}/{found.name}"


LOCATIONS = [
    "file:///etc/passwd",
    "ftp://127.0.0.1/x",
    "data:,x",
    "//",
    "http://",
    "http://[",
    "\\x",
]


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("location", LOCATIONS)
def test_a_server_leads_nowhere_but_to_the_web(
    store: Store, cli: Cli, around: Path, web: Web, watch: Watching, page: str, location: str
) -> None:
    web.answers[path_of(web, around, page)] = [
        lambda handler: handler.answer(302, b"", Location=location)
    ]
    with watch(store.path):
        done = outcome(cli, "--store", store.path, "pull", STUB, good=TAKEN_IN)

    assert done in ("transfer_failed", "not_there")
    check_clean(store)


def endless(*parts: bytes) -> Callable[[Handler], None]:
    """An answer that repeats its last part until the other side hangs up."""

    def answer(handler: Handler) -> None:
        for part in parts:
            handler.wfile.write(part)
        while True:
            handler.wfile.write(parts[-1] * 1000)

    return answer


HEAD = b"HTTP/1.1 200 OK\r\n"
ENDLESS = {
    "status": endless(b"HTTP/1.1 200 ", b"OK"),
    "headers": endless(HEAD, b"X-A: b\r\n"),
    "header": endless(HEAD, b"X-A: ", b"b" * 64),
    "size of a chunk": endless(HEAD, b"Transfer-Encoding: chunked\r\n\r\n", b"0" * 64),
    "chunks": endless(HEAD, b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
    "redirects": lambda handler: handler.answer(302, b"", Location=handler.path + "x"),
    "interim answers": endless(b"HTTP/1.1 100 Continue\r\n\r\n"),
}


@pytest.mark.timeout(30)
@pytest.mark.parametrize("what", ENDLESS)
def test_an_answer_without_an_end_is_given_up(
    store: Store, cli: Cli, web: Web, watch: Watching, what: str
) -> None:
    web.answers["/zoo.json"] = [ENDLESS[what]]

    with watch(store.path):
        done = outcome(cli, "--store", store.path, "pull", STUB, good=TAKEN_IN)

    assert done in ("transfer_failed", "not_there")
    check_clean(store)
