"""pull: only what is missing moves, from the first source that has it, and nothing is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import pytest

from zoostore import Store
from zoostore.digest import hash_bytes
from zoostore.errors import (
    Diverged,
    InvalidName,
    MalformedObject,
    MissingObject,
    NeededNetwork,
    NothingLeft,
    TransferFailed,
    UnknownRemote,
    UnknownRevision,
    UnknownStub,
)

if TYPE_CHECKING:
    from tests.conftest import Cli, Content, LayOut, Serve, Web

Look: TypeAlias = "Callable[[Path], dict[str, Content]]"
STUB = "zoo:one"
BIG = bytes(range(256))
ONE: dict[str, Content] = {"big.bin": BIG, "big2.bin": BIG[::-1], "small.txt": b"one"}
KILLED_WHILE_PULLING = """
import os, signal, sys
from zoostore import Store
from zoostore.ops import fetching
from zoostore.store.batch import Batch

fetching.PUBLISH_BYTES = fetching._TOGETHER = 1
publish, count = Batch.publish, 0

def publish_some(batch):
    global count
    publish(batch)
    count += 1
    if count == 7:
        os.kill(os.getpid(), signal.SIGKILL)

Batch.publish = publish_some
Store(sys.argv[1]).pull("zoo:many")
"""

NOBODY = "http://127.0.0.1:1/"
"""An address at which nobody listens."""


@pytest.fixture
def publisher(new_store: Callable[[str], Store], lay: LayOut, tmp_path: Path) -> Store:
    """A store whose only model is published, tagged `v1`, in `zoo`."""
    publisher = new_store("publisher")
    publisher.add(lay("one", ONE), STUB, time=1)
    publisher.tag(STUB, "v1")
    publisher.publish([STUB], tmp_path / "zoo")
    return publisher


@pytest.fixture
def zoo(publisher: Store, tmp_path: Path) -> Path:
    return tmp_path / "zoo"


@pytest.fixture
def web(zoo: Path, serve: Serve, store: Store) -> Web:
    """The zoo on the web; the store's remote."""
    web = serve(zoo)
    store.add_remote("web", web.url)
    return web


def publish_next(publisher: Store, lay: LayOut, zoo: Path, content: bytes = b"next") -> None:
    publisher.add(lay(f"next {content!r}", {**ONE, "small.txt": content}), STUB)
    publisher.publish([STUB], zoo)


def held(root: Path) -> dict[str, bytes]:
    """Every file of a store but its index."""
    return {
        str(path): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and "index" not in path.parts
    }


# What moves


@pytest.mark.parametrize("ranges", [True, False])
def test_a_model_comes_over_the_web(
    store: Store, zoo: Path, serve: Serve, tmp_path: Path, look: Look, ranges: bool
) -> None:
    web = serve(zoo, ranges=ranges)
    store.add_remote("web", web.url + "/")

    done = store.checkout(STUB, tmp_path / "work")

    assert look(done.directory) == ONE
    assert (done.pulled.downloaded_files, done.pulled.downloaded_bytes) == (3, 515)
    assert store.verify().is_clean


def test_small_files_that_came_are_kept_though_the_process_is_killed(
    store: Store, new_store: Callable[[str], Store], lay: LayOut, zoo: Path
) -> None:
    """What came is published now and then; here, after each of them."""
    many: dict[str, Content] = {f"f{number}": b"%d" % number for number in range(20)}
    publisher = new_store("another")
    publisher.add(lay("many", many), "zoo:many")
    publisher.publish(["zoo:many"], zoo.parent / "many zoo")
    store.add_remote("near", str(zoo.parent / "many zoo"))

    killed = subprocess.run([sys.executable, "-c", KILLED_WHILE_PULLING, store.path], check=False)

    assert killed.returncode == -signal.SIGKILL
    assert sum(store.has(hash_bytes(b"%d" % number)) for number in range(20)) == 7
    assert store.pull("zoo:many").downloaded_files == 13
    assert store.verify().is_clean


def test_a_small_model_takes_few_requests(store: Store, web: Web) -> None:
    store.pull(STUB)

    assert len(web.paths) == len(set(web.paths))
    assert len(web.paths) == 3 + 2  # zoo.json, the catalog, a pack; two large objects


def test_a_folder_in_the_address_is_kept(
    store: Store, publisher: Store, serve: Serve, tmp_path: Path
) -> None:
    publisher.publish([STUB], tmp_path / "web/some folder/zoo")
    web = serve(tmp_path / "web")
    store.add_remote("web", f"{web.url}/some%20folder/zoo/")

    assert store.pull(STUB).files == 3


@pytest.mark.parametrize("address", ["{zoo}", "file://{zoo}", "{relative}"])
def test_a_zoo_on_a_disk_is_a_remote(
    store: Store, zoo: Path, tmp_path: Path, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    store.add_remote("disk", address.format(zoo=zoo, relative=zoo.name))
    monkeypatch.chdir("/")

    assert store.pull(STUB).source == "disk"


def test_only_what_is_missing_moves(store: Store, zoo: Path, lay: LayOut) -> None:
    store.add_remote("zoo", str(zoo))
    store.add(lay("mine", {"copy of big": BIG, "s": b"one"}), "zoo:mine")

    done = store.pull(STUB)

    assert (done.downloaded_files, done.downloaded_bytes) == (1, 256)
    assert (done.reused_files, done.reused_bytes) == (2, 259)


def test_an_update_moves_only_what_is_new(
    store: Store, publisher: Store, zoo: Path, lay: LayOut
) -> None:
    store.add_remote("zoo", str(zoo))
    store.pull(STUB)
    publish_next(publisher, lay, zoo)

    done = store.pull(STUB)

    assert done.snapshot == publisher.snapshot(STUB).id
    assert (done.downloaded_files, done.downloaded_bytes) == (1, 4)
    assert len(store.log(STUB)) == 2


def test_a_pull_of_what_is_here_changes_nothing(store: Store, zoo: Path) -> None:
    store.add_remote("zoo", str(zoo))
    store.pull(STUB)
    before = held(store.path)

    done = store.pull(STUB)

    assert (done.downloaded_files, done.reused_files) == (0, 3)
    assert held(store.path) == before


def test_the_snapshot_is_the_publishers_own(store: Store, publisher: Store, zoo: Path) -> None:
    store.add_remote("zoo", str(zoo))

    assert store.pull(STUB).snapshot == publisher.snapshot(STUB).id
    assert store.snapshot(STUB).snapshot == publisher.snapshot(STUB).snapshot
    assert store.files(STUB) == publisher.files(STUB)


# Dry runs


def test_a_dry_run_says_what_would_move_and_moves_nothing(store: Store, web: Web) -> None:
    before = held(store.path)

    plan = store.pull(STUB, dry_run=True)

    assert (plan.downloaded_files, plan.downloaded_bytes, plan.files) == (3, 515, 3)
    assert not [path for path in web.paths if "/objects/" in path]
    assert held(store.path) == before
    assert store.snapshots() == []
    assert store.pull(STUB).downloaded_bytes == plan.downloaded_bytes


def test_a_dry_run_makes_no_store(tmp_path: Path, zoo: Path, cli: Cli) -> None:
    for stub in ("mlp-512-digits-base", "zoo:none"):
        cli("--store", tmp_path / "new", "pull", "--dry-run", stub)

        assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("verb", ["pull", "checkout"])
def test_a_model_that_is_nowhere_makes_no_store(tmp_path: Path, cli: Cli, verb: str) -> None:
    ran = cli("--store", tmp_path / "new", verb, "zoo:none", "--json")

    assert ran.json["error"]["kind"] == "unknown_stub"
    assert not (tmp_path / "new" / "objects").exists() or not list(
        (tmp_path / "new" / "tmp").iterdir()
    )


# Nothing is sent that need not be


def test_a_pinned_snapshot_that_is_here_sends_nothing(store: Store, web: Web) -> None:
    done = store.pull(STUB)
    web.requests.clear()

    for revision in ("v1", str(done.snapshot), str(done.snapshot)[:8]):
        again = store.pull(f"{STUB}@{revision}")
        assert (again.snapshot, again.downloaded_files, again.reused_files) == (done.snapshot, 0, 3)

    assert web.requests == []


def test_a_checkout_of_what_is_here_sends_nothing(store: Store, web: Web, tmp_path: Path) -> None:
    store.pull(STUB)
    web.requests.clear()

    for stub in (STUB, f"{STUB}@v1"):
        store.checkout(stub, tmp_path / f"out {stub[4:]}")

    assert web.requests == []


def test_looking_sends_nothing(store: Store, web: Web, cli: Cli, tmp_path: Path) -> None:
    store.checkout(STUB, tmp_path / "work")
    web.requests.clear()
    commands = [("ls",), ("ls", STUB), ("show", STUB), ("log", STUB), ("du",), ("verify",)]
    commands += [("cat", STUB, "small.txt"), ("status", str(tmp_path / "work")), ("remote", "ls")]

    for command in commands:
        assert cli("--store", store.path, *command).code == 0

    assert web.requests == []


@pytest.mark.parametrize("stub", [STUB, f"{STUB}@v1", "zoo:none"])
def test_offline_sends_nothing(store: Store, web: Web, stub: str, tmp_path: Path) -> None:
    offline = Store(store.path, offline=True)

    with pytest.raises(NeededNetwork):
        offline.pull(stub)
    with pytest.raises(NeededNetwork):
        offline.checkout(stub, tmp_path / "work")
    with pytest.raises(NeededNetwork):
        offline.catalog("web")

    assert web.requests == []


def test_offline_what_is_here_is_here(store: Store, web: Web, tmp_path: Path, look: Look) -> None:
    store.pull(STUB)
    web.requests.clear()
    offline = Store(store.path, offline=True)

    assert offline.pull(STUB).reused_files == 3
    assert look(offline.checkout(STUB, tmp_path / "work").directory) == ONE
    assert web.requests == []


def test_offline_what_is_missing_says_why(store: Store, web: Web, tmp_path: Path) -> None:
    store.pull(STUB, include=["small.txt"])
    offline = Store(store.path, offline=True)

    with pytest.raises(NeededNetwork):
        offline.checkout(STUB, tmp_path / "work")

    assert not (tmp_path / "work").exists()


def test_the_builtin_zoo_works_offline(store: Store, web: Web, tmp_path: Path) -> None:
    offline = Store(store.path, offline=True)

    done = offline.checkout("mlp-512-digits-base", tmp_path / "work")

    assert done.pulled.source == "builtin"
    assert web.requests == []


# Which source


def test_the_first_remote_that_has_it_is_taken(
    store: Store, zoo: Path, publisher: Store, lay: LayOut, tmp_path: Path
) -> None:
    publisher.add(lay("x", {"x": b"x"}), "zoo:x")
    publisher.publish(["zoo:x"], tmp_path / "other")
    store.add_remote("other", str(tmp_path / "other"))
    store.add_remote("zoo", str(zoo))

    assert list(store.remotes()) == ["other", "zoo", "builtin"]
    assert store.pull(STUB).source == "zoo"
    assert store.pull("zoo:x").source == "other"
    assert store.pull("mlp-512-digits-base").source == "builtin"


def test_a_remote_that_is_down_does_not_hide_the_next(
    store: Store, zoo: Path, impatient: None
) -> None:
    store.add_remote("down", NOBODY)
    store.add_remote("gone", str(zoo) + "-gone")
    store.add_remote("zoo", str(zoo))

    assert store.pull(STUB).source == "zoo"
    assert store.pull("mlp-512-digits-base").source == "builtin"


def test_a_remote_behind_a_sign_in_page_does_not_hide_the_next(
    store: Store, zoo: Path, web: Web
) -> None:
    """It answers every request with 200 and a web page; it is still why a model was not found."""
    web.answers["/zoo.json"] = [lambda handler: handler.answer(200, b"<!doctype html>")]
    store.add_remote("zoo", str(zoo))

    assert store.pull(STUB).source == "zoo"
    assert store.pull("mlp-512-digits-base").source == "builtin"
    with pytest.raises(MalformedObject):
        store.pull("zoo:none")


def test_a_remote_that_is_down_is_why_a_model_was_not_found(store: Store, impatient: None) -> None:
    store.add_remote("down", NOBODY)

    with pytest.raises(TransferFailed):
        store.pull("zoo:none")


def test_what_one_remote_lost_is_taken_from_another(
    store: Store, zoo: Path, publisher: Store, tmp_path: Path, look: Look
) -> None:
    publisher.publish([STUB], tmp_path / "mirror")
    for path in (zoo / "objects").rglob("*"):
        if path.is_file():
            path.unlink()
    store.add_remote("zoo", str(zoo))
    store.add_remote("mirror", str(tmp_path / "mirror"))

    assert look(store.checkout(STUB, tmp_path / "work").directory) == ONE


def test_a_model_that_nobody_has_is_unknown(store: Store, zoo: Path) -> None:
    store.add_remote("zoo", str(zoo))

    with pytest.raises(UnknownStub) as raised:
        store.pull("zoo:none")

    assert "zoo" in raised.value.message
    assert "builtin" in raised.value.message


def test_a_revision_that_nobody_has_is_unknown(store: Store, zoo: Path) -> None:
    store.add_remote("zoo", str(zoo))

    for here in (False, True):
        with pytest.raises(UnknownRevision):
            store.pull(f"{STUB}@v9")
        if not here:
            store.pull(STUB)


def test_a_zoo_that_lost_an_object_is_told_so(store: Store, zoo: Path) -> None:
    for path in (zoo / "objects").rglob("*"):
        if path.is_file():
            path.unlink()
    store.add_remote("zoo", str(zoo))

    with pytest.raises(MissingObject):
        store.pull(STUB)

    assert store.snapshots() == []
    assert store.verify().is_clean


def test_globs_that_choose_nothing_pull_nothing(store: Store, zoo: Path) -> None:
    store.add_remote("zoo", str(zoo))

    with pytest.raises(NothingLeft):
        store.pull(STUB, include=["*.none"])

    assert store.snapshots() == []


# Tags and revisions


def test_tags_of_what_was_pulled_come_along(store: Store, publisher: Store, zoo: Path) -> None:
    store.add_remote("zoo", str(zoo))

    store.pull(STUB)

    assert store.snapshot(STUB).tags == publisher.snapshot(STUB).tags
    assert store.snapshot(f"{STUB}@v1").id == publisher.snapshot(STUB).id


def test_a_tag_of_our_own_stays_ours(store: Store, zoo: Path, lay: LayOut) -> None:
    store.add(lay("mine", {"m": b"m"}), STUB)
    mine = store.tag(STUB, "v1")
    store.add_remote("zoo", str(zoo))

    store.pull(STUB, force=True)

    assert store.snapshot(f"{STUB}@v1").id == mine


def test_an_older_revision_comes_beside_the_newest(
    store: Store, publisher: Store, zoo: Path, lay: LayOut, tmp_path: Path, look: Look
) -> None:
    first = publisher.snapshot(STUB).id
    publish_next(publisher, lay, zoo)
    store.add_remote("zoo", str(zoo))
    newest = store.pull(STUB).snapshot

    assert store.pull(f"{STUB}@v1").snapshot == first

    assert store.snapshot(STUB).id == newest
    assert look(store.checkout(f"{STUB}@v1", tmp_path / "work").directory) == ONE


@pytest.mark.parametrize("digits", [4, 12, 64])
def test_a_snapshot_can_be_pulled_by_its_id(
    store: Store, publisher: Store, zoo: Path, digits: int
) -> None:
    snapshot = publisher.snapshot(STUB).id
    store.add_remote("zoo", str(zoo))

    assert store.pull(f"{STUB}@{str(snapshot)[:digits]}").snapshot == snapshot
    assert store.snapshot(f"{STUB}@{snapshot}").id == snapshot


# Changes on both sides


@pytest.fixture
def changed_here(store: Store, zoo: Path, tmp_path: Path) -> Path:
    """A checkout of what was pulled, with a commit of its own."""
    store.add_remote("zoo", str(zoo))
    work = store.checkout(STUB, tmp_path / "work").directory
    (work / "small.txt").write_bytes(b"mine")
    store.commit(work, message="mine")
    return work


def test_what_was_changed_here_on_top_of_the_source_stays(store: Store, changed_here: Path) -> None:
    mine = store.snapshot(STUB).id

    done = store.pull(STUB)

    assert (done.snapshot, done.downloaded_files) == (mine, 0)
    assert store.snapshot(STUB).id == mine


def test_what_was_changed_on_both_sides_has_diverged(
    store: Store, publisher: Store, zoo: Path, lay: LayOut, changed_here: Path
) -> None:
    publish_next(publisher, lay, zoo)
    mine, before = store.snapshot(STUB).id, held(store.path)

    with pytest.raises(Diverged) as raised:
        store.pull(STUB)

    assert raised.value.facts["current"] == str(mine)
    assert raised.value.facts["offered"] == str(publisher.snapshot(STUB).id)
    assert held(store.path) == before


def test_force_follows_the_source(
    store: Store, publisher: Store, zoo: Path, lay: LayOut, changed_here: Path
) -> None:
    publish_next(publisher, lay, zoo)
    mine = store.snapshot(STUB).id

    store.pull(STUB, force=True)

    assert store.snapshot(STUB).id == publisher.snapshot(STUB).id
    assert store.snapshot(f"{STUB}@{mine}").id == mine, "it can still be named by its id"


def test_a_model_added_here_under_the_same_name_has_diverged(
    store: Store, zoo: Path, lay: LayOut
) -> None:
    mine = store.add(lay("mine", {"m": b"m"}), STUB).snapshot
    store.add_remote("zoo", str(zoo))

    with pytest.raises(Diverged):
        store.pull(STUB)

    assert store.snapshot(STUB).id == mine


def test_what_the_source_made_of_ours_is_followed(
    store: Store, new_store: Callable[[str], Store], tmp_path: Path, changed_here: Path, zoo: Path
) -> None:
    """We publish, somebody else goes on from there, and publishes."""
    store.publish([STUB], zoo)
    other = new_store("other")
    other.add_remote("zoo", str(zoo))
    theirs = other.checkout(STUB, tmp_path / "theirs").directory
    (theirs / "small.txt").write_bytes(b"theirs")
    other.commit(theirs, message="theirs")
    other.publish([STUB], zoo)

    done = store.pull(STUB)

    assert done.snapshot == other.snapshot(STUB).id
    assert [entry.snapshot.message for entry in store.log(STUB)] == ["theirs", "mine", ""]


def test_a_pinned_revision_never_diverges(
    store: Store, publisher: Store, zoo: Path, lay: LayOut, changed_here: Path
) -> None:
    publish_next(publisher, lay, zoo)
    publisher.tag(STUB, "v2")
    publisher.publish([STUB], zoo)
    mine = store.snapshot(STUB).id

    assert store.pull(f"{STUB}@v2").snapshot == publisher.snapshot(STUB).id

    assert store.snapshot(STUB).id == mine
    assert store.snapshot(f"{STUB}@v2").id == publisher.snapshot(STUB).id


# Naming remotes


def test_what_else_is_in_the_configuration_stays(store: Store, zoo: Path) -> None:
    config = store.path / "config.toml"
    config.write_text("# mine\nlarge_object = 16  # small\n")

    store.add_remote("zoo", str(zoo))
    store.add_remote("web.example-1", "https://example.com/zoo")
    store.remove_remote("zoo")

    text = config.read_text()
    assert "# mine" in text
    assert "large_object = 16  # small" in text
    assert store.remotes().keys() == {"web.example-1", "builtin"}


def test_a_remote_can_be_led_elsewhere(store: Store, zoo: Path) -> None:
    store.add_remote("zoo", NOBODY)
    store.add_remote("zoo", str(zoo))

    assert store.pull(STUB).source == "zoo"


@pytest.mark.parametrize("name", ["", "builtin", "environment", "a b", "-a", "a/b", "ż", "a\n"])
def test_a_name_that_no_remote_can_have_is_refused(store: Store, zoo: Path, name: str) -> None:
    with pytest.raises(InvalidName):
        store.add_remote(name, str(zoo))

    assert store.remotes().keys() == {"builtin"}


@pytest.mark.parametrize("url", ["", "\udcff", "a\0b"])
def test_an_address_that_is_none_is_refused(store: Store, url: str) -> None:
    with pytest.raises(InvalidName):
        store.add_remote("zoo", url)

    assert store.remotes().keys() == {"builtin"}


def test_a_remote_that_is_none_cannot_be_removed(store: Store, zoo: Path) -> None:
    store.add_remote("zoo", str(zoo))

    for name in ("none", "builtin"):
        with pytest.raises(UnknownRemote):
            store.remove_remote(name)


def test_the_environment_names_a_remote_that_is_asked_first(
    store: Store, zoo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.add_remote("zoo", os.devnull)
    monkeypatch.setenv("ZOOSTORE_REMOTE", str(zoo))

    assert store.pull(STUB).source == "environment"


def test_two_short_names_that_fit_are_ambiguous_in_a_zoo_too(
    store: Store, publisher: Store, zoo: Path, lay: LayOut, cli: Cli
) -> None:
    for domain in ("cv", "nlp"):
        publisher.add(lay(domain, {"a": b"a"}), f"zoo:{domain}/x/net/pytorch/repo/data/base-none")
    stubs = [model.stub for model in publisher.snapshots()]
    publisher.publish(stubs, zoo)
    store.add_remote("zoo", str(zoo))

    ran = cli("--store", store.path, "pull", "net-data-base", "--json")

    assert (ran.code, ran.json["error"]["kind"]) == (6, "ambiguous")
