"""The index is derived: without it, or with an old or a damaged one, answers are the same."""

from __future__ import annotations

import random
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from zoostore.digest import Oid, hash_bytes
from zoostore.objects.listing import EMPTY_TREE, EMPTY_TREE_BYTES
from zoostore.store.batch import Batch
from zoostore.store.layout import Layout
from zoostore.store.names import Names
from zoostore.store.objectstore import ObjectStore
from zoostore.store.records import ObjectKind, RefChange

OpenStore = Callable[..., ObjectStore]
Outcomes = Callable[[str, Iterable[Path]], dict[str, str]]
RunPython = Callable[..., subprocess.CompletedProcess[str]]

CONTENTS = [b"", b"small", b"small too", bytes(range(256)) * 40, b"x" * 5000]
ONE, TWO = hash_bytes(CONTENTS[1]), hash_bytes(CONTENTS[2])

PAGE = 4096

State = tuple[object, ...]


def state(store: ObjectStore) -> State:
    """All that can be asked of a store."""
    refs = store.names.refs()
    objects = [store.read(hash_bytes(content)) for content in CONTENTS]
    return refs, {stub: store.names.tags(stub) for stub in refs}, objects, store.tree(EMPTY_TREE)


def steps(store: ObjectStore) -> Iterator[None]:
    """Fill a store, one commit of the index after the other."""
    with Batch(store) as batch:
        for content in CONTENTS[:3]:
            batch.receive(hash_bytes(content), len(content), [content], lambda _: None)
        batch.publish()
    yield
    store.names.change(RefChange("zoo:a", ONE, None, "add", 1, files=1, size=5))
    yield
    with Batch(store) as batch:
        for content in CONTENTS[3:]:
            batch.receive(hash_bytes(content), len(content), [content], lambda _: None)
        batch.put(EMPTY_TREE, ObjectKind.TREE, EMPTY_TREE_BYTES)
        batch.commit(RefChange("zoo:b", TWO, None, "pull", 2, partial=True))
    yield
    store.names.change(RefChange("zoo:a", ONE, None, "tag", 3, tag="v1"))
    yield
    store.names.change(RefChange("zoo:a", TWO, ONE, "commit", 4, message="é"))
    yield
    store.names.change(RefChange("zoo:b", None, TWO, "rm", 5))
    yield


@pytest.fixture
def filled(store: ObjectStore) -> ObjectStore:
    for _ in steps(store):
        pass
    return store


def test_a_deleted_index_is_made_anew(filled: ObjectStore, open_store: OpenStore) -> None:
    before = state(filled)
    shutil.rmtree(filled.layout.index)

    assert state(open_store()) == before


def test_an_open_store_survives_the_deletion_of_its_index(filled: ObjectStore) -> None:
    before = state(filled)
    shutil.rmtree(filled.layout.index)
    filled.names.refresh()

    assert state(filled) == before


@pytest.mark.parametrize("name", ["data.mdb", "lock.mdb", "stamp"])
def test_an_open_store_survives_the_deletion_of_a_file_of_its_index(
    filled: ObjectStore, name: str
) -> None:
    before = state(filled)
    (filled.layout.index / name).unlink()
    filled.names.refresh()

    assert state(filled) == before
    filled.names.change(RefChange("zoo:new", ONE, None, "add", 1))


def test_an_index_of_any_earlier_moment_catches_up(
    store: ObjectStore, open_store: OpenStore, tmp_path: Path
) -> None:
    copies = []
    for number, _ in enumerate(steps(store)):
        copies.append(tmp_path / f"index-{number}")
        shutil.copytree(store.layout.index, copies[-1])
    after = state(store)

    for copy in copies:
        shutil.rmtree(store.layout.index)
        shutil.copytree(copy, store.layout.index)
        assert state(open_store()) == after
        assert state(open_store()) == after


def test_the_index_of_another_store_is_not_believed(
    filled: ObjectStore, open_store: OpenStore, tmp_path: Path
) -> None:
    before = state(filled)
    other = Layout(tmp_path / "other")
    other.create()
    Names(other).change(RefChange("zoo:other", ONE, None, "add", 1))
    shutil.rmtree(filled.layout.index)
    shutil.copytree(other.index, filled.layout.index)

    assert state(open_store()) == before


def test_refs_follow_a_reflog_that_was_put_back(store: ObjectStore, open_store: OpenStore) -> None:
    backups = []
    for _ in steps(store):
        reflog = store.layout.reflog
        backups.append((reflog.read_bytes() if reflog.exists() else b"", store.names.refs()))

    for lines, refs in reversed(backups):
        store.layout.reflog.write_bytes(lines)
        assert open_store().names.refs() == refs


def test_without_a_reflog_the_objects_are_still_there(
    filled: ObjectStore, open_store: OpenStore
) -> None:
    filled.layout.reflog.unlink()
    store = open_store()

    assert store.names.refs() == {}
    assert [store.read(hash_bytes(content)) for content in CONTENTS] == CONTENTS


def test_a_torn_line_at_the_end_of_the_reflog_changes_nothing(
    filled: ObjectStore, open_store: OpenStore
) -> None:
    before = state(filled)
    with open(filled.layout.reflog, "ab") as file:
        file.write(b'{"check":"00')

    assert state(open_store()) == before
    open_store().names.change(RefChange("zoo:new", ONE, None, "add", 1))
    assert open_store().names.refs().keys() == {"zoo:a", "zoo:new"}


@pytest.mark.timeout(60)
def test_a_torn_line_does_not_make_readers_wait_for_a_writer(
    filled: ObjectStore, open_store: OpenStore, start_python: Callable[..., subprocess.Popen[str]]
) -> None:
    with open(filled.layout.reflog, "ab") as file:
        file.write(b'{"check":"00')
    open_store()
    script = """
import sys
from pathlib import Path
from zoostore.store.index import open_index
open_index(Path(sys.argv[1])).update(lambda _: (print("holding", flush=True), sys.stdin.read()))
"""
    writer = start_python(script, filled.layout.index)
    assert writer.stdout is not None
    assert writer.stdout.readline() == "holding\n"
    reader = start_python(
        "import sys\nfrom pathlib import Path\nfrom zoostore.store.layout import Layout\n"
        "from zoostore.store.names import Names\nprint(*Names(Layout(Path(sys.argv[1]))).refs())",
        filled.layout.root,
    )
    try:
        answer = reader.communicate(timeout=5)[0]
    except subprocess.TimeoutExpired:
        answer = "waits for the writer"

    assert answer == "zoo:a\n"


# In processes of their own, which damage could end

ASK = """
import hashlib, sys
from pathlib import Path
from zoostore.digest import hash_bytes
from zoostore.store.layout import Layout
from zoostore.store.names import Names
from zoostore.store.objectstore import ObjectStore
from zoostore.store.records import RefChange

def check(folder):
    store = ObjectStore(Names(Layout(folder)))
    found = [store.names.refs(), store.names.tags("zoo:a")]
    found += [store.read(hash_bytes(content)) for content in CONTENTS]
    store.names.change(RefChange("zoo:new", hash_bytes(b"new"), None, "add", 1))
    found.append(sorted(ObjectStore(Names(Layout(folder))).names.refs()))
    return hashlib.sha256(repr(found).encode()).hexdigest()
"""


def test_a_damaged_index_is_made_anew(filled: ObjectStore, outcomes: Outcomes) -> None:
    data = (filled.layout.index / "data.mdb").read_bytes()
    chance = random.Random(1)
    pages = range(len(data) // PAGE)
    damaged = {f"cut-{n}": data[:n] for n in (0, 1, PAGE, 2 * PAGE, len(data) // 2, len(data) - 1)}
    damaged |= {f"zero-{n}": data[: n * PAGE] + bytes(PAGE) + data[(n + 1) * PAGE :] for n in pages}
    damaged |= {
        f"noise-{n}": data[: n * PAGE] + chance.randbytes(PAGE) + data[(n + 1) * PAGE :]
        for n in pages
    }
    damaged |= {"noise": chance.randbytes(10 * PAGE), "text": b"<html>" * 1000, "as it was": data}
    folders = []
    for name, changed in damaged.items():
        folders.append(filled.layout.root.with_name(name))
        shutil.copytree(filled.layout.root, folders[-1])
        (folders[-1] / "index" / "data.mdb").write_bytes(changed)

    answers = outcomes(f"CONTENTS = {CONTENTS!r}\n{ASK}", folders)

    expected = answers.pop(str(folders[-1]))
    assert "raised" not in expected
    bad = {name: answer for name, answer in answers.items() if answer != expected}
    assert not bad


CRASH = """
import itertools, os, shutil, sys
from pathlib import Path
from zoostore.digest import Oid, hash_bytes, hash_descriptor
from zoostore.store.batch import Batch
from zoostore.store.derive import loose_files, pack_files
from zoostore.store.layout import Layout
from zoostore.store.names import Names
from zoostore.store.objectstore import ObjectStore
from zoostore.store.packs import PackReader, check_object
from zoostore.store.records import RefChange

CALLS = ("fsync", "replace", "fchmod", "mkdir", "open", "write", "unlink", "rmdir", "ftruncate")

def opened(folder):
    layout = Layout(folder)
    layout.create()
    return ObjectStore(Names(layout), large_object=1000)

def fill(folder):
    store = opened(folder)
    record = store.names.ref("zoo:m")
    with Batch(store) as batch:
        for content in CONTENTS:
            batch.receive(hash_bytes(content), len(content), [content], lambda _: None)
        old = record.snapshot if record else None
        new = hash_bytes(CONTENTS[1] if old != hash_bytes(CONTENTS[1]) else CONTENTS[2])
        batch.commit(RefChange("zoo:m", new, old, "add", 1))
    return new

def die_before_call(number):
    calls = itertools.count()
    def counted(original):
        def call(*args, **named):
            if next(calls) == number:
                os._exit(9)
            return original(*args, **named)
        return call
    for name in CALLS:
        setattr(os, name, counted(getattr(os, name)))

def verify(folder):
    layout = Layout(folder)
    for oid, entry in loose_files(layout):
        with open(entry.path, "rb") as file:
            assert hash_descriptor(file.fileno())[0] == oid, f"{entry.path} is damaged"
        assert entry.stat().st_mode & 0o777 == 0o444, f"{entry.path} is not read-only"
    for name, path in pack_files(layout):
        with PackReader(path) as pack:
            assert hash_descriptor(pack.fileno())[0] == name, f"{path} is damaged"
            pack.table()

def check(folder):
    pid = os.fork()
    if pid == 0:
        die_before_call(int(folder.name))
        fill(folder)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert code in (0, 9), code
    store = opened(folder)
    verify(folder)
    record = store.names.ref("zoo:m")
    assert record is not None or code == 9, "what was reported as done is lost"
    if record is not None:
        assert [store.read(hash_bytes(content)) for content in CONTENTS] == CONTENTS
    new = fill(folder)
    verify(folder)
    assert opened(folder).names.ref("zoo:m").snapshot == new
    assert list((folder / "tmp").iterdir()) == [], "a dead process's folder is left"
    return "done" if code == 0 else "died"
"""


def test_a_process_killed_before_any_system_call_leaves_a_store_that_is_whole(
    tmp_path: Path, outcomes: Outcomes
) -> None:
    folders = [tmp_path / str(number) for number in range(90)]

    answers = outcomes(f"CONTENTS = {CONTENTS!r}\n{CRASH}", folders)

    assert {
        name: answer for name, answer in answers.items() if answer not in ("died", "done")
    } == {}
    assert set(answers.values()) == {"died", "done"}, "more calls than were tried"


def test_a_line_of_the_reflog_whose_commit_never_came_is_caught_up_with(
    store: ObjectStore, open_store: OpenStore, run_python: RunPython
) -> None:
    script = """
import os, sys
from pathlib import Path
from zoostore.digest import hash_bytes
from zoostore.store.index import Writer
from zoostore.store.layout import Layout
from zoostore.store.names import Names
from zoostore.store.records import RefChange

names = Names(Layout(Path(sys.argv[1])))
Writer.set_reflog_position = lambda *_: os._exit(9)
names.change(RefChange("zoo:m", hash_bytes(b"1"), None, "add", 1, files=3))
"""
    assert run_python(script, store.layout.root, check=False).returncode == 9
    assert store.names.refs() == {}

    record = open_store().names.ref("zoo:m")

    assert record is not None
    assert (record.snapshot, record.files) == (hash_bytes(b"1"), 3)


def test_a_line_that_another_process_wrote_is_seen_after_a_refresh(
    store: ObjectStore, run_python: RunPython
) -> None:
    script = """
import sys
from pathlib import Path
from zoostore.digest import hash_bytes
from zoostore.store.layout import Layout
from zoostore.store.names import Names
from zoostore.store.records import RefChange
Names(Layout(Path(sys.argv[1]))).change(RefChange("zoo:m", hash_bytes(b"1"), None, "add", 1))
"""
    run_python(script, store.layout.root)
    store.names.refresh()

    assert [record.snapshot for record in store.names.refs().values()] == [hash_bytes(b"1")]


def oids(store: ObjectStore) -> set[Oid]:
    return store.names.view(lambda index: {oid for oid, _ in index.locations()})


def test_what_was_published_and_not_indexed_is_found(
    store: ObjectStore, open_store: OpenStore, tmp_path: Path
) -> None:
    shutil.copytree(store.layout.index, tmp_path / "old")
    for _ in steps(store):
        break
    with Batch(store) as batch:
        batch.receive(hash_bytes(CONTENTS[3]), len(CONTENTS[3]), [CONTENTS[3]], lambda _: None)
        batch.publish()
    shutil.rmtree(store.layout.index)
    shutil.copytree(tmp_path / "old", store.layout.index)
    store = open_store()
    assert oids(store) == set()

    for content in CONTENTS[:4]:
        assert store.read(hash_bytes(content)) == content
    assert oids(store) == {hash_bytes(content) for content in CONTENTS[:4]}
