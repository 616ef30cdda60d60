"""A commit that was cut off after its ref had moved: the checkout follows it, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from zoostore import Store
from zoostore.errors import Diverged, NothingToCommit

if TYPE_CHECKING:
    from tests.conftest import LayOut

STUB = "zoo:mine"


class CutOff(BaseException):
    """Ends a commit as a signal would."""


@pytest.fixture
def edited(store: Store, lay: LayOut, tmp_path: Path) -> Path:
    """A checkout in which something was changed."""
    store.add(lay("model", {"weights.bin": b"w" * 40, "note": b"first"}), STUB, time=1)
    work = store.checkout(STUB, tmp_path / "work").directory
    (work / "note").write_bytes(b"second")
    return work


def cut_off_commit(store: Store, work: Path, where: str, stub: str | None = None) -> None:
    """Commit, and end in the middle of it."""

    def end(*_: object, **__: object) -> None:
        raise CutOff

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(where, end)
        with pytest.raises(CutOff):
            store.commit(work, message="second", stub=stub, time=2)


AFTER = "zoostore.ops.working.WorkingDirectory.record"
BEFORE = "zoostore.store.batch.Batch.commit"


def test_a_checkout_follows_what_was_committed_in_it(store: Store, edited: Path) -> None:
    cut_off_commit(store, edited, AFTER)

    status = store.status(edited)

    assert status.is_clean
    assert status.snapshot == store.snapshot(STUB).id
    with pytest.raises(NothingToCommit):
        store.commit(edited, message="second")
    assert len(store.log(STUB)) == 2


def test_the_next_change_is_committed_on_top(store: Store, edited: Path) -> None:
    cut_off_commit(store, edited, AFTER)
    (edited / "note").write_bytes(b"third")

    store.commit(edited, message="third")

    assert [entry.snapshot.message for entry in store.log(STUB)] == ["third", "second", ""]


def test_a_new_name_is_followed_too(store: Store, edited: Path) -> None:
    cut_off_commit(store, edited, AFTER, "zoo:child")

    assert store.status(edited).stub == "zoo:child"
    with pytest.raises(NothingToCommit):
        store.commit(edited, message="second", stub="zoo:child")


def test_a_commit_that_moved_no_ref_is_not_followed(store: Store, edited: Path) -> None:
    parent = store.snapshot(STUB).id
    cut_off_commit(store, edited, BEFORE)

    status = store.status(edited)

    assert (status.snapshot, status.modified) == (parent, ("note",))
    store.commit(edited, message="again")
    assert store.status(edited).is_clean


def test_a_ref_that_somebody_else_moved_is_not_followed(
    store: Store, edited: Path, lay: LayOut
) -> None:
    cut_off_commit(store, edited, BEFORE)
    store.add(lay("other", {"note": b"other"}), STUB, time=3)

    assert store.status(edited).modified == ("note",)
    with pytest.raises(Diverged):
        store.commit(edited, message="second")


def test_what_came_on_top_meanwhile_does_not_matter(
    store: Store, edited: Path, lay: LayOut
) -> None:
    cut_off_commit(store, edited, AFTER)
    committed = store.snapshot(STUB).id
    store.add(lay("other", {"note": b"other"}), STUB, time=3)

    status = store.status(edited)

    assert (status.snapshot, status.is_clean) == (committed, True)


def test_a_later_checkout_forgets_it(store: Store, edited: Path) -> None:
    cut_off_commit(store, edited, AFTER)
    first = store.log(STUB)[-1].id
    store.checkout(f"{STUB}@{first}", edited)

    assert store.status(edited).snapshot == first
    assert not (edited / ".zoostore" / "committing").exists()
