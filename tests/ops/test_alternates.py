"""A shared store in front of which one's own stands: looked in, never written to."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import pytest

from zoostore import Store
from zoostore.errors import InvalidConfig, MissingObject, NeededNetwork, UnknownStub

if TYPE_CHECKING:
    from tests.conftest import Cli, Content, InStore, LayOut, Process

Look: TypeAlias = "Callable[[Path], dict[str, Content]]"
NewStore: TypeAlias = "Callable[[str], Store]"
RUN_ALL = """
import json, sys
from zoostore.cli.main import run
sys.exit(sum(run(command) for command in json.loads(sys.argv[1])))
"""
STUB = "zoo:one"
BIG = bytes(range(256))
ONE: dict[str, Content] = {
    "big.bin": BIG,
    "sub/run*": b"#!",
    "small.txt": b"one",
    "link": "big.bin",
}


@pytest.fixture
def shared(new_store: NewStore, lay: LayOut) -> Store:
    """A store that another has as its alternate; `zoo:one` in it has two snapshots and a tag."""
    shared = new_store("shared")
    shared.add(lay("zero", {"big.bin": BIG, "old.txt": b"old"}), STUB, time=1)
    shared.tag(STUB, "v0")
    shared.add(lay("one", ONE), STUB, time=2)
    return shared


def put_before(store: Store, *alternates: Path | str) -> Store:
    """The same store, opened anew, with these alternates."""
    config = store.path / "config.toml"
    lines = [line for line in config.read_text().splitlines() if "alternates" not in line]
    named = ", ".join(f'"{alternate}"' for alternate in alternates)
    config.write_text("\n".join([f"alternates = [{named}]", *lines, ""]))
    return Store(store.path)


@pytest.fixture
def own(shared: Store, store: Store) -> Store:
    """An empty store, with the shared one behind it."""
    return put_before(store, shared.path)


def held(root: Path) -> dict[str, tuple[int, int]]:
    """Every path of a store, the time of its last change, and its size.

    The lock file is left out: the store itself may be open in this process, to be written to.
    """
    return {
        str(path): (path.lstat().st_mtime_ns, path.lstat().st_size)
        for path in [root, *root.rglob("*")]
        if path.name != "lock.mdb"
    }


def objects_of(store: Store, loose: InStore, packs: InStore) -> list[Path]:
    return [*loose(store.path), *packs(store.path)]


def test_a_pull_records_the_name_and_moves_nothing(
    shared: Store, own: Store, loose: InStore, packs: InStore
) -> None:
    before = held(shared.path)

    pulled = own.pull(STUB)

    assert pulled.source == f"alternate {shared.path}"
    assert (pulled.downloaded_files, pulled.reused_files) == (0, 4)
    assert own.snapshot(STUB).id == shared.snapshot(STUB).id
    assert own.log(STUB)[0].id == shared.log(STUB)[0].id
    assert len(own.log(STUB)) == 2, "the history there is history here"
    assert objects_of(own, loose, packs) == []
    assert held(shared.path) == before


@pytest.mark.parametrize("link", ["auto", "hardlink", "symlink", "copy"])
def test_a_checkout_takes_the_files_of_the_alternate(
    shared: Store, own: Store, look: Look, tmp_path: Path, loose: InStore, packs: InStore, link: str
) -> None:
    work = own.checkout(STUB, tmp_path / "work", link=link).directory

    if link == "symlink":
        assert (work / "big.bin").resolve() in [path.resolve() for path in loose(shared.path)]
    else:
        assert look(work) == ONE
        is_link = any((work / "big.bin").samefile(path) for path in loose(shared.path))
        assert is_link is (link != "copy")
    assert own.status(work).is_clean
    assert own.verify().is_clean
    assert objects_of(own, loose, packs) == []


def test_what_is_stored_is_only_what_no_alternate_has(
    own: Store, lay: LayOut, tmp_path: Path, loose: InStore
) -> None:
    work = own.checkout(STUB, tmp_path / "work").directory
    (work / "small.txt").write_bytes(b"two")
    committed = own.commit(work, message="two", time=3)
    added = own.add(lay("two", {**ONE, "more.bin": BIG[::-1]}), "zoo:two", time=4)

    assert (committed.new_objects, committed.new_bytes < 1000) == (3, True)
    assert added.new_objects == 3
    assert [path.read_bytes() for path in loose(own.path)] == [BIG[::-1]]
    assert own.diff(f"{STUB}@~1", STUB).changed == ("small.txt",)
    assert own.verify().is_clean
    assert own.verify([STUB]).is_clean
    usage = own.du()
    assert usage.objects == 6
    assert usage.stored_bytes < 2000
    assert own.gc(grace=0, yes=True).removed_objects == 0


def test_every_verb_that_reads_does(own: Store, cli: Cli, tmp_path: Path, look: Look) -> None:
    own.pull(STUB)
    snapshot = str(own.snapshot(STUB).id)
    for verb in (
        ("ls", STUB), ("show", STUB), ("show", f"{STUB}@{snapshot[:6]}"), ("log", STUB),
        ("cat", STUB, "small.txt"), ("cat", STUB, "sub/run"), ("cat", f"{STUB}@~1", "old.txt"),
        ("diff", f"{STUB}@~1", STUB), ("du",), ("verify",), ("search", "one"),
    ):  # fmt: skip
        ran = cli("--store", own.path, "--offline", *verb)
        assert (ran.code, ran.out != "" or verb[0] == "verify") == (0, True), (verb, ran)
    assert cli("--store", own.path, "publish", STUB, "--to", tmp_path / "zoo").code == 0
    reader = Store(tmp_path / "reader")
    reader.add_remote("zoo", str(tmp_path / "zoo"))
    assert look(reader.checkout(STUB, tmp_path / "read").directory) == ONE


def test_names_of_an_alternate_are_found_before_those_of_remotes(
    shared: Store, own: Store, lay: LayOut, new_store: NewStore, tmp_path: Path
) -> None:
    publisher = new_store("publisher")
    publisher.add(lay("other", {"other": b"other"}), STUB, time=9)
    publisher.publish([STUB], tmp_path / "zoo")
    own.add_remote("zoo", str(tmp_path / "zoo"))

    (hit,) = own.search("zoo:one").hits
    offline = Store(own.path, offline=True)

    assert hit.source == f"alternate {shared.path}"
    assert offline.pull(f"{STUB}@v0").snapshot == shared.snapshot(f"{STUB}@v0").id
    assert own.pull(STUB).snapshot == shared.snapshot(STUB).id
    shared.add(lay("next", {"next": b"next"}), STUB, time=10)
    assert own.pull(STUB).snapshot == shared.snapshot(STUB).id, "it is followed"


def test_a_model_that_is_there_in_part_is_pulled_from_who_has_it_whole(
    own: Store, shared: Store, lay: LayOut, new_store: NewStore, tmp_path: Path
) -> None:
    publisher = new_store("publisher")
    publisher.add(lay("part", {"a.bin": BIG[:100], "b.bin": BIG[100:]}), "zoo:part", time=9)
    publisher.publish(["zoo:part"], tmp_path / "zoo")
    for store in (shared, own):
        store.add_remote("zoo", str(tmp_path / "zoo"))
    shared.pull("zoo:part", include=["a.bin"])

    pulled = own.pull("zoo:part")

    assert (pulled.source, pulled.downloaded_files, pulled.reused_files) == ("zoo", 1, 1)


@pytest.fixture
def damaged(shared: Store, store: Store, lay: LayOut, loose: InStore) -> Store:
    """A store whose one large object is damaged, and intact in the shared one behind it."""
    store.add(lay("mine", ONE), STUB, time=2)
    own = put_before(store, shared.path)
    (mine,) = loose(own.path)
    mine.chmod(0o644)
    mine.write_bytes(BIG[::-1])
    return own


def test_what_is_damaged_here_and_intact_there_is_taken_from_there(
    damaged: Store, loose: InStore, tmp_path: Path, look: Look
) -> None:
    assert damaged.verify().damaged, "one's own store is read, and what is damaged in it is said"
    assert look(damaged.checkout(STUB, tmp_path / "work").directory) == ONE
    assert loose(damaged.path) == [], "it was set aside, and not stored again"
    assert damaged.verify().is_clean


def test_a_pull_takes_what_is_damaged_here_and_intact_there_for_being_here(damaged: Store) -> None:
    pulled = damaged.pull(STUB, force=True)

    assert (pulled.downloaded_files, pulled.reused_files) == (0, len(ONE))
    assert damaged.verify().is_clean


def test_what_is_damaged_in_an_alternate_is_left_and_not_taken(
    shared: Store, own: Store, loose: InStore, tmp_path: Path, lay: LayOut
) -> None:
    own.pull(STUB)
    (theirs,) = loose(shared.path)
    theirs.chmod(0o644)
    theirs.write_bytes(BIG[::-1])
    before = held(shared.path)

    assert [finding.paths for finding in own.verify().missing] == [("big.bin",)]
    with pytest.raises(MissingObject):
        own.checkout(STUB, tmp_path / "work")
    own.add(lay("again", {"big.bin": BIG}), "zoo:again")

    assert own.verify().is_clean, "a copy of one's own takes its place"
    assert held(shared.path) == before


def test_an_alternate_has_alternates_and_cycles_are_harmless(
    new_store: NewStore, lay: LayOut, tmp_path: Path, look: Look
) -> None:
    names = [f"s{number}" for number in range(8)]
    chain = [new_store(name) for name in names]
    for number, store in enumerate(chain):
        store.add(lay(f"dir{number}", {"n": bytes([number]) * 20}), f"zoo:m{number}", time=1)
    for number in range(7):
        put_before(chain[number], f"../s{number + 1}", "../s0")
    own = Store(chain[0].path, offline=True)

    for number in range(1, 6):
        assert own.pull(f"zoo:m{number}").source == f"alternate {chain[number].path}"
    with pytest.raises(UnknownStub, match=r"s6 \(which was not looked in"):
        own.pull("zoo:m6")
    assert len(own.absent_alternates) == 1
    assert "behind more than 5 others" in own.absent_alternates[0]


def test_a_model_may_be_spread_over_alternates(
    shared: Store, new_store: NewStore, lay: LayOut, tmp_path: Path, look: Look
) -> None:
    middle = put_before(new_store("middle"), shared.path)
    files: dict[str, Content] = {**ONE, "more.bin": BIG[::-1]}
    middle.add(lay("more", files), "zoo:more", time=5)
    front = put_before(new_store("front"), middle.path)

    assert look(front.checkout("zoo:more", tmp_path / "work").directory) == files
    assert front.verify().is_clean


# An alternate that is not there


@pytest.mark.parametrize(
    ("state", "said"),
    [("gone", "no store at"), ("no store", "is not a store"), ("newer", "format 2")],
)
def test_an_alternate_that_cannot_be_used_is_said_and_gone_on_without(
    shared: Store, own: Store, cli: Cli, lay: LayOut, state: str, said: str
) -> None:
    own.pull(STUB)
    own.add(lay("mine", {"mine.bin": BIG[::-1]}), "zoo:mine")
    if state == "gone":
        shared.path.rename(shared.path.with_name("elsewhere"))
    else:
        text = "zoostore 2\n" if state == "newer" else "something\n"
        (shared.path / "format").write_text(text)

    listed = cli("--store", own.path, "ls", "--json")
    mine = cli("--store", own.path, "show", "zoo:mine")
    lost = cli("--store", own.path, "--offline", "cat", STUB, "small.txt")
    unknown = cli("--store", own.path, "--offline", "pull", "zoo:three")

    assert (listed.code, listed.err, len(listed.json)) == (0, "", 2)
    assert (mine.code, mine.err) == (0, ""), "what needs no alternate asks none"
    assert lost.code == 5
    for ran in (lost, unknown):
        assert str(shared.path) in ran.err
        assert said in ran.err
        assert "config.toml" in ran.err
    assert unknown.code == 6


def test_what_is_lost_with_an_alternate_is_missing_and_comes_back_with_it(
    shared: Store, own: Store, tmp_path: Path
) -> None:
    own.pull(STUB)
    shared.path.rename(tmp_path / "elsewhere")

    again = Store(own.path, offline=True)
    with pytest.raises(MissingObject, match="was not looked in"):
        again.checkout(STUB, tmp_path / "work")
    assert again.verify().missing
    with pytest.raises(MissingObject):
        again.gc(yes=True)

    (tmp_path / "elsewhere").rename(shared.path)
    assert Store(own.path).verify().is_clean


@pytest.mark.parametrize("value", ['"one"', "[1]", '[""]', '["a\\u0000b"]', "{}", "3"])
def test_alternates_that_make_no_sense_are_refused(store: Store, lay: LayOut, value: str) -> None:
    store.add(lay("one", ONE), STUB)
    (store.path / "config.toml").write_text(f"alternates = {value}\n")

    with pytest.raises(InvalidConfig, match="alternates"):
        Store(store.path).pull(STUB)


# Nothing is written to an alternate


@pytest.mark.parametrize("index", ["as it was", "gone", "behind", "touched", "damaged"])
def test_nothing_is_written_to_an_alternate_though_one_may(
    shared: Store, own: Store, index: str, tmp_path: Path, lay: LayOut
) -> None:
    folder = shared.path / "index"
    lock = folder / "lock.mdb"
    if index == "gone":
        shutil.rmtree(folder)
    elif index == "behind":
        shutil.copytree(folder, tmp_path / "old")
        shared.add(lay("two", {"two": BIG * 2}), "zoo:two")
        shutil.rmtree(folder)
        (tmp_path / "old").rename(folder)
    elif index == "touched":
        os.utime(folder / "data.mdb")
    elif index == "damaged":
        (folder / "data.mdb").write_bytes(b"junk" * 4096)
    before = held(shared.path), lock.read_bytes() if lock.exists() else b""

    verbs: list[tuple[str | Path, ...]] = [
        ("search",), ("pull", STUB), ("checkout", STUB, tmp_path / "work"), ("verify",),
        ("status", tmp_path / "work"), ("add", tmp_path / "one", "zoo:mine"), ("gc", "--yes"),
        ("repair",), ("rm", STUB),
    ]  # fmt: skip
    commands = [["--store", str(own.path), *map(str, verb)] for verb in verbs]
    done = subprocess.run(
        [sys.executable, "-c", RUN_ALL, json.dumps(commands)],
        capture_output=True,
        timeout=60,
        check=False,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    assert done.returncode == 0, done.stderr.decode()

    assert (held(shared.path), lock.read_bytes() if lock.exists() else b"") == before


def test_a_process_may_write_to_a_store_that_is_an_alternate_of_another_of_its_stores(
    shared: Store, new_store: NewStore, lay: LayOut, process: Process
) -> None:
    front = put_before(new_store("front"), shared.path)
    path = shared.path
    del shared
    front.pull(STUB)

    shared = Store(path)
    shared.add(lay("two", {"two.bin": BIG[::-1]}), "zoo:two")
    assert front.pull("zoo:two").downloaded_files == 0
    assert process("--store", path, "add", lay("3", {"3": BIG * 3}), "zoo:three").returncode == 0
    assert front.pull("zoo:three").downloaded_files == 0
    assert shared.verify().is_clean
    assert front.verify().is_clean


def test_a_forked_child_opens_alternates_anew(own: Store) -> None:
    own.pull(STUB)
    child = os.fork()
    if child == 0:  # pragma: no cover - another process
        with own.open_file(STUB, "big.bin") as file:
            os._exit(0 if file.read() == BIG else 1)
    assert os.waitpid(child, 0)[1] == 0
    with own.open_file(STUB, "big.bin") as file:
        assert file.read() == BIG


def test_offline_without_the_alternate_the_network_is_what_is_missing(own: Store) -> None:
    own.add_remote("web", "http://127.0.0.1:1")

    with pytest.raises(NeededNetwork):
        Store(own.path, offline=True).pull("zoo:nowhere")
