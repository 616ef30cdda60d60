"""Refs and tags: the reflog is the truth, and nobody's change is overwritten."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable

import pytest

from zoostore.digest import Oid, hash_bytes
from zoostore.errors import Diverged, TagExists
from zoostore.store.index import Writer
from zoostore.store.names import Names
from zoostore.store.objectstore import ObjectStore
from zoostore.store.records import RefChange, RefRecord
from zoostore.store.refs import record_change

StartPython = Callable[..., subprocess.Popen[str]]

STUB = "zoo:m"
ONE, TWO, THREE = (hash_bytes(name) for name in (b"1", b"2", b"3"))
ADD = RefChange(STUB, ONE, None, "add", 1, files=3, size=15)


@pytest.fixture
def names(store: ObjectStore) -> Names:
    return store.names


def reopened(names: Names) -> Names:
    return Names(names.layout)


def tag(name: str, snapshot: Oid) -> RefChange:
    return RefChange(STUB, snapshot, None, "tag", 2, tag=name)


def logged(names: Names) -> list[RefChange | None]:
    return [line.change for line in names.reflog.read()]


def test_a_name_that_nobody_gave_points_nowhere(names: Names) -> None:
    assert names.ref(STUB) is None
    assert names.refs() == {}
    assert names.tags(STUB) == {}


def test_a_ref_points_to_the_snapshot_it_was_set_to(names: Names) -> None:
    names.change(ADD)

    record = RefRecord(ONE, 3, 15, is_partial=False, is_pulled=False)
    assert names.ref(STUB) == reopened(names).ref(STUB) == record
    assert names.refs() == {STUB: record}
    assert logged(names) == [ADD]


def test_a_ref_that_was_pulled_says_so_until_it_is_changed_here(names: Names) -> None:
    names.change(ADD._replace(op="pull", partial=True))
    assert names.refs()[STUB] == RefRecord(ONE, 3, 15, is_partial=True, is_pulled=True)

    names.change(RefChange(STUB, TWO, ONE, "commit", 2))
    assert names.refs()[STUB] == RefRecord(TWO, 0, 0, is_partial=False, is_pulled=False)


@pytest.mark.parametrize("old", [None, TWO])
def test_a_change_that_does_not_follow_is_refused_and_not_logged(
    names: Names, old: Oid | None
) -> None:
    names.change(ADD)

    with pytest.raises(Diverged) as caught:
        names.change(RefChange(STUB, THREE, old, "commit", 2))

    assert caught.value.facts["current"] == str(ONE)
    assert caught.value.facts["expected"] == (str(old) if old else None)
    assert names.refs()[STUB].snapshot == ONE
    assert logged(names) == [ADD]


def test_a_change_of_what_is_gone_is_refused(names: Names) -> None:
    with pytest.raises(Diverged):
        names.change(RefChange(STUB, TWO, ONE, "commit", 1))

    assert logged(names) == []


def test_a_tag_does_not_move(names: Names) -> None:
    names.change(ADD)
    names.change(tag("v1", ONE))

    with pytest.raises(TagExists) as caught:
        names.change(tag("v1", TWO))

    assert caught.value.facts["snapshot"] == str(ONE)
    assert names.tags(STUB) == reopened(names).tags(STUB) == {"v1": ONE}
    assert len(logged(names)) == 2


def test_removing_a_name_removes_its_tags_and_no_others(names: Names) -> None:
    names.change(ADD)
    names.change(tag("v1", ONE))
    names.change(ADD._replace(stub="zoo:m2"))
    names.change(tag("v1", ONE)._replace(stub="zoo:m2"))

    names.change(RefChange(STUB, None, ONE, "rm", 3))

    assert names.refs().keys() == {"zoo:m2"}
    assert names.tags(STUB) == {}
    assert names.tags("zoo:m2") == {"v1": ONE}
    names.change(ADD)
    assert names.tags(STUB) == reopened(names).tags(STUB) == {}


def test_the_reflog_says_what_a_name_pointed_to_before(names: Names) -> None:
    names.change(ADD)
    names.change(RefChange(STUB, TWO, ONE, "commit", 2))
    names.change(tag("v1", TWO))
    names.change(RefChange(STUB, None, TWO, "rm", 3))

    changes = [change for change in logged(names) if change is not None]
    assert [change.old for change in changes] == [None, ONE, None, TWO]


def test_what_is_prepared_is_there_with_the_change_or_not_at_all(names: Names) -> None:
    def prepare(index: Writer) -> None:
        index.set_tag("zoo:other", "prepared", ONE)

    with pytest.raises(Diverged):
        names.change(RefChange(STUB, TWO, ONE, "commit", 1), prepare)
    assert names.tags("zoo:other") == {}

    names.change(ADD, prepare)
    assert names.tags("zoo:other") == {"prepared": ONE}


class AbortsOnce:
    """An index whose first commit is refused, as when its map must grow."""

    def __init__(self, names: Names) -> None:
        self._names = names

    def update(self, change: Callable[[Writer], RefChange], /) -> RefChange:
        def abort(writer: Writer) -> None:
            change(writer)
            raise _Abort

        with pytest.raises(_Abort):
            self._names.update(abort)
        return self._names.update(change)


class _Abort(Exception):
    pass


@pytest.mark.parametrize("change", [ADD, tag("v1", ONE)])
def test_a_change_whose_commit_is_tried_twice_is_logged_once(
    names: Names, change: RefChange
) -> None:
    record_change(AbortsOnce(names), names.reflog, change, lambda _: None)

    assert logged(names) == [change]
    assert reopened(names).refs() == names.refs()
    assert reopened(names).tags(STUB) == names.tags(STUB)
    assert ONE in (names.tags(STUB).get("v1"), *(r.snapshot for r in names.refs().values()))


CHANGE_MANY = """
import sys
from pathlib import Path
from zoostore.digest import hash_bytes
from zoostore.errors import Diverged
from zoostore.store.layout import Layout
from zoostore.store.names import Names
from zoostore.store.records import RefChange

names = Names(Layout(Path(sys.argv[1])))
own = sys.argv[2]
print("ready", flush=True)
sys.stdin.readline()
won = 0
for number in range(30):
    new = hash_bytes(f"{own}{number}".encode())
    names.change(RefChange(f"zoo:{own}{number}", new, None, "add", number))
    try:
        names.change(RefChange(f"zoo:shared{number}", new, None, "add", number))
        won += 1
    except Diverged:
        pass
print(won)
"""


@pytest.mark.timeout(120)
def test_processes_that_change_names_at_once_all_land_and_one_wins_each_race(
    names: Names, start_python: StartPython
) -> None:
    writers = [start_python(CHANGE_MANY, names.layout.root, own) for own in "ab"]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    won = [int(writer.communicate(timeout=60)[0]) for writer in writers]

    assert sum(won) == 30
    lines = list(names.reflog.read())
    assert not any(line.torn or line.change is None for line in lines)
    assert len(lines) == 90
    expected = {f"zoo:{own}{n}" for own in ("a", "b", "shared") for n in range(30)}
    assert reopened(names).refs().keys() == expected


def test_a_damaged_line_of_the_reflog_is_passed_over(names: Names) -> None:
    for stub in ("zoo:a", "zoo:b", "zoo:c"):
        names.change(ADD._replace(stub=stub))
    data = names.layout.reflog.read_bytes()
    names.layout.reflog.write_bytes(data.replace(b"zoo:b", b"zoo:x"))
    shutil.rmtree(names.layout.index)

    assert reopened(names).refs().keys() == {"zoo:a", "zoo:c"}
