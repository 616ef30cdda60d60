"""The loop that zoostore is for: check out, change, look what changed, commit, go back."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from zoostore import Store
from zoostore.errors import (
    CannotAdd,
    Diverged,
    NotACheckout,
    NothingToCommit,
    UnknownRevision,
    UsageError,
)

if TYPE_CHECKING:
    from tests.conftest import Content, LayOut

    Look = Callable[[Path], dict[str, Content]]

STUB = "zoo:mine"
BIG = bytes(range(256))

FILES: dict[str, Content] = {
    "config.json": b"{}",
    "weights.bin": BIG,
    "bin/run*": b"#!/bin/sh",
    "bin/large*": BIG[::-1],
    "docs/a.md": b"a",
    "docs/b.md": b"b",
    "empty/": None,
    "latest": "docs/a.md",
}


class Seen(NamedTuple):
    """What `status` says after an edit, and what `diff` says of the commit."""

    modified: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()
    untracked: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()


def replace(path: Path, content: Content) -> None:
    """Put something else in the place of what is there, as an editor that saves would."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    if content is None:
        path.mkdir()
    elif isinstance(content, str):
        path.symlink_to(content)
    else:
        path.write_bytes(content)


def rename_folder(root: Path) -> None:
    (root / "docs").rename(root / "notes")


def chmod(name: str, mode: int) -> Callable[[Path], None]:
    return lambda root: (root / name).chmod(mode)


def put(**contents: Content) -> Callable[[Path], None]:
    """Replace paths; `__` stands for a slash and `_` for a full stop."""

    def edit(root: Path) -> None:
        for name, content in contents.items():
            replace(root / name.replace("__", "/").replace("_", "."), content)

    return edit


def folder_for(name: str) -> Callable[[Path], None]:
    """Put a folder with a file in it in the place of something else."""

    def edit(root: Path) -> None:
        (root / name).unlink()
        replace(root / name / "new", b"n")

    return edit


def remove(*names: str) -> Callable[[Path], None]:
    def edit(root: Path) -> None:
        for name in names:
            path = root / name
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()

    return edit


def changed(*paths: str) -> Seen:
    return Seen(modified=paths, changed=paths)


def new(*paths: str) -> Seen:
    return Seen(untracked=paths, added=tuple(path.rstrip("/") for path in paths))


def gone(*paths: str) -> Seen:
    return Seen(deleted=paths, removed=paths)


EDITS: dict[str, tuple[Callable[[Path], None], Seen]] = {
    "small file, same size": (put(config_json=b"[]"), changed("config.json")),
    "small file, longer": (put(config_json=b'{"a": 1}'), changed("config.json")),
    "small file made empty": (put(config_json=b""), changed("config.json")),
    "small file made large": (put(config_json=BIG * 2), changed("config.json")),
    "large file, same size": (put(weights_bin=BIG[::-1]), changed("weights.bin")),
    "large file, longer": (put(weights_bin=BIG + b"more"), changed("weights.bin")),
    "large file made small": (put(weights_bin=b"w"), changed("weights.bin")),
    "file deleted": (remove("docs/a.md"), gone("docs/a.md")),
    "large file deleted": (remove("weights.bin"), gone("weights.bin")),
    "link deleted": (remove("latest"), gone("latest")),
    "folder deleted": (remove("docs"), gone("docs/a.md", "docs/b.md")),
    "empty folder deleted": (remove("empty"), gone("empty")),
    "file added": (put(new_txt=b"new"), new("new.txt")),
    "large file added": (put(new_bin=BIG * 3), new("new.bin")),
    "file added in new folders": (put(x__y__new_txt=b"new"), new("x/y/new.txt")),
    "link added": (put(other="docs/b.md"), new("other")),
    "link to a folder added": (put(other="docs"), new("other")),
    "empty folder added": (put(void=None), new("void/")),
    "empty folder in a new folder": (put(x__void=None), new("x/void/")),
    "empty folder filled": (
        put(empty__new_txt=b"new"),
        Seen(untracked=("empty/new.txt",), added=("empty/new.txt",), removed=("empty",)),
    ),
    "small file made executable": (chmod("config.json", 0o755), changed("config.json")),
    "large file made executable": (chmod("weights.bin", 0o755), changed("weights.bin")),
    "small file made not executable": (chmod("bin/run", 0o644), changed("bin/run")),
    "large file made not executable": (chmod("bin/large", 0o644), changed("bin/large")),
    "link led elsewhere": (put(latest="docs/b.md"), changed("latest")),
    "file replaced by a link": (put(docs__b_md="a.md"), changed("docs/b.md")),
    "large file replaced by a link": (put(weights_bin="config.json"), changed("weights.bin")),
    "link replaced by a file": (put(latest=b"a"), changed("latest")),
    "file replaced by an empty folder": (put(config_json=None), changed("config.json")),
    "link replaced by an empty folder": (put(latest=None), changed("latest")),
    "empty folder replaced by a file": (put(empty=b"e"), changed("empty")),
    "empty folder replaced by a link": (put(empty="docs"), changed("empty")),
    "file replaced by a folder": (
        folder_for("config.json"),
        Seen(
            deleted=("config.json",),
            untracked=("config.json/new",),
            added=("config.json/new",),
            removed=("config.json",),
        ),
    ),
    "link replaced by a folder": (
        folder_for("latest"),
        Seen(
            deleted=("latest",),
            untracked=("latest/new",),
            added=("latest/new",),
            removed=("latest",),
        ),
    ),
    "folder replaced by a file": (
        put(docs=b"all in one"),
        Seen(
            deleted=("docs/a.md", "docs/b.md"),
            untracked=("docs",),
            added=("docs",),
            removed=("docs/a.md", "docs/b.md"),
        ),
    ),
    "folder replaced by a file, beside a new empty folder": (
        put(docs=b"all in one", void=None),
        Seen(
            deleted=("docs/a.md", "docs/b.md"),
            untracked=("docs", "void/"),
            added=("docs", "void"),
            removed=("docs/a.md", "docs/b.md"),
        ),
    ),
    "folder replaced by a link": (
        put(docs="bin"),
        Seen(
            deleted=("docs/a.md", "docs/b.md"),
            untracked=("docs",),
            added=("docs",),
            removed=("docs/a.md", "docs/b.md"),
        ),
    ),
    "folder renamed": (
        rename_folder,
        Seen(
            deleted=("docs/a.md", "docs/b.md"),
            untracked=("notes/a.md", "notes/b.md"),
            added=("notes/a.md", "notes/b.md"),
            removed=("docs/a.md", "docs/b.md"),
        ),
    ),
    "everything deleted but one": (
        remove("bin", "docs", "empty", "latest", "weights.bin"),
        gone("bin/large", "bin/run", "docs/a.md", "docs/b.md", "empty", "latest", "weights.bin"),
    ),
}


@pytest.fixture
def checkout(store: Store, lay: LayOut, tmp_path: Path) -> Path:
    """A checkout of `FILES`."""
    store.add(lay("source", FILES), STUB, message="first")
    return store.checkout(STUB, tmp_path / "work").directory


@pytest.mark.parametrize("edit", EDITS)
def test_status_names_what_was_edited(store: Store, checkout: Path, edit: str) -> None:
    apply, seen = EDITS[edit]

    apply(checkout)

    status = store.status(checkout)
    found = (status.modified, status.deleted, status.untracked)
    assert tuple(map(sorted, found)) == tuple(map(sorted, seen[:3]))


@pytest.mark.parametrize("link", ["hardlink", "copy"])
@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_can_be_committed_undone_and_done_again(
    store: Store, lay: LayOut, look: Look, tmp_path: Path, edit: str, link: str
) -> None:
    apply, seen = EDITS[edit]
    store.add(lay("source", FILES), STUB)
    checkout = store.checkout(STUB, tmp_path / "work", link=link).directory
    apply(checkout)
    edited = look(checkout)

    store.commit(checkout, message=edit)

    assert store.status(checkout).is_clean
    assert look(checkout) == edited
    assert look(store.checkout(STUB, tmp_path / "fresh", link=link).directory) == edited
    diff = store.diff(f"{STUB}@~1", STUB)
    assert (diff.added, diff.removed, diff.changed) == tuple(
        tuple(sorted(paths)) for paths in seen[3:]
    )
    store.checkout(f"{STUB}@~1", checkout, link=link)
    assert look(checkout) == FILES
    assert store.status(checkout).is_clean
    store.checkout(STUB, checkout, link=link)
    assert look(checkout) == edited
    assert store.status(checkout).is_clean
    assert store.verify().is_clean


@pytest.mark.parametrize("edit", EDITS)
def test_a_directory_that_was_edited_differs_by_what_the_commit_will_hold(
    store: Store, checkout: Path, edit: str
) -> None:
    apply, seen = EDITS[edit]
    apply(checkout)

    diff = store.diff(STUB, checkout)

    assert (diff.added, diff.removed, diff.changed) == tuple(
        tuple(sorted(paths)) for paths in seen[3:]
    )
    assert store.diff(checkout) == diff


def test_a_checkout_gives_back_what_was_added(checkout: Path, look: Look) -> None:
    assert look(checkout) == FILES


def test_a_checkout_is_clean_at_first(store: Store, checkout: Path) -> None:
    status = store.status(checkout)

    assert status.is_clean
    assert status.stub == STUB
    assert status.snapshot == store.snapshot(STUB).id


def test_status_is_the_same_from_a_folder_within(store: Store, checkout: Path) -> None:
    (checkout / "config.json").write_bytes(b"[]")

    assert store.status(checkout / "docs") == store.status(checkout)


def test_a_commit_is_a_child_of_the_snapshot_that_was_checked_out(
    store: Store, checkout: Path
) -> None:
    before = store.snapshot(STUB).id
    (checkout / "config.json").write_bytes(b"[]")

    done = store.commit(checkout, message="tuned", metadata={"accuracy": "0.9"}, time=1_700_000_000)

    assert done.parent == before
    shown = store.snapshot(STUB)
    assert (shown.id, shown.snapshot.parents) == (done.snapshot, (before,))
    assert (shown.snapshot.message, shown.snapshot.time) == ("tuned", 1_700_000_000)
    assert shown.snapshot.metadata == {"accuracy": "0.9"}


def test_a_commit_stores_only_what_is_new(store: Store, checkout: Path) -> None:
    objects = store.du().objects
    (checkout / "config.json").write_bytes(b"[]")

    done = store.commit(checkout, message="tuned")

    assert done.new_objects == 3  # the file, the top folder's tree, the snapshot
    assert store.du().objects == objects + 3


def test_a_commit_that_brings_back_old_content_stores_no_file(store: Store, checkout: Path) -> None:
    (checkout / "config.json").write_bytes(b"[]")
    store.commit(checkout, message="there")
    (checkout / "config.json").write_bytes(b"{}")

    done = store.commit(checkout, message="and back")

    assert done.new_objects == 1  # the snapshot: the tree is that of the first
    assert store.snapshot(STUB).snapshot.tree == store.snapshot(f"{STUB}@~2").snapshot.tree


def test_the_log_holds_every_commit_the_newest_first(store: Store, checkout: Path) -> None:
    for message in ("second", "third"):
        (checkout / "config.json").write_text(message)
        store.commit(checkout, message=message)

    log = store.log(STUB)

    assert [entry.snapshot.message for entry in log] == ["third", "second", "first"]
    assert [entry.snapshot.parents for entry in log] == [(log[1].id,), (log[2].id,), ()]
    assert [entry.snapshot.message for entry in store.log(f"{STUB}@~1")] == ["second", "first"]


def test_a_revision_is_a_tag_an_id_its_beginning_or_a_number_of_steps_back(
    store: Store, checkout: Path
) -> None:
    first = store.snapshot(STUB).id
    store.tag(STUB, "v1")
    (checkout / "config.json").write_bytes(b"[]")
    second = store.commit(checkout, message="second").snapshot

    revisions = {
        "v1": first,
        str(first): first,
        str(first)[:12]: first,
        "~1": first,
        "~0": second,
        f"{str(second)[:12]}~1": first,
    }

    assert {name: store.snapshot(f"{STUB}@{name}").id for name in revisions} == revisions


@pytest.mark.parametrize("revision", ["v9", "~2", "v1~1", "0000", "f" * 64])
def test_a_revision_that_does_not_exist_is_refused(
    store: Store, checkout: Path, revision: str
) -> None:
    store.tag(STUB, "v1")
    (checkout / "config.json").write_bytes(b"[]")
    store.commit(checkout, message="second")

    with pytest.raises(UnknownRevision):
        store.snapshot(f"{STUB}@{revision}")


@pytest.mark.parametrize("revision", ["v1", "~1", "id"])
def test_an_old_snapshot_can_be_checked_out_by_any_name(
    store: Store, checkout: Path, look: Look, tmp_path: Path, revision: str
) -> None:
    store.tag(STUB, "v1")
    name = str(store.snapshot(STUB).id)[:10] if revision == "id" else revision
    (checkout / "config.json").write_bytes(b"[]")
    store.commit(checkout, message="second")

    store.checkout(f"{STUB}@{name}", checkout)

    assert look(checkout) == FILES
    assert look(store.checkout(f"{STUB}@{name}", tmp_path / "old").directory) == FILES


def test_a_commit_under_a_new_name_leaves_the_old_one(store: Store, checkout: Path) -> None:
    before = store.snapshot(STUB).id
    (checkout / "config.json").write_bytes(b"[]")

    done = store.commit(checkout, message="mine", stub="zoo:other")

    assert (done.stub, done.parent) == ("zoo:other", before)
    assert store.snapshot(STUB).id == before
    assert store.snapshot("zoo:other").id == done.snapshot
    assert store.status(checkout).stub == "zoo:other"


def test_an_unchanged_checkout_can_be_given_a_new_name(store: Store, checkout: Path) -> None:
    done = store.commit(checkout, message="fork", stub="zoo:fork")

    assert store.snapshot("zoo:fork").snapshot.parents == (store.snapshot(STUB).id,)
    assert store.snapshot("zoo:fork").id == done.snapshot


def test_a_commit_from_an_old_snapshot_is_refused(
    store: Store, checkout: Path, tmp_path: Path, look: Look
) -> None:
    behind = store.checkout(STUB, tmp_path / "behind").directory
    (checkout / "config.json").write_bytes(b"[]")
    tip = store.commit(checkout, message="first come").snapshot
    (behind / "config.json").write_bytes(b"10")
    objects, files = store.du().objects, look(behind)

    with pytest.raises(Diverged) as raised:
        store.commit(behind, message="too late")

    assert raised.value.facts["current"] == str(tip)
    assert store.snapshot(STUB).id == tip
    assert store.du().objects == objects
    assert look(behind) == files
    assert store.status(behind).modified == ("config.json",)
    assert store.commit(behind, message="aside", stub="zoo:aside").parent != tip


def test_a_commit_under_the_name_of_another_model_is_refused(
    store: Store, checkout: Path, lay: LayOut
) -> None:
    other = store.add(lay("other", {"a": b"a"}), "zoo:other").snapshot
    (checkout / "config.json").write_bytes(b"[]")

    with pytest.raises(Diverged):
        store.commit(checkout, message="mine", stub="zoo:other")

    assert store.snapshot("zoo:other").id == other


def test_nothing_changed_is_nothing_to_commit(store: Store, checkout: Path) -> None:
    os.utime(checkout / "config.json")
    replace(checkout / "weights.bin", BIG)

    with pytest.raises(NothingToCommit):
        store.commit(checkout, message="nothing")

    assert len(store.log(STUB)) == 1


@pytest.mark.parametrize("message", ["", " \n"])
def test_a_commit_needs_a_message(store: Store, checkout: Path, message: str) -> None:
    (checkout / "config.json").write_bytes(b"[]")

    with pytest.raises(UsageError):
        store.commit(checkout, message=message)

    assert len(store.log(STUB)) == 1


def test_a_directory_that_is_no_checkout_has_no_status(store: Store, lay: LayOut) -> None:
    directory = lay("source", FILES)
    store.add(directory, STUB)

    with pytest.raises(NotACheckout):
        store.status(directory)
    with pytest.raises(NotACheckout):
        store.commit(directory, message="no")


def test_a_file_deleted_alone_leaves_no_folder_behind(
    store: Store, lay: LayOut, look: Look, tmp_path: Path
) -> None:
    """Deleting a folder's only file leaves an empty folder, which nobody meant to add."""
    store.add(lay("source", {"keep": b"k", "sub/only": b"o"}), STUB)
    checkout = store.checkout(STUB, tmp_path / "work").directory
    (checkout / "sub/only").unlink()

    before = store.status(checkout)
    store.commit(checkout, message="gone")

    assert (before.deleted, before.untracked) == (("sub/only",), ())
    assert look(store.checkout(STUB, tmp_path / "fresh").directory) == {"keep": b"k"}
    assert store.status(checkout).is_clean


def test_what_globs_left_out_stays_in_the_next_commit(
    store: Store, lay: LayOut, look: Look, tmp_path: Path
) -> None:
    store.add(lay("source", FILES), STUB)
    checkout = store.checkout(STUB, tmp_path / "work", include=["docs/"]).directory
    assert look(checkout) == {"docs/a.md": b"a", "docs/b.md": b"b"}
    assert store.status(checkout).is_clean
    (checkout / "docs/a.md").write_bytes(b"A")
    (checkout / "docs/b.md").unlink()

    store.commit(checkout, message="docs only")

    assert store.status(checkout).is_clean
    expected: dict[str, Content] = {**FILES, "docs/a.md": b"A"}
    del expected["docs/b.md"]
    assert look(store.checkout(STUB, tmp_path / "whole").directory) == expected


def test_a_file_put_where_globs_left_one_out_replaces_it(
    store: Store, lay: LayOut, look: Look, tmp_path: Path
) -> None:
    store.add(lay("source", FILES), STUB)
    checkout = store.checkout(STUB, tmp_path / "work", exclude=["*.bin", "bin/"]).directory
    (checkout / "weights.bin").write_bytes(b"my own")

    assert store.status(checkout).modified == ("weights.bin",)
    store.commit(checkout, message="my weights")

    expected = {**FILES, "weights.bin": b"my own"}
    assert look(store.checkout(STUB, tmp_path / "whole").directory) == expected


def test_a_file_put_where_globs_left_a_folder_out_is_refused_or_replaces_it(
    store: Store, lay: LayOut, tmp_path: Path
) -> None:
    """The folder cannot stay; that it goes must be said, and nothing may be damaged."""
    store.add(lay("source", FILES), STUB)
    checkout = store.checkout(STUB, tmp_path / "work", exclude=["docs/"]).directory
    (checkout / "docs").write_bytes(b"a file")

    try:
        store.commit(checkout, message="a file for a folder")
    except CannotAdd:
        assert len(store.log(STUB)) == 1
    assert store.verify().is_clean


def test_an_edit_before_a_second_commit_is_seen(store: Store, checkout: Path) -> None:
    (checkout / "config.json").write_bytes(b"[]")
    store.commit(checkout, message="one")
    (checkout / "config.json").write_bytes(b"<>")

    assert store.status(checkout).modified == ("config.json",)
    store.commit(checkout, message="two")
    with store.open_file(STUB, "config.json") as file:
        assert file.read() == b"<>"


def test_a_checkout_can_be_moved(store: Store, checkout: Path, tmp_path: Path) -> None:
    moved = checkout.rename(tmp_path / "elsewhere")

    assert store.status(moved).is_clean
    (moved / "config.json").write_bytes(b"[]")
    store.commit(moved, message="from elsewhere")
    assert store.status(moved).is_clean


def test_a_checkout_can_be_copied(store: Store, checkout: Path, tmp_path: Path) -> None:
    copied = shutil.copytree(checkout, tmp_path / "copy", symlinks=True)

    assert store.status(copied).is_clean
    (copied / "config.json").write_bytes(b"[]")
    assert store.status(copied).modified == ("config.json",)
    assert store.status(checkout).is_clean
