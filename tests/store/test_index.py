"""The index: what is put into LMDB comes back, and damage is noticed and survived."""

from __future__ import annotations

import gc
import random
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import pytest

from zoostore.digest import Oid, hash_bytes
from zoostore.store.index import Index, IndexDamaged, Writer, open_index
from zoostore.store.index_stamp import record_stamp
from zoostore.store.records import Location, ObjectKind, Packed, PackRecord, Position, RefRecord
from zoostore.stubs import MAX_NAME_BYTES

RunPython = Callable[..., subprocess.CompletedProcess[str]]
Outcomes = Callable[[str, Iterable[Path]], dict[str, str]]
StartPython = Callable[..., subprocess.Popen[str]]

PAGE = 4096
COUNT = 160
"""How many objects `filled` holds."""

STUB = "zoo:cv/classification/mlp-512/numpy/zoostore/digits/base-none"
RECORD = RefRecord(hash_bytes(b"snapshot"), 3, 1 << 40, is_partial=True, is_pulled=False)
PACKED = Location.packed(7, Packed(hash_bytes(b"x"), ObjectKind.TREE, 0, 1 << 33, 11, 11))

# Every entry that `filled` writes, said again; and what is found of it.
CHECK = """
COUNT = 160
from pathlib import Path
from zoostore.digest import Oid, hash_bytes
from zoostore.store.index import IndexDamaged, open_index
from zoostore.store.records import Location, ObjectKind, Position, RefRecord

def location(number):
    return Location(ObjectKind.BLOB, 0, 1, number, number, number)

def expected(reader):
    return (
        dict(reader.locations())
        == {hash_bytes(b"%d" % number): location(number) for number in range(COUNT)}
        and [stub for stub, _ in reader.refs()] == sorted(f"zoo:m{i}" for i in range(20))
        and reader.tags("zoo:m1") == {"v1": hash_bytes(b"1")}
        and reader.reflog_position() == Position(7, b"digest")
    )

def check(folder):
    try:
        index = open_index(folder)
        if not index.view(expected):
            return "wrong"
        index.update(lambda writer: writer.set_tag("zoo:m2", "new", hash_bytes(b"2")))
        index.update(lambda writer: writer.delete_tags("zoo:m2"))
        return "right" if index.view(expected) else "wrong after a change"
    except IndexDamaged:
        return "damaged"
"""


def location(number: int) -> Location:
    return Location(ObjectKind.BLOB, 0, 1, number, number, number)


def numbered(count: int) -> list[tuple[Oid, Location]]:
    return [(hash_bytes(b"%d" % number), location(number)) for number in range(count)]


def fill(writer: Writer) -> None:
    writer.set_locations(numbered(COUNT))
    for number in range(20):
        writer.set_ref(f"zoo:m{number}", RECORD)
    writer.set_tag("zoo:m1", "v1", hash_bytes(b"1"))
    writer.set_reflog_position(Position(7, b"digest"))


def forget_some(writer: Writer) -> None:
    for oid, _ in numbered(COUNT // 2):
        writer.forget_object(oid)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "index"


@pytest.fixture
def index(folder: Path) -> Index:
    return open_index(folder)


@pytest.fixture
def filled(folder: Path) -> Path:
    """The folder of an index that holds what `CHECK` expects, opened by nobody."""
    index = open_index(folder)
    index.update(fill)
    # Freed pages are part of a file in use.
    index.update(forget_some)
    index.update(lambda writer: writer.set_locations(numbered(COUNT)))
    del index
    gc.collect()
    return folder


def copies(filled: Path, damage: dict[str, Callable[[bytearray], object]]) -> list[Path]:
    """Copies of an index, each with the damage of its name done to its data."""
    found = []
    for name, harm in damage.items():
        copy = filled.with_name(name)
        shutil.copytree(filled, copy)
        data = bytearray((copy / "data.mdb").read_bytes())
        harm(data)
        (copy / "data.mdb").write_bytes(data)
        found.append(copy)
    return found


def assert_noticed_or_harmless(answers: dict[str, str]) -> None:
    bad = {name: answer for name, answer in answers.items() if answer not in ("right", "damaged")}
    assert not bad


# What is put in comes back


def test_what_is_not_there_is_none(index: Index) -> None:
    assert index.view(lambda reader: reader.location(hash_bytes(b"x"))) is None
    assert index.view(lambda reader: reader.pack(1)) is None
    assert index.view(lambda reader: reader.packs()) == {}
    assert index.view(lambda reader: reader.ref(STUB)) is None
    assert index.view(lambda reader: list(reader.refs())) == []
    assert index.view(lambda reader: reader.tag(STUB, "v1")) is None
    assert index.view(lambda reader: reader.tags(STUB)) == {}
    assert index.view(lambda reader: reader.reflog_position()) == Position.start()
    assert not index.view(lambda reader: reader.is_current_version())


def test_locations_come_back_in_the_order_of_oids(index: Index) -> None:
    located = dict(numbered(50)) | {hash_bytes(b"x"): PACKED}
    index.update(lambda writer: writer.set_locations(located.items()))

    assert index.view(lambda reader: list(reader.locations())) == sorted(located.items())
    assert index.view(lambda reader: reader.location(hash_bytes(b"x"))) == PACKED


def test_locations_are_found_by_the_beginning_of_an_oid(index: Index) -> None:
    oids = [Oid(bytes([first, second]) + bytes(30)) for first in (0, 7, 255) for second in (0, 255)]
    index.update(lambda writer: writer.set_locations((oid, location(1)) for oid in oids))

    def found(prefix: bytes) -> list[Oid]:
        return index.view(lambda reader: [oid for oid, _ in reader.locations(prefix)])

    assert found(b"") == oids
    assert found(b"\x07") == oids[2:4]
    assert found(b"\xff\xff") == oids[5:]
    assert found(bytes(oids[0])) == oids[:1]
    assert found(b"\x08") == []


def test_an_object_that_is_forgotten_is_gone(index: Index) -> None:
    index.update(lambda writer: writer.set_locations(numbered(2)))
    index.update(lambda writer: writer.forget_object(hash_bytes(b"0")))
    index.update(lambda writer: writer.forget_object(hash_bytes(b"never there")))

    assert index.view(lambda reader: list(reader.locations())) == numbered(2)[1:]


def test_a_loose_location_has_its_files_stamp(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    status = path.stat()

    location = Location.loose(status)

    assert location.is_loose
    assert not PACKED.is_loose
    assert (location.size, location.mtime_ns, location.inode) == (
        5,
        status.st_mtime_ns,
        status.st_ino,
    )


def test_packs_keep_their_numbers_and_an_index_made_anew_has_the_same(index: Index) -> None:
    first, second = (PackRecord(hash_bytes(name), 1, 2, 3) for name in (b"a", b"b"))
    touched = first._replace(mtime_ns=4)

    numbers = [
        index.update(partial(Writer.add_pack, record=record)) for record in (first, second, touched)
    ]

    assert numbers[0] == numbers[2] != numbers[1]
    assert index.view(lambda reader: reader.packs()) == {numbers[0]: touched, numbers[1]: second}
    assert index.view(lambda reader: reader.pack(numbers[1])) == second
    index.update(Writer.clear)
    assert index.update(partial(Writer.add_pack, record=second)) == numbers[1]


def test_refs_come_back_in_the_order_of_names(index: Index) -> None:
    other = RECORD._replace(is_partial=False, is_pulled=True, size=0)
    index.update(lambda writer: writer.set_ref("zoo:b", RECORD))
    index.update(lambda writer: writer.set_ref("hf:a/b", other))
    index.update(lambda writer: writer.set_ref("zoo:a", other))
    index.update(lambda writer: writer.delete_ref("zoo:a"))

    assert index.view(lambda reader: list(reader.refs())) == [("hf:a/b", other), ("zoo:b", RECORD)]
    assert index.view(lambda reader: reader.ref("zoo:b")) == RECORD


def test_a_name_has_its_own_tags_and_not_those_of_a_longer_name(index: Index) -> None:
    one, two = hash_bytes(b"1"), hash_bytes(b"2")
    for stub, tag, oid in (("zoo:a", "v1", one), ("zoo:a", "v2", two), ("zoo:ab", "v1", two)):
        index.update(partial(Writer.set_tag, stub=stub, tag=tag, snapshot=oid))

    assert index.view(lambda reader: reader.tags("zoo:a")) == {"v1": one, "v2": two}
    assert index.view(lambda reader: reader.tag("zoo:ab", "v1")) == two
    index.update(lambda writer: writer.delete_tags("zoo:a"))
    assert index.view(lambda reader: reader.tags("zoo:a")) == {}
    assert index.view(lambda reader: reader.tags("zoo:ab")) == {"v1": two}


def test_the_longest_name_and_tag_fit_into_a_key(index: Index) -> None:
    stub, tag = "zoo:".ljust(MAX_NAME_BYTES, "a"), "t" * 100
    index.update(lambda writer: writer.set_ref(stub, RECORD))
    index.update(lambda writer: writer.set_tag(stub, tag, RECORD.snapshot))

    assert index.view(lambda reader: reader.ref(stub)) == RECORD
    assert index.view(lambda reader: reader.tags(stub)) == {tag: RECORD.snapshot}


def test_the_position_in_the_reflog_comes_back(index: Index) -> None:
    position = Position(1 << 40, hash_bytes(b"line"))
    index.update(lambda writer: writer.set_reflog_position(position))

    assert index.view(lambda reader: reader.reflog_position()) == position
    assert index.view(lambda reader: reader.is_current_version())


def test_everything_can_be_forgotten(index: Index) -> None:
    index.update(fill)
    index.update(lambda writer: writer.clear())

    assert index.view(lambda reader: list(reader.locations())) == []
    assert index.view(lambda reader: list(reader.refs())) == []
    assert not index.view(lambda reader: reader.is_current_version())


# Transactions


def test_a_change_that_fails_changes_nothing(index: Index) -> None:
    def change(writer: Writer) -> None:
        writer.set_ref("zoo:a", RECORD)
        raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match="stopped"):
        index.update(change)

    assert index.view(lambda reader: reader.ref("zoo:a")) is None
    index.update(fill)


def test_a_change_says_what_it_returned(index: Index) -> None:
    assert index.update(lambda _: "answer") == "answer"


def test_a_small_map_grows_as_often_as_it_must(folder: Path) -> None:
    index = open_index(folder, map_bytes=16 * PAGE)
    index.update(lambda writer: writer.set_locations(numbered(3000)))

    assert index.view(lambda reader: list(reader.locations())) == sorted(numbered(3000))
    assert (folder / "data.mdb").stat().st_size > 16 * PAGE


def test_a_map_that_another_process_made_grow_is_followed(
    folder: Path, run_python: RunPython
) -> None:
    index = open_index(folder, map_bytes=16 * PAGE)
    index.update(lambda writer: writer.set_ref("zoo:a", RECORD))

    run_python(
        "import sys\n"
        + CHECK
        + "open_index(Path(sys.argv[1])).update(lambda writer: writer.set_locations("
        "(hash_bytes(b'%d' % number), location(number)) for number in range(3000)))",
        folder,
    )

    assert index.view(lambda reader: list(reader.locations())) == sorted(numbered(3000))
    index.update(lambda writer: writer.set_ref("zoo:b", RECORD))
    assert index.view(lambda reader: [stub for stub, _ in reader.refs()]) == ["zoo:a", "zoo:b"]


def test_a_process_has_one_environment_for_a_folder(folder: Path, index: Index) -> None:
    assert open_index(folder) is index
    assert open_index(folder / ".." / "index") is index


def test_an_index_that_was_removed_is_not_taken_for_the_one_made_in_its_place(
    folder: Path, index: Index
) -> None:
    index.update(lambda writer: writer.set_ref("zoo:a", RECORD))
    shutil.rmtree(folder)

    again = open_index(folder)

    assert again is not index
    assert again.view(lambda reader: reader.ref("zoo:a")) is None


def test_a_read_only_index_is_read_without_a_lock_file(filled: Path) -> None:
    (filled / "lock.mdb").unlink()
    before = sorted(path.name for path in filled.iterdir())

    index = open_index(filled, read_only=True)

    assert index.view(lambda reader: reader.ref("zoo:m1")) == RECORD
    assert sorted(path.name for path in filled.iterdir()) == before


# Other processes


def test_two_processes_that_write_at_once_both_land(
    folder: Path, start_python: StartPython
) -> None:
    script = """
import sys
from pathlib import Path
from zoostore.digest import hash_bytes
from zoostore.store.index import open_index
name = sys.argv[2]
index = open_index(Path(sys.argv[1]), map_bytes=1 << 16)
print("ready", flush=True)
sys.stdin.readline()
for number in range(60):
    index.update(lambda writer: writer.set_tag("zoo:m", f"{name}{number}", hash_bytes(b"x")))
"""
    open_index(folder)
    writers = [start_python(script, folder, name) for name in ("a", "b")]
    for process in writers:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in writers:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    assert [process.wait(60) for process in writers] == [0, 0]

    tags = open_index(folder).view(lambda reader: reader.tags("zoo:m"))
    assert set(tags) == {f"{name}{number}" for name in "ab" for number in range(60)}


HOLD = """
import sys
from pathlib import Path
from zoostore.digest import hash_bytes
from zoostore.store.index import open_index

def hold(writer):
    writer.set_tag("zoo:m", "late", hash_bytes(b"x"))
    print("holding", flush=True)
    sys.stdin.readline()

open_index(Path(sys.argv[1])).update(hold)
"""


def hold_write_transaction(folder: Path, start_python: StartPython) -> subprocess.Popen[str]:
    """Start a process that has the writer's lock until it is sent a line."""
    process = start_python(HOLD, folder)
    assert process.stdout is not None
    assert process.stdout.readline() == "holding\n"
    return process


@pytest.mark.timeout(60)
def test_a_reader_does_not_wait_for_a_writer(filled: Path, start_python: StartPython) -> None:
    writer = hold_write_transaction(filled, start_python)

    # Opened only now: to open an index must not take the writer's lock either.
    index = open_index(filled)
    assert index.view(lambda reader: reader.ref("zoo:m1")) == RECORD
    assert index.view(lambda reader: reader.tags("zoo:m")) == {}

    writer.communicate("go on\n", timeout=30)
    assert set(index.view(lambda reader: reader.tags("zoo:m"))) == {"late"}


@pytest.mark.timeout(60)
def test_a_writer_that_is_killed_leaves_nothing_and_holds_up_nobody(
    filled: Path, start_python: StartPython
) -> None:
    writer = hold_write_transaction(filled, start_python)
    writer.kill()
    writer.wait(30)

    index = open_index(filled)
    index.update(lambda writer: writer.set_tag("zoo:m", "next", hash_bytes(b"x")))
    assert set(index.view(lambda reader: reader.tags("zoo:m"))) == {"next"}


def test_a_reader_that_was_killed_is_forgotten_when_the_index_is_opened(
    filled: Path, run_python: RunPython
) -> None:
    killed = run_python(
        "import os, sys\nfrom pathlib import Path\nfrom zoostore.store.index import open_index\n"
        "open_index(Path(sys.argv[1])).view(lambda reader: os.kill(os.getpid(), 9))",
        filled,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    script = "import sys, lmdb\nwith lmdb.open(sys.argv[1]) as env: print(env.reader_check())"

    open_index(filled)

    assert run_python(script, filled).stdout == "0\n"


def test_a_forked_child_opens_its_own_and_the_parents_goes_on(
    folder: Path, run_python: RunPython
) -> None:
    script = """
import os, sys
from pathlib import Path
from zoostore.digest import hash_bytes
from zoostore.store.index import open_index

def put(index, tag):
    index.update(lambda writer: writer.set_tag("zoo:m", tag, hash_bytes(b"x")))

def tags(index):
    return " ".join(index.view(lambda reader: reader.tags("zoo:m")))

folder = Path(sys.argv[1])
parents = open_index(folder)
put(parents, "a")
pid = os.fork()
if pid == 0:
    own = open_index(folder)
    assert own is not parents
    assert tags(own) == "a", tags(own)
    put(own, "b")
    os._exit(0 if tags(own) == "a b" else 1)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
put(parents, "c")
print(tags(parents), tags(open_index(folder)), sep=", ")
"""
    assert run_python(script, folder).stdout == "a b c, a b c\n"


@pytest.mark.timeout(60)
def test_a_child_forked_while_a_thread_reads_can_read(filled: Path, run_python: RunPython) -> None:
    script = """
import os, sys, threading
from pathlib import Path
from zoostore.store.index import open_index

folder = Path(sys.argv[1])
index = open_index(folder)
reading, forked = threading.Event(), threading.Event()

def read(reader):
    reading.set()
    forked.wait()

thread = threading.Thread(target=index.view, args=[read])
thread.start()
reading.wait()
pid = os.fork()
if pid == 0:
    os._exit(0 if open_index(folder).view(lambda reader: reader.ref("zoo:m1")) else 1)
status = os.waitpid(pid, 0)[1]
forked.set()
thread.join()
assert index.view(lambda reader: reader.ref("zoo:m1"))
sys.exit(os.waitstatus_to_exitcode(status))
"""
    run_python(script, filled)


# Damage


def test_a_damaged_value_is_noticed_by_its_checksum(filled: Path) -> None:
    data = (filled / "data.mdb").read_bytes()
    value = RECORD.snapshot + (3).to_bytes(8, "big")
    assert value in data
    (filled / "data.mdb").write_bytes(data.replace(value, value[:-1] + b"\x04"))
    record_stamp(filled)  # as if the disk itself had changed it

    index = open_index(filled)

    with pytest.raises(IndexDamaged):
        index.view(lambda reader: list(reader.refs()))
    with pytest.raises(IndexDamaged):
        index.view(lambda reader: reader.ref("zoo:m1"))
    assert index.view(lambda reader: dict(reader.locations())) == dict(numbered(COUNT))


def test_a_value_under_another_key_is_noticed_by_its_checksum(filled: Path) -> None:
    data = (filled / "data.mdb").read_bytes()
    assert b"rzoo:m19" in data
    (filled / "data.mdb").write_bytes(data.replace(b"rzoo:m19", b"rzoo:m1x"))
    record_stamp(filled)

    with pytest.raises(IndexDamaged):
        open_index(filled).view(lambda reader: list(reader.refs()))


def test_an_index_cut_short_anywhere_is_noticed_or_harmless(
    filled: Path, outcomes: Outcomes
) -> None:
    size = (filled / "data.mdb").stat().st_size
    lengths = [0, 1, 100, PAGE, PAGE + 1, 2 * PAGE, 3 * PAGE, size // 2, size - PAGE, size - 1]

    def cut(length: int) -> Callable[[bytearray], object]:
        return lambda data: data.__delitem__(slice(length, None))

    answers = outcomes(CHECK, copies(filled, {f"cut-{n}": cut(n) for n in lengths}))

    assert_noticed_or_harmless(answers)


@pytest.mark.parametrize("filling", ["zeros", "noise"])
def test_a_page_that_something_overwrote_is_noticed_or_harmless(
    filled: Path, outcomes: Outcomes, filling: str
) -> None:
    chance = random.Random(1)

    def overwrite(page: int) -> Callable[[bytearray], object]:
        content = bytes(PAGE) if filling == "zeros" else chance.randbytes(PAGE)
        return lambda data: data.__setitem__(slice(page * PAGE, (page + 1) * PAGE), content)

    pages = (filled / "data.mdb").stat().st_size // PAGE
    answers = outcomes(CHECK, copies(filled, {f"page-{n}": overwrite(n) for n in range(pages)}))

    assert_noticed_or_harmless(answers)


def test_an_index_that_is_something_else_is_noticed(filled: Path, outcomes: Outcomes) -> None:
    chance = random.Random(2)

    def become(content: bytes) -> Callable[[bytearray], object]:
        return lambda data: data.__setitem__(slice(None), content)

    others = {
        "zeros": bytes(64 * PAGE),
        "noise": chance.randbytes(64 * PAGE),
        "text": b"<html>not an index</html>" * 1000,
        "small": b"x",
        "swapped": (filled / "data.mdb").read_bytes()[::-1],
    }
    answers = outcomes(CHECK, copies(filled, {n: become(data) for n, data in others.items()}))

    assert set(answers.values()) == {"damaged"}


@pytest.mark.parametrize("content", [b"", b"0 0 0 0\n", b"\xff\xfe\x00", b"x" * 100_000], ids=len)
def test_a_stamp_that_says_something_else_is_no_damage(filled: Path, content: bytes) -> None:
    (filled / "stamp").write_bytes(content)

    assert open_index(filled).view(lambda reader: reader.ref("zoo:m1")) == RECORD


def test_a_missing_stamp_is_no_damage_and_is_noted_again(filled: Path) -> None:
    (filled / "stamp").unlink()

    assert open_index(filled).view(lambda reader: reader.ref("zoo:m1")) == RECORD
    assert (filled / "stamp").exists()


@pytest.mark.parametrize("content", [b"", b"noise" * 100, bytes(8192)], ids=len)
def test_a_damaged_lock_file_is_no_matter(filled: Path, outcomes: Outcomes, content: bytes) -> None:
    (filled / "lock.mdb").write_bytes(content)

    assert outcomes(CHECK, [filled]) == {str(filled): "right"}
