"""publish: a zoo that any static server can hold, of which readers see the old or the new."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import pytest

from zoostore import Store
from zoostore.errors import DamagedContent, DirectoryNotEmpty, StoreBusy, UnknownStub, UsageError
from zoostore.sources.zoo import ZooSource
from zoostore.stubs import parse_stub
from zoostore.transport.directory import DirectoryFiles

if TYPE_CHECKING:
    from tests.conftest import Cli, Content, LayOut

Look: TypeAlias = "Callable[[Path], dict[str, Content]]"
Stamps: TypeAlias = Callable[[Path], dict[str, tuple[int, int]]]

BIG = bytes(range(256))
ONE: dict[str, Content] = {
    "big.bin": BIG,
    "small.txt": b"one",
    "sub/run*": b"#!",
    "sub/link": "../small.txt",
    "void/": None,
}
TWO: dict[str, Content] = {"big.bin": BIG, "other.bin": BIG[::-1], "small.txt": b"two"}


@pytest.fixture
def publisher(store: Store, lay: LayOut) -> Store:
    store.add(lay("one", ONE), "zoo:one", message="first", time=1)
    store.add(lay("two", TWO), "zoo:two", time=1)
    return store


@pytest.fixture
def zoo(tmp_path: Path) -> Path:
    return tmp_path / "zoo"


@pytest.fixture
def reader(new_store: Callable[[str], Store], zoo: Path) -> Store:
    """Another store, which pulls from the zoo."""
    store = new_store("reader")
    store.add_remote("zoo", str(zoo))
    return store


def files_of(zoo: Path) -> dict[str, bytes]:
    return {
        path.relative_to(zoo).as_posix(): path.read_bytes()
        for path in zoo.rglob("*")
        if path.is_file()
    }


def test_what_was_published_comes_back(
    publisher: Store, reader: Store, zoo: Path, tmp_path: Path, look: Look
) -> None:
    publisher.publish(["zoo:one", "zoo:two"], zoo)

    for stub, files in (("zoo:one", ONE), ("zoo:two", TWO)):
        done = reader.checkout(stub, tmp_path / f"out {stub[4:]}")
        assert look(done.directory) == files
        assert done.pulled.snapshot == publisher.snapshot(stub).id
        assert done.pulled.source == "zoo"
    assert reader.verify().is_clean


def test_publishing_says_what_it_wrote(publisher: Store, zoo: Path) -> None:
    done = publisher.publish(["zoo:one", "zoo:two"], zoo)

    assert (done.directory, done.models, done.total_models) == (zoo, ("zoo:one", "zoo:two"), 2)
    assert done.new_objects == publisher.du().objects
    assert done.new_bytes == publisher.du().stored_bytes


def test_a_zoo_holds_nothing_but_what_the_format_says(publisher: Store, zoo: Path) -> None:
    publisher.publish(["zoo:one"], zoo)

    assert {path.name for path in zoo.iterdir()} == {"zoo.json", "catalog", "objects", "packs"}
    assert len(files_of(zoo)) == 4  # zoo.json, one catalog, one large object, one pack


def test_publishing_twice_writes_nothing(publisher: Store, zoo: Path, stamps: Stamps) -> None:
    publisher.publish(["zoo:one", "zoo:two"], zoo)
    before = stamps(zoo)

    done = publisher.publish(["zoo:one", "zoo:two"], zoo)

    assert stamps(zoo) == before
    assert (done.new_objects, done.new_bytes, done.total_models) == (0, 0, 2)


def test_publishing_the_same_elsewhere_gives_the_same_bytes(
    publisher: Store, zoo: Path, tmp_path: Path
) -> None:
    publisher.publish(["zoo:one", "zoo:two"], zoo, name="z")
    publisher.publish(["zoo:one", "zoo:two"], tmp_path / "again", name="z")

    assert files_of(zoo) == files_of(tmp_path / "again")


def test_a_second_model_adds_only_what_is_new(publisher: Store, zoo: Path, stamps: Stamps) -> None:
    publisher.publish(["zoo:one"], zoo)
    before = stamps(zoo)

    done = publisher.publish(["zoo:two"], zoo)

    after = stamps(zoo)
    kept = before.keys() - {"zoo.json"}
    assert {name: after[name] for name in kept} == {name: before[name] for name in kept}
    assert done.total_models == 2
    assert done.new_objects == 4  # a large file, a small one, a tree, a snapshot


def test_a_new_snapshot_replaces_the_old_in_the_catalog(
    publisher: Store, reader: Store, zoo: Path, lay: LayOut
) -> None:
    publisher.publish(["zoo:one"], zoo)
    reader.pull("zoo:one")
    publisher.add(lay("one2", {"small.txt": b"newer"}), "zoo:one")

    publisher.publish(["zoo:one"], zoo)

    assert reader.pull("zoo:one").snapshot == publisher.snapshot("zoo:one").id
    (listed,) = reader.catalog("zoo")
    assert (listed.files, listed.size) == (1, 5)


def test_tags_are_published_with_their_snapshots(
    publisher: Store, reader: Store, zoo: Path, lay: LayOut, tmp_path: Path, look: Look
) -> None:
    first = publisher.tag("zoo:one", "v1")
    publisher.add(lay("one2", {"small.txt": b"newer"}), "zoo:one")
    publisher.tag("zoo:one", "v2")

    publisher.publish(["zoo:one"], zoo)

    assert look(reader.checkout("zoo:one@v1", tmp_path / "v1").directory) == ONE
    reader.pull("zoo:one")
    assert look(reader.checkout("zoo:one", tmp_path / "tip").directory) == {"small.txt": b"newer"}
    assert dict(reader.snapshot("zoo:one").tags) == {
        "v1": first,
        "v2": publisher.snapshot("zoo:one").id,
    }


def test_a_zoo_is_called_what_it_is_told_or_as_its_directory(publisher: Store, zoo: Path) -> None:
    def name() -> str:
        return ZooSource("x", DirectoryFiles(zoo)).manifest.name

    publisher.publish(["zoo:one"], zoo)
    assert name() == "zoo"
    publisher.publish(["zoo:one"], zoo, name="The zoo of “Ω”")
    assert name() == "The zoo of “Ω”"
    publisher.publish(["zoo:two"], zoo)
    assert name() == "The zoo of “Ω”"


def test_a_reader_that_read_the_old_zoo_json_still_finds_its_catalog(
    publisher: Store, zoo: Path
) -> None:
    """Between its two requests somebody published once."""
    publisher.publish(["zoo:one"], zoo)
    slow = ZooSource("slow", DirectoryFiles(zoo))
    old = (zoo / "zoo.json").read_bytes()

    publisher.publish(["zoo:two"], zoo)

    current = (zoo / "zoo.json").read_bytes()
    (zoo / "zoo.json").write_bytes(old)
    assert list(slow.catalog) == ["zoo:one"]
    assert slow.resolve(parse_stub("zoo:one")) is not None
    (zoo / "zoo.json").write_bytes(current)
    assert list(ZooSource("quick", DirectoryFiles(zoo)).catalog) == ["zoo:one", "zoo:two"]


def test_a_reader_in_the_middle_of_a_model_can_finish(
    publisher: Store, zoo: Path, lay: LayOut
) -> None:
    publisher.publish(["zoo:one"], zoo)
    slow = ZooSource("slow", DirectoryFiles(zoo))
    offer = slow.resolve(parse_stub("zoo:one"))
    assert offer is not None
    for number in range(3):
        publisher.add(lay(f"n{number}", {"small.txt": b"%d" % number}), "zoo:one")
        publisher.publish(["zoo:one"], zoo)

    wanted = {entry.oid for entry in offer.listing.values() if entry.kind.is_file}
    packed = dict(slow.packed(wanted))
    files = {oid: b"".join(chunks) for oid, chunks in slow.files(wanted)}

    assert packed.keys() | files.keys() == wanted


def test_old_catalogs_do_not_pile_up(publisher: Store, zoo: Path, lay: LayOut) -> None:
    for number in range(5):
        publisher.add(lay(f"n{number}", {"small.txt": b"%d" % number}), "zoo:one")
        publisher.publish(["zoo:one"], zoo)

    assert len(list((zoo / "catalog").iterdir())) == 2


# Where it may not be done


@pytest.mark.parametrize("content", [b"ten years", None])
def test_a_directory_with_other_things_is_refused(
    publisher: Store, lay: LayOut, look: Look, content: Content
) -> None:
    name = "thesis" if content else "thesis/"
    directory = lay("strange", {name: content})

    with pytest.raises(DirectoryNotEmpty):
        publisher.publish(["zoo:one"], directory)

    assert look(directory) == {name: content}


def test_a_file_is_refused(publisher: Store, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"a file")

    with pytest.raises(DirectoryNotEmpty):
        publisher.publish(["zoo:one"], tmp_path / "file")

    assert (tmp_path / "file").read_bytes() == b"a file"


def test_a_store_is_no_place_for_a_zoo(publisher: Store) -> None:
    with pytest.raises((DirectoryNotEmpty, UsageError)):
        publisher.publish(["zoo:one"], publisher.path)

    assert publisher.verify().is_clean


def test_an_empty_directory_will_do(publisher: Store, zoo: Path) -> None:
    zoo.mkdir()

    assert publisher.publish(["zoo:one"], zoo).total_models == 1


def test_what_a_first_publishing_left_behind_when_it_was_killed_will_do(
    publisher: Store, zoo: Path, reader: Store
) -> None:
    publisher.publish(["zoo:one"], zoo)
    (zoo / "zoo.json").unlink()
    (zoo / "zoo.lock").write_text(f"{os.uname().nodename} {dead_process()}\n")

    publisher.publish(["zoo:one"], zoo)

    assert reader.pull("zoo:one").files == 4
    assert not (zoo / "zoo.lock").exists()


def test_a_model_that_is_not_here_cannot_be_published(publisher: Store, zoo: Path) -> None:
    with pytest.raises(UnknownStub):
        publisher.publish(["zoo:one", "zoo:none"], zoo)

    assert not zoo.exists()


# Two at a time


def dead_process() -> int:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        return process.pid


def test_a_second_publisher_is_told_who_is_publishing(publisher: Store, zoo: Path) -> None:
    publisher.publish(["zoo:one"], zoo)
    before = files_of(zoo)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        (zoo / "zoo.lock").write_text(f"{os.uname().nodename} {other.pid}\n")

        with pytest.raises(StoreBusy) as raised:
            publisher.publish(["zoo:two"], zoo)

        assert str(other.pid) in raised.value.message
        (zoo / "zoo.lock").unlink()
    assert files_of(zoo) == before


def test_the_lock_of_a_process_that_is_gone_does_not_count(publisher: Store, zoo: Path) -> None:
    publisher.publish(["zoo:one"], zoo)
    (zoo / "zoo.lock").write_text(f"{os.uname().nodename} {dead_process()}\n")

    assert publisher.publish(["zoo:two"], zoo).total_models == 2
    assert not (zoo / "zoo.lock").exists()


@pytest.mark.parametrize("text", ["elsewhere 1\n", "", "junk"])
def test_a_lock_of_another_machine_or_of_nobody_counts(
    publisher: Store, zoo: Path, text: str
) -> None:
    publisher.publish(["zoo:one"], zoo)
    (zoo / "zoo.lock").write_text(text)

    with pytest.raises(StoreBusy):
        publisher.publish(["zoo:two"], zoo)

    assert (zoo / "zoo.lock").read_text() == text


# Failures on the way

KILLED = """
import os, sys
from pathlib import Path
import zoostore.ops.publish as publish
from zoostore import Store
step = sys.argv[1]
original = getattr(publish, step)
def die(*arguments):
    if step != "replace_durably" or arguments[0].name == sys.argv[2]:
        os._exit(9)
    return original(*arguments)
setattr(publish, step, die)
Store(sys.argv[3]).publish(["zoo:one", "zoo:two"], sys.argv[4])
"""


@pytest.mark.parametrize(
    ("step", "name"),
    [
        ("copy_aside", ""),
        ("publish", ""),
        ("fsync_directory", ""),
        ("encode_catalog", ""),
        ("encode_manifest", ""),
        ("replace_durably", "zoo.json"),
    ],
)
@pytest.mark.parametrize("first", [True, False])
def test_readers_see_the_old_zoo_after_a_publisher_was_killed(
    publisher: Store, zoo: Path, reader: Store, lay: LayOut, step: str, name: str, first: bool
) -> None:
    if not first:
        publisher.publish(["zoo:one"], zoo)
        before = publisher.snapshot("zoo:one").id
        publisher.add(lay("next", {**ONE, "new.bin": BIG * 2, "new.txt": b"new"}), "zoo:one")

    done = subprocess.run(
        [sys.executable, "-c", KILLED, step, name, publisher.path, zoo],
        capture_output=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 9, done.stderr.decode()
    if first:
        assert not (zoo / "zoo.json").exists()
    else:
        assert [(listed.stub, listed.snapshot) for listed in reader.catalog("zoo")] == [
            ("zoo:one", before)
        ]
        assert reader.pull("zoo:one").snapshot == before
    publisher.publish(["zoo:one", "zoo:two"], zoo)
    assert [listed.snapshot for listed in Store(reader.path).catalog("zoo")] == [
        publisher.snapshot("zoo:one").id,
        publisher.snapshot("zoo:two").id,
    ]
    assert {path.name for path in zoo.iterdir()} == {"zoo.json", "catalog", "objects", "packs"}


def test_a_damaged_object_is_not_published(
    publisher: Store, zoo: Path, lay: LayOut, loose: Callable[[Path], list[Path]]
) -> None:
    publisher.publish(["zoo:one"], zoo)
    before = files_of(zoo)
    publisher.add(lay("next", {"new.bin": BIG * 2, "new.txt": b"new"}), "zoo:one")
    for path in loose(publisher.path):
        path.chmod(0o644)
        path.write_bytes(path.read_bytes()[::-1])

    with pytest.raises(DamagedContent):
        publisher.publish(["zoo:one"], zoo)

    after = files_of(zoo)
    assert {name: after[name] for name in before} == before
    assert "zoo.lock" not in after
    assert "tmp" not in {path.name for path in zoo.iterdir()}


def test_rot_in_an_object_is_found_while_it_is_published(
    publisher: Store, zoo: Path, loose: Callable[[Path], list[Path]]
) -> None:
    for path in loose(publisher.path):
        before = path.stat()
        path.chmod(0o644)
        with open(path, "r+b") as file:
            file.write(b"\xff")
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    with pytest.raises(DamagedContent):
        publisher.publish(["zoo:one"], zoo)

    assert not (zoo / "zoo.json").exists()


def test_rot_in_a_pack_is_found_while_it_is_published(
    publisher: Store, zoo: Path, packs: Callable[[Path], list[Path]]
) -> None:
    for path in packs(publisher.path):
        before = path.stat()
        path.chmod(0o644)
        path.write_bytes(path.read_bytes().replace(b"one", b"0ne"))
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    with pytest.raises(DamagedContent):
        Store(publisher.path).publish(["zoo:one"], zoo)

    assert not (zoo / "zoo.json").exists()


def test_an_object_that_is_cut_short_in_the_zoo_is_written_again(
    publisher: Store, zoo: Path, reader: Store
) -> None:
    publisher.publish(["zoo:one"], zoo)
    (large,) = (path for path in (zoo / "objects").rglob("*") if path.is_file())
    large.chmod(0o644)
    large.write_bytes(b"cut")

    publisher.publish(["zoo:one"], zoo)

    assert reader.pull("zoo:one").downloaded_files == 3


def test_a_zoo_can_be_moved_and_copied(
    publisher: Store, zoo: Path, reader: Store, tmp_path: Path
) -> None:
    publisher.publish(["zoo:one"], tmp_path / "first")
    shutil.copytree(tmp_path / "first", zoo)

    assert reader.pull("zoo:one").files == 4
    publisher.publish(["zoo:two"], zoo)
    assert len(reader.catalog("zoo")) == 2


def test_a_published_zoo_of_a_newer_format_is_not_touched(
    publisher: Store, zoo: Path, cli: Cli
) -> None:
    publisher.publish(["zoo:one"], zoo)
    manifest = zoo / "zoo.json"
    manifest.write_text(manifest.read_text().replace('"format":1', '"format":2'))
    before = files_of(zoo)

    ran = cli("--store", publisher.path, "publish", "zoo:two", "--to", zoo, "--json")

    assert (ran.code, ran.json["error"]["kind"]) == (1, "newer_format")
    assert files_of(zoo) == before
