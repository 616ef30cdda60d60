"""A zoo that lies: whatever it sends, nothing wrong is kept and nothing is written elsewhere."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.hostile.raw_zoo import (
    DIRECTORY,
    FILE,
    STUB,
    Zoo,
    blob,
    file_named,
    folder,
    link_to,
    tree,
    write_catalog,
    write_zoo,
)
from zoostore import Store
from zoostore.digest import hash_bytes
from zoostore.objects.snapshot import Snapshot, encode_snapshot, snapshot_oid
from zoostore.objects.tree import tree_oid
from zoostore.sources.catalog import (
    object_path,
)
from zoostore.store.packs import FOOTER, MAGIC, RECORD
from zoostore.store.records import ObjectKind

if TYPE_CHECKING:
    from tests.conftest import Answer, Cli, Content, Handler, LayOut, Serve, Web

BIG = bytes(range(256)) * 4
FILES: dict[str, Content] = {"big.bin": BIG, "small.txt": b"small", "sub/deep.txt": b"deep"}


# What must hold after each


class Victim(NamedTuple):
    """A store that pulls from a zoo it should not trust."""

    store: Store
    cli: Cli
    folder: Path

    def pull(self, code: int, *kinds: str) -> str:
        """Pull, check how it ends and that nothing is left of it; the message."""
        outside = self._outside()
        ran = self.cli("--store", self.store.path, "pull", STUB, "--json")
        error = ran.json["error"]
        assert (ran.code, error["exit_code"]) == (code, code), error
        assert error["kind"] in kinds, error
        assert self._outside() == outside
        self.check_clean()
        assert self.store.snapshots() == []
        message: str = error["message"]
        return message

    def pull_well(self) -> None:
        ran = self.cli("--store", self.store.path, "pull", STUB, "--json")
        assert ran.code == 0, ran.out
        self.check_clean()

    def check_clean(self) -> None:
        assert self.store.verify().is_clean
        # But for what a later pull goes on with.
        left = {path.name for path in (self.store.path / "tmp").iterdir()}
        assert left <= {"downloads"}
        assert not (self.store.path / "quarantine").exists()

    def _outside(self) -> set[Path]:
        return {path for path in self.folder.rglob("*") if self.store.path not in path.parents}


@pytest.fixture
def victim(store: Store, cli: Cli, tmp_path: Path) -> Victim:
    return Victim(store, cli, tmp_path)


@pytest.fixture
def zoo(new_store: Callable[[str], Store], lay: LayOut, tmp_path: Path) -> Path:
    """An honest zoo with one model, that a test may spoil."""
    publisher = new_store("publisher")
    publisher.add(lay("model", FILES), STUB)
    publisher.publish([STUB], tmp_path / "zoo")
    return tmp_path / "zoo"


@pytest.fixture
def from_zoo(victim: Victim, zoo: Path) -> Victim:
    """A store whose remote is the zoo as a directory."""
    victim.store.add_remote("zoo", str(zoo))
    return victim


@pytest.fixture(params=[True, False], ids=["ranges", "whole files"])
def web(request: pytest.FixtureRequest, serve: Serve, zoo: Path, victim: Victim) -> Web:
    """The zoo behind a web server; it is the remote of the victim."""
    web = serve(zoo, ranges=request.param)
    victim.store.add_remote("zoo", web.url)
    return web


# Trees

BAD_TREES: Mapping[str, bytes] = {
    "an empty name": file_named(b""),
    "the folder itself": file_named(b"."),
    "the folder above": file_named(b".."),
    "a path up": file_named(b"../x"),
    "a path up from within": file_named(b"a/../../x"),
    "an absolute path": file_named(b"/tmp/x"),
    "a path": file_named(b"a/b"),
    "a NUL": file_named(b"a\0b"),
    "not Unicode": file_named(b"\xff\xfe"),
    "a name that is too long": file_named(b"n" * 1021),
    "the checkout's own folder": file_named(b".zoostore"),
    "the checkout's own folder, in capitals": file_named(b".ZooStore"),
    "names that differ in case": tree((FILE, b"A", blob()), (FILE, b"a", blob())),
    "names that differ in form": tree(
        (FILE, "e\u0301".encode(), blob()), (FILE, "\u00e9".encode(), blob())
    ),
    "names out of order": tree((FILE, b"b", blob()), (FILE, b"a", blob())),
    "a name twice": tree((FILE, b"a", blob()), (FILE, b"a", blob())),
    "an unknown kind": tree((9, b"a", blob())),
    "kind nought": tree((0, b"a", blob())),
    "a size that is too large": tree((FILE, b"a", blob(size=1 << 63))),
    "fewer entries than it says": tree((FILE, b"a", blob()), count=2),
    "more entries than it says": tree((FILE, b"a", blob()), (FILE, b"b", blob()), count=1),
    "endless entries": tree(count=(1 << 32) - 1),
    "bytes after its end": tree((FILE, b"a", blob()), after=b"\0"),
    "no beginning": b"not a tree",
    "nothing": b"",
    "a link that is absolute": link_to(b"/etc/passwd"),
    "a link up": link_to(b"../x"),
    "a link up from within": link_to(b"a/../../x"),
    "a link to nothing": link_to(b""),
    "a link with a NUL": link_to(b"a\0b"),
    "a link that is not Unicode": link_to(b"\xff"),
    "a link of another system": link_to(b"..\\x"),
    "a link to a drive": link_to(b"c:x"),
}


@pytest.mark.parametrize("what", BAD_TREES)
def test_a_tree_with_a_dangerous_or_malformed_entry_is_refused(
    victim: Victim, tmp_path: Path, what: str
) -> None:
    Zoo((BAD_TREES[what],)).write(tmp_path / "zoo")
    victim.store.add_remote("zoo", str(tmp_path / "zoo"))

    victim.pull(5, "unsafe_path", "malformed")


@pytest.mark.parametrize(
    "bad",
    [file_named(b".."), link_to(b"../../x"), tree((FILE, b"A", blob()), (FILE, b"a", blob()))],
    ids=["a name", "a link", "case twins"],
)
def test_a_bad_tree_in_a_folder_is_refused(victim: Victim, tmp_path: Path, bad: bytes) -> None:
    Zoo((tree((DIRECTORY, b"sub", folder(bad))), bad)).write(tmp_path / "zoo")
    victim.store.add_remote("zoo", str(tmp_path / "zoo"))

    victim.pull(5, "unsafe_path")


def test_a_link_up_that_stays_within_is_taken(victim: Victim, tmp_path: Path) -> None:
    within = link_to(b"../x")
    Zoo((tree((DIRECTORY, b"sub", folder(within))), within)).write(tmp_path / "zoo")
    victim.store.add_remote("zoo", str(tmp_path / "zoo"))

    victim.pull_well()


def test_a_tree_that_is_deeper_than_any_file_system_is_refused(
    victim: Victim, tmp_path: Path
) -> None:
    trees = [file_named(b"a")]
    for _ in range(600):
        trees.insert(0, tree((DIRECTORY, b"d", folder(trees[0]))))
    Zoo(tuple(trees)).write(tmp_path / "zoo")
    victim.store.add_remote("zoo", str(tmp_path / "zoo"))

    victim.pull(5, "unsafe_path")


def test_a_small_tree_that_unfolds_into_very_many_paths_is_refused(
    victim: Victim, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zoostore.objects.walking.MAX_ENTRIES", 1000)
    trees = [file_named(b"a")]
    for _ in range(40):
        below = folder(trees[0])
        trees.insert(0, tree((DIRECTORY, b"d", below), (DIRECTORY, b"e", below)))
    Zoo(tuple(trees)).write(tmp_path / "zoo")
    victim.store.add_remote("zoo", str(tmp_path / "zoo"))

    victim.pull(5, "malformed")


@pytest.mark.parametrize(
    "zoo_",
    [
        Zoo((file_named(b"a"),), files=2),
        Zoo((file_named(b"a"),), size=5),
        Zoo((tree((FILE, b"a", blob(size=1 << 50))),)),
    ],
    ids=["more files", "more bytes", "fewer bytes"],
)
def test_a_snapshot_that_does_not_hold_what_it_says_is_refused(
    victim: Victim, tmp_path: Path, zoo_: Zoo
) -> None:
    zoo_.write(tmp_path / "zoo")
    victim.store.add_remote("zoo", str(tmp_path / "zoo"))

    victim.pull(5, "malformed")


def test_a_tree_that_calls_a_size_its_content_does_not_have_is_refused(
    victim: Victim, tmp_path: Path
) -> None:
    Zoo((tree((FILE, b"a", blob(size=9))),), size=9).write(tmp_path / "zoo")
    victim.store.add_remote("zoo", str(tmp_path / "zoo"))

    victim.pull(5, "wrong_content", "malformed")


@pytest.mark.parametrize(
    "data",
    [
        b"{}",
        b"null",
        b"[" * 100_000,
        b'{"files": 1e999}',
        encode_snapshot(Snapshot(tree_oid(b""), 0, 0, STUB)) + b"\n",
        encode_snapshot(Snapshot(tree_oid(b""), 0, 0, STUB)).replace(b":0", b":-1", 1),
        encode_snapshot(Snapshot(tree_oid(b""), 0, 0, STUB)).replace(b":0", b":true", 1),
        b"\xff",
    ],
    ids=["empty", "null", "deep", "infinite", "not canonical", "negative", "not a number", "bytes"],
)
def test_a_snapshot_that_is_none_is_refused(victim: Victim, tmp_path: Path, data: bytes) -> None:
    oid = snapshot_oid(data)
    write_zoo(tmp_path / "zoo", [(oid, ObjectKind.SNAPSHOT, data)], oid, 0, 0)
    victim.store.add_remote("zoo", str(tmp_path / "zoo"))

    victim.pull(5, "malformed")


def test_a_file_cannot_pose_as_a_tree(victim: Victim, tmp_path: Path) -> None:
    raw = file_named(b"a")
    as_blob = hash_bytes(raw)
    data = encode_snapshot(Snapshot(as_blob, 1, 4, STUB))
    objects = [
        (snapshot_oid(data), ObjectKind.SNAPSHOT, data),
        (as_blob, ObjectKind.BLOB, raw),
        (hash_bytes(b"evil"), ObjectKind.BLOB, b"evil"),
    ]
    write_zoo(tmp_path / "zoo", objects, snapshot_oid(data), 1, 4)
    victim.store.add_remote("zoo", str(tmp_path / "zoo"))

    victim.pull(1, "transfer_failed")


def test_a_tree_stored_as_a_file_is_not_taken_for_the_file(victim: Victim, tmp_path: Path) -> None:
    """The oid of the file is promised; what comes is a tree whose tree id it is not."""
    raw = file_named(b"a")
    root = tree((FILE, b"file", struct.pack(">Q", len(raw)) + tree_oid(raw)))
    Zoo((root, raw), size=len(raw)).write(tmp_path / "zoo")
    victim.store.add_remote("zoo", str(tmp_path / "zoo"))

    victim.pull(5, "wrong_content", "missing_object")


def test_the_time_of_a_snapshot_may_be_any(victim: Victim, tmp_path: Path) -> None:
    Zoo((file_named(b"a"),), time=(1 << 53) - 1).write(tmp_path / "zoo")
    victim.store.add_remote("zoo", str(tmp_path / "zoo"))
    victim.pull_well()

    for verb in ("log", "show"):
        ran = victim.cli("--store", victim.store.path, verb, STUB)
        assert ran.code == 0, ran.err


# Packs


def pack_of(zoo: Path) -> Path:
    (pack,) = (zoo / "packs").iterdir()
    pack.chmod(0o644)
    return pack


def flip(path: Path, offset: int) -> None:
    path.chmod(0o644)
    data = bytearray(path.read_bytes())
    data[offset] ^= 0x40
    path.write_bytes(data)


PACK_DAMAGE: Mapping[str, Callable[[Path], object]] = {
    "a byte of the first object": lambda path: flip(path, len(MAGIC) + RECORD.size),
    "a byte of the table": lambda path: flip(path, -FOOTER.size - 10),
    "a byte of the footer": lambda path: flip(path, -FOOTER.size),
    "its end mark": lambda path: flip(path, -1),
    "its end missing": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "half of it": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "nothing": lambda path: path.write_bytes(b""),
    "a byte too many": lambda path: path.write_bytes(path.read_bytes() + b"\0"),
    "a web page": lambda path: path.write_bytes(b"<html>" * (path.stat().st_size // 6)),
    "zeros": lambda path: path.write_bytes(bytes(path.stat().st_size)),
}


@pytest.mark.parametrize("damage", PACK_DAMAGE)
def test_a_damaged_pack_is_refused(from_zoo: Victim, zoo: Path, damage: str) -> None:
    PACK_DAMAGE[damage](pack_of(zoo))

    from_zoo.pull(5, "wrong_content", "malformed")


@pytest.mark.parametrize("damage", [name for name in PACK_DAMAGE if name != "a byte too many"])
def test_a_damaged_pack_that_is_read_in_parts_is_refused(
    victim: Victim, zoo: Path, serve: Serve, damage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zoostore.sources.remote_pack._WHOLE_UP_TO", 0)
    web = serve(zoo, ranges=True)
    victim.store.add_remote("zoo", web.url)
    PACK_DAMAGE[damage](pack_of(zoo))

    # Where a part is asked for that is not there, the server itself says no.
    no_such_part = damage in ("half of it", "nothing")
    victim.pull(*((1, "transfer_failed") if no_such_part else (5, "wrong_content", "malformed")))


def test_a_pack_that_is_read_in_parts_gives_the_same(
    victim: Victim, web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zoostore.sources.remote_pack._WHOLE_UP_TO", 0)

    victim.pull_well()

    with victim.store.open_file(STUB, "sub/deep.txt") as file:
        assert file.read() == b"deep"


def test_a_pack_that_is_not_there_is_a_failed_transfer(from_zoo: Victim, zoo: Path) -> None:
    pack_of(zoo).unlink()

    from_zoo.pull(1, "not_there", "transfer_failed")


# Large objects

OBJECT = "/" + object_path(hash_bytes(BIG))
OBJECT_DAMAGE: Mapping[str, bytes] = {
    "other bytes of the same length": BIG[::-1],
    "one byte that differs": BIG[:-1] + b"\0",
    "cut short": BIG[:-1],
    "half of it": BIG[:512],
    "nothing": b"",
    "one byte more": BIG + b"\0",
    "twice": BIG * 2,
    "a web page": b"<!doctype html><title>Not here</title>",
}


@pytest.mark.parametrize("damage", OBJECT_DAMAGE)
def test_an_object_on_a_disk_that_is_another_is_refused(
    from_zoo: Victim, zoo: Path, damage: str
) -> None:
    path = zoo / OBJECT[1:]
    path.chmod(0o644)
    path.write_bytes(OBJECT_DAMAGE[damage])

    message = from_zoo.pull(5, "wrong_content")

    assert str(hash_bytes(BIG)) in message


@pytest.mark.parametrize("damage", OBJECT_DAMAGE)
def test_an_object_from_a_web_server_that_is_another_is_refused(
    victim: Victim, web: Web, damage: str
) -> None:
    web.answers[OBJECT] = [lambda handler: handler.answer(200, OBJECT_DAMAGE[damage])]

    victim.pull(5, "wrong_content")


def endless(handler: Handler) -> None:
    """A body that does not end before the other side hangs up."""
    handler.send_response(200)
    handler.end_headers()
    while True:
        handler.wfile.write(bytes(1 << 16))


@pytest.mark.parametrize("size", [len(BIG), 1 << 50], ids=["its own length", "any length"])
def test_an_object_that_does_not_end_is_refused(victim: Victim, web: Web, size: int) -> None:
    def send(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(size + (1 << 40)))
        handler.end_headers()
        while True:
            handler.wfile.write(bytes(1 << 16))

    web.answers[OBJECT] = [send]

    victim.pull(5, "wrong_content")


def test_an_object_that_is_not_there_is_named(victim: Victim, web: Web) -> None:
    web.answers[OBJECT] = [lambda handler: handler.answer(404, b"no")]

    message = victim.pull(5, "missing_object")

    assert hash_bytes(BIG).short in message


def test_what_arrived_before_a_failure_is_not_asked_for_again(
    victim: Victim, web: Web, impatient: None
) -> None:
    web.answers[OBJECT] = [lambda handler: handler.answer(403, b"no")]
    victim.pull(1, "access_denied")
    del web.answers[OBJECT]

    ran = victim.cli("--store", victim.store.path, "pull", STUB, "--json")

    assert (ran.json["downloaded_files"], ran.json["reused_files"]) == (1, 2)


# Pages

CATALOG_LINES: Mapping[str, bytes] = {
    "junk": b"junk\n",
    "a web page": b"<!doctype html><title>Sign in</title>\n",
    "a list": b"[]\n",
    "an empty object": b"{}\n",
    "null": b"null\n",
    "too deep": b"[" * 100_000 + b"\n",
    "not Unicode": b"\xff\xfe\n",
    "an empty line": b"\n",
}
CATALOG_CHANGES: Mapping[str, dict[str, object]] = {
    "a size beyond all bounds": {"size": 10**30},
    "a size of many digits": {"size": 10**4000},
    "a size below nought": {"size": -1},
    "a size that is none": {"size": 1.5},
    "a size that is true": {"size": True},
    "files that are a text": {"files": "3"},
    "a stub without its scheme": {"stub": "evil"},
    "a stub with a revision": {"stub": "zoo:evil@v1"},
    "a stub with a part": {"stub": "zoo:evil?recipe=original"},
    "a stub that is a path": {"stub": "zoo:../../evil"},
    "a stub that is a number": {"stub": 7},
    "a snapshot that is no id": {"snapshot": "../../etc/passwd"},
    "a snapshot in capitals": {"snapshot": "A" * 64},
    "a tag that is a path": {"tags": {"../x": "0" * 64}},
    "a tag that is no id": {"tags": {"v1": "x"}},
    "tags that are a list": {"tags": ["v1"]},
    "a pack that is a path": {"packs": {"../../etc/passwd": 1}},
    "a pack of a size below nought": {"packs": {"0" * 64: -1}},
    "a pack of a size beyond all bounds": {"packs": {"0" * 64: 10**30}},
    "packs that are a list": {"packs": ["0" * 64]},
}


@pytest.mark.parametrize("line", CATALOG_LINES)
def test_a_catalog_of_junk_is_refused(from_zoo: Victim, zoo: Path, line: str) -> None:
    write_catalog(zoo, CATALOG_LINES[line])

    from_zoo.pull(5, "malformed")


@pytest.mark.parametrize("change", CATALOG_CHANGES)
def test_a_catalog_with_values_that_make_no_sense_is_refused(
    from_zoo: Victim, zoo: Path, change: str
) -> None:
    (catalog,) = (zoo / "catalog").iterdir()
    line = json.loads(catalog.read_bytes()) | CATALOG_CHANGES[change]
    text = (
        json.dumps({**line, "size": 0}) if change == "a size of many digits" else json.dumps(line)
    )
    if change == "a size of many digits":
        text = text.replace('"size": 0', '"size": 1' + "0" * 5000)
    write_catalog(zoo, text.encode() + b"\n")

    from_zoo.pull(5, "malformed")


def test_a_catalog_that_is_not_the_promised_one_is_refused(from_zoo: Victim, zoo: Path) -> None:
    (catalog,) = (zoo / "catalog").iterdir()
    catalog.write_bytes(catalog.read_bytes().replace(b'"files":3', b'"files":4'))

    from_zoo.pull(5, "malformed")


MANIFESTS: Mapping[str, bytes] = {
    "nothing": b"",
    "junk": b"junk",
    "a web page": b"<!doctype html><title>Sign in</title>",
    "a list": b"[]",
    "an empty object": b"{}",
    "too deep": b"[" * 60_000,
    "no catalog": b'{"format":1,"name":"x"}',
    "a catalog that is a path": b'{"catalog":{"oid":"../x","size":1},"format":1,"name":"x"}',
    "a catalog of a size below nought": json.dumps(
        {"catalog": {"oid": "0" * 64, "size": -1}, "format": 1, "name": "x"}
    ).encode(),
    "a catalog of a size beyond all bounds": json.dumps(
        {"catalog": {"oid": "0" * 64, "size": 1 << 60}, "format": 1, "name": "x"}
    ).encode(),
    "not Unicode": b"\xff\xfe",
}


@pytest.mark.parametrize("page", MANIFESTS)
def test_a_zoo_json_that_describes_no_zoo_is_refused(
    from_zoo: Victim, zoo: Path, page: str
) -> None:
    (zoo / "zoo.json").write_bytes(MANIFESTS[page])

    from_zoo.pull(5, "malformed")


def test_a_zoo_of_a_newer_format_says_so(from_zoo: Victim, zoo: Path) -> None:
    manifest = json.loads((zoo / "zoo.json").read_bytes())
    (zoo / "zoo.json").write_text(json.dumps({**manifest, "format": 2}))

    message = from_zoo.pull(1, "newer_format")

    assert "2" in message


@pytest.mark.parametrize("page", ["/zoo.json", "catalog", OBJECT, "pack"])
def test_a_page_that_says_sign_in_is_not_taken_for_content(
    victim: Victim, web: Web, zoo: Path, page: str
) -> None:
    """What a captive portal answers to everything: 200, and a web page."""
    web.answers[path_of(zoo, page)] = [
        lambda handler: handler.answer(200, b"<!doctype html>sign in", Content_Type="text/html")
    ]

    victim.pull(5, "malformed", "wrong_content")


def path_of(zoo: Path, page: str) -> str:
    if page.startswith("/"):
        return page
    (found,) = (zoo / (page if page == "catalog" else "packs")).iterdir()
    return "/" + found.relative_to(zoo).as_posix()


PAGES = ("/zoo.json", "catalog", "pack", OBJECT)


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("status", [401, 403, 500, 503])
def test_a_page_that_is_refused_is_a_failed_transfer(
    victim: Victim, web: Web, zoo: Path, page: str, status: int, impatient: None
) -> None:
    path = path_of(zoo, page)
    web.answers[path] = [lambda handler: handler.answer(status, b"no")]

    message = victim.pull(1, "access_denied" if status < 500 else "transfer_failed")

    assert str(status) in message
    assert web.paths.count(path) == (4 if status >= 500 else 1)


@pytest.mark.parametrize("page", ["/zoo.json", "catalog", "pack"])
def test_a_page_that_is_not_there_is_a_failed_transfer(
    victim: Victim, web: Web, zoo: Path, page: str
) -> None:
    web.answers[path_of(zoo, page)] = [lambda handler: handler.answer(404, b"no")]

    victim.pull(1, "transfer_failed", "not_there")


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_page_that_is_to_be_had_at_the_second_try_is_tried_twice(
    victim: Victim, web: Web, zoo: Path, page: str, status: int, impatient: None
) -> None:
    path = path_of(zoo, page)
    web.answers[path] = [lambda handler: handler.answer(status, b"wait"), None]

    victim.pull_well()

    assert web.paths.count(path) >= 2


def cut_after(count: int) -> Answer:
    """An answer that breaks off after so many bytes of its body."""

    def answer(handler: Handler) -> None:
        data = handler.content()
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data[:count])
        handler.wfile.flush()
        handler.connection.close()

    return answer


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("count", [0, 10])
def test_a_short_body_that_breaks_off_is_asked_for_again(
    victim: Victim, web: Web, zoo: Path, page: str, count: int, impatient: None
) -> None:
    path = path_of(zoo, page)
    web.answers[path] = [cut_after(count), None]

    victim.pull_well()

    assert web.paths.count(path) >= 2


LONG = bytes(range(256)) * (3 << 12)
LONG_OBJECT = "/" + object_path(hash_bytes(LONG))
MIB = 1 << 20


@pytest.fixture
def long_zoo(new_store: Callable[[str], Store], lay: LayOut, tmp_path: Path) -> Path:
    """An honest zoo with an object of 3 MiB, which is more than is read at a time."""
    publisher = new_store("publisher")
    publisher.add(lay("model", {"long.bin": LONG}), STUB)
    publisher.publish([STUB], tmp_path / "zoo")
    return tmp_path / "zoo"


def test_a_long_body_that_breaks_off_is_gone_on_with_where_it_broke(
    victim: Victim, long_zoo: Path, serve: Serve, impatient: None
) -> None:
    web = serve(long_zoo, ranges=True)
    victim.store.add_remote("zoo", web.url)
    web.answers[LONG_OBJECT] = [cut_after(2 * MIB + 10), None]

    victim.pull_well()

    asked = [request.range for request in web.requests if request.path == LONG_OBJECT]
    assert asked == [None, f"bytes={2 * MIB + 10}-{len(LONG) - 1}"]
    with victim.store.open_file(STUB, "long.bin") as file:
        assert file.read() == LONG


def test_a_long_body_that_breaks_off_again_and_again_arrives_in_the_end(
    victim: Victim, long_zoo: Path, serve: Serve, impatient: None
) -> None:
    web = serve(long_zoo, ranges=True)
    victim.store.add_remote("zoo", web.url)

    def next_mib(handler: Handler) -> None:
        start = int(handler.headers.get("Range", "bytes=0-")[6:].split("-")[0])
        handler.send_response(206 if start else 200)
        handler.send_header("Content-Range", f"bytes {start}-{len(LONG) - 1}/{len(LONG)}")
        handler.send_header("Content-Length", str(len(LONG) - start))
        handler.end_headers()
        handler.wfile.write(LONG[start : start + MIB + 1])

    web.answers[LONG_OBJECT] = [next_mib]

    victim.pull_well()

    asked = [request.range for request in web.requests if request.path == LONG_OBJECT]
    assert asked == [None, *(f"bytes={n * (MIB + 1)}-{len(LONG) - 1}" for n in (1, 2))]


def test_a_long_body_that_breaks_off_where_nothing_can_be_resumed_is_sent_again(
    victim: Victim, long_zoo: Path, serve: Serve, impatient: None
) -> None:
    web = serve(long_zoo, ranges=False)
    victim.store.add_remote("zoo", web.url)
    web.answers[LONG_OBJECT] = [cut_after(2 * MIB), None]

    victim.pull_well()

    with victim.store.open_file(STUB, "long.bin") as file:
        assert file.read() == LONG


def test_a_part_that_is_not_the_one_asked_for_is_refused(
    victim: Victim, long_zoo: Path, serve: Serve, impatient: None
) -> None:
    web = serve(long_zoo, ranges=True)
    victim.store.add_remote("zoo", web.url)
    web.answers[LONG_OBJECT] = [
        cut_after(2 * MIB),
        lambda handler: handler.answer(206, LONG[:MIB][::-1], Content_Range="bytes 0-1/2"),
    ]

    victim.pull(1, "transfer_failed")


def test_a_body_that_always_breaks_off_is_a_failed_transfer(
    victim: Victim, web: Web, impatient: None
) -> None:
    web.answers["/zoo.json"] = [cut_after(0)]

    victim.pull(1, "transfer_failed")


def test_a_redirect_is_followed(victim: Victim, web: Web, zoo: Path, serve: Serve) -> None:
    other = serve(zoo, ranges=True)
    web.answers[OBJECT] = [
        lambda handler: handler.answer(302, b"", Location=other.url + handler.path)
    ]

    victim.pull_well()

    assert other.paths == [OBJECT]


def test_a_redirect_that_leads_round_is_a_failed_transfer(victim: Victim, web: Web) -> None:
    web.answers[OBJECT] = [lambda handler: handler.answer(302, b"", Location=handler.path)]

    victim.pull(1, "transfer_failed")


def test_a_zoo_json_that_does_not_end_is_not_read_for_ever(victim: Victim, web: Web) -> None:
    web.answers["/zoo.json"] = [endless]

    victim.pull(1, "transfer_failed")


@pytest.mark.parametrize("page", ["catalog", "pack"])
def test_a_page_that_is_longer_than_promised_is_refused(
    victim: Victim, web: Web, zoo: Path, page: str
) -> None:
    web.answers[path_of(zoo, page)] = [endless]

    # It is not what zoo.json or the catalog promised; a catalog is read like zoo.json.
    victim.pull(5 if page == "pack" else 1, "wrong_content", "transfer_failed", "malformed")


@pytest.mark.parametrize(
    "answer",
    [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nx", b"\0" * 100],
    ids=["nothing", "nonsense", "a length below nought", "zeros"],
)
def test_an_answer_that_is_no_http_is_a_failed_transfer(
    victim: Victim, web: Web, answer: bytes, impatient: None
) -> None:
    def send(handler: Handler) -> None:
        handler.wfile.write(answer)
        handler.wfile.flush()
        handler.connection.close()

    web.answers["/zoo.json"] = [send]

    ran = victim.cli("--store", victim.store.path, "pull", STUB, "--json")

    assert ran.code in (1, 5)
    assert ran.json["error"]["kind"] in ("transfer_failed", "malformed")


def test_a_lie_is_not_laid_out(victim: Victim, web: Web, tmp_path: Path) -> None:
    web.answers[OBJECT] = [lambda handler: handler.answer(200, BIG[::-1])]

    ran = victim.cli("--store", victim.store.path, "checkout", STUB, tmp_path / "out", "--json")

    assert (ran.code, ran.json["error"]["kind"]) == (5, "wrong_content")
    assert not (tmp_path / "out").exists()
    victim.check_clean()


def test_a_password_in_an_address_is_not_shown(
    victim: Victim, zoo: Path, serve: Serve, impatient: None
) -> None:
    web = serve(zoo)
    web.answers["/zoo.json"] = [lambda handler: handler.answer(403, b"no")]
    victim.store.add_remote("zoo", web.url.replace("//", "//me:hunter2@"))

    for arguments in (("pull", STUB), ("remote", "ls"), ("remote", "show", "zoo")):
        ran = victim.cli("--store", victim.store.path, *arguments)
        assert "hunter2" not in ran.out + ran.err
