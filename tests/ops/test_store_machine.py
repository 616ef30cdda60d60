"""A store against a dictionary: any history of commands, and what must be true after each."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)

from zoostore import Store
from zoostore.digest import Oid
from zoostore.errors import Diverged, LocalChanges, NothingToCommit, TagExists


class Node(NamedTuple):
    """What stands at a path: a file, an executable one, a link, or an empty folder."""

    kind: str
    content: bytes = b""


EMPTY = Node("folder")
Listing = dict[str, Node]

NAMES = ["a", "b", "c"]
PATHS = st.builds("/".join, st.lists(st.sampled_from(NAMES), min_size=1, max_size=3))
CONTENTS = st.sampled_from([b"", b"a", b"b", b"large" * 4, b"LARGE" * 4, b"larger" * 40])
NODES = st.one_of(
    st.builds(Node, st.sampled_from(["file", "program"]), CONTENTS),
    st.builds(Node, st.just("link"), st.sampled_from([b"a", b"b/c", b"nowhere"])),
    st.just(EMPTY),
)
STUBS = st.sampled_from(["zoo:one", "zoo:two"])
PLACES = st.sampled_from(["left", "right"])
LINKS = st.sampled_from(["hardlink", "copy"])


def parents(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:depth]) for depth in range(1, len(parts))]


def possible(drawn: Mapping[str, Node]) -> Listing:
    """What of some paths can stand in one directory: nothing below what is no folder."""
    found: Listing = {}
    for path in sorted(drawn):
        above = [parent for parent in parents(path) if parent in found]
        if all(found[parent] is EMPTY for parent in above):
            for parent in above:
                del found[parent]
            found[path] = drawn[path]
    return found


LISTINGS = st.dictionaries(PATHS, NODES, max_size=7).map(possible)


def write(root: Path, listing: Listing) -> None:
    root.mkdir(parents=True, exist_ok=True)
    for path, node in listing.items():
        put(root / path, node)


def clear(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def put(path: Path, node: Node) -> None:
    """Put something at a path, in the place of whatever is there or above it."""
    for parent in reversed(path.parents):
        if parent.is_symlink() or parent.is_file():
            parent.unlink()
    clear(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    if node.kind == "folder":
        path.mkdir()
    elif node.kind == "link":
        path.symlink_to(os.fsdecode(node.content))
    else:
        path.write_bytes(node.content)
        path.chmod(0o755 if node.kind == "program" else 0o644)


def read(root: Path) -> Listing:
    found: Listing = {}
    for folder, names, files in os.walk(root):
        if ".zoostore" in names:
            names.remove(".zoostore")
        for name in [*names, *files]:
            path = Path(folder, name)
            key = path.relative_to(root).as_posix()
            mode = path.lstat().st_mode
            if stat.S_ISLNK(mode):
                found[key] = Node("link", os.fsencode(os.readlink(path)))
            elif stat.S_ISREG(mode):
                found[key] = Node("program" if mode & 0o100 else "file", path.read_bytes())
            elif not any(path.iterdir()):
                found[key] = EMPTY
    return found


class Changes(NamedTuple):
    """How a directory differs from a snapshot, as `status` tells it."""

    modified: frozenset[str]
    deleted: frozenset[str]
    untracked: frozenset[str]

    @property
    def any(self) -> bool:
        return bool(self.modified or self.deleted or self.untracked)


def differences(base: Listing, now: Listing) -> Changes:
    folders = {parent for path in now for parent in parents(path)}
    emptied = {parent for path in base for parent in parents(path)}
    untracked = {
        path + "/" * (node is EMPTY)
        for path, node in now.items()
        if path not in base and not (node is EMPTY and path in emptied)
    }
    deleted = {
        path
        for path, node in base.items()
        if path not in now and not (node is EMPTY and path in folders)
    }
    modified = {path for path in base.keys() & now.keys() if base[path] != now[path]}
    return Changes(frozenset(modified), frozenset(deleted), frozenset(untracked))


def committed(base: Listing, now: Listing) -> Listing:
    """What a commit holds: folders that were emptied by deleting are not meant."""
    emptied = {parent for path in base for parent in parents(path)}
    return {
        path: node
        for path, node in now.items()
        if not (node is EMPTY and path not in base and path in emptied)
    }


class Checkout(NamedTuple):
    stub: str
    snapshot: Oid


class StoreMachine(RuleBasedStateMachine):
    """The model: snapshots by id, refs, tags, and what each checkout is of."""

    snapshots = Bundle("snapshots")

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.root = Path(self.folder.name)
        (self.root / "store").mkdir()
        (self.root / "store/config.toml").write_text("large_object = 16\n")
        self.store = Store(self.root / "store", offline=True)
        self.clock = 0
        self.listings: dict[Oid, Listing] = {}
        self.parent_of: dict[Oid, Oid | None] = {}
        self.refs: dict[str, Oid] = {}
        self.tags: dict[str, dict[str, Oid]] = {}
        self.checkouts: dict[str, Checkout] = {}
        self.published: dict[str, Oid] = {}
        self.reader = Store(self.root / "reader", offline=True)

    def teardown(self) -> None:
        del self.store, self.reader
        self.folder.cleanup()

    def tick(self) -> int:
        self.clock += 1
        return self.clock

    def learn(self, stub: str, snapshot: Oid, parent: Oid | None, listing: Listing) -> None:
        self.listings[snapshot] = listing
        self.parent_of[snapshot] = parent
        self.refs[stub] = snapshot

    @initialize(target=snapshots, listing=LISTINGS)
    def begin(self, listing: Listing) -> object:
        return self.add("zoo:one", listing)

    @rule(target=snapshots, stub=STUBS, listing=LISTINGS)
    def add_a_directory(self, stub: str, listing: Listing) -> object:
        return self.add(stub, listing)

    def add(self, stub: str, listing: Listing) -> object:
        source = self.root / "source"
        write(source, listing)
        before = self.refs.get(stub)
        done = self.store.add(source, stub, time=self.tick())
        shutil.rmtree(source)
        if before is not None and self.listings[before] == listing:
            assert (done.snapshot, done.new_objects) == (before, 0)
            return multiple()
        assert done.parent == before
        self.learn(stub, done.snapshot, before, listing)
        return done.snapshot

    @precondition(lambda self: self.refs)
    @rule(place=PLACES, link=LINKS, force=st.booleans(), data=st.data())
    def check_out(self, place: str, link: str, force: bool, data: st.DataObject) -> None:
        stub = data.draw(st.sampled_from(sorted(self.refs)))
        snapshot = data.draw(st.sampled_from(self.history(self.refs[stub])))
        work = self.root / place
        base = self.base_of(place)
        before = read(work) if work.exists() else {}
        try:
            self.store.checkout(f"{stub}@{snapshot}", work, link=link, force=force)
        except LocalChanges:
            assert not force
            assert differences(base, before).any
            assert read(work) == before
            return
        self.checkouts[place] = Checkout(stub, snapshot)
        self.check_laid_out(base, before, self.listings[snapshot], read(work), force=force)

    @staticmethod
    def check_laid_out(
        base: Listing, before: Listing, wanted: Listing, after: Listing, *, force: bool
    ) -> None:
        """Nothing that was edited or added is lost without force; all else is as it should be."""
        folders = {parent for path in after for parent in parents(path)}
        wrong = {
            path
            for path, node in wanted.items()
            if after.get(path) != node and not (node is EMPTY and path in folders)
        }
        mine = {path: node for path, node in before.items() if base.get(path) != node}
        if force:
            assert wrong == set()
            return
        assert wrong <= mine.keys()
        kept = {path: node for path, node in mine.items() if node is not EMPTY}
        assert {path: after.get(path) for path in kept} == kept
        above_mine = {parent for path in mine for parent in parents(path)}
        assert after.keys() <= wanted.keys() | mine.keys() | above_mine

    def base_of(self, place: str) -> Listing:
        checkout = self.checkouts.get(place)
        return self.listings[checkout.snapshot] if checkout else {}

    def history(self, snapshot: Oid | None) -> list[Oid]:
        found = []
        while snapshot is not None:
            found.append(snapshot)
            snapshot = self.parent_of[snapshot]
        return found

    @precondition(lambda self: self.checkouts)
    @rule(place=PLACES, path=PATHS, node=NODES | st.none())
    def edit(self, place: str, path: str, node: Node | None) -> None:
        if place not in self.checkouts:
            return
        target = self.root / place / path
        if node is not None:
            put(target, node)
        elif os.path.lexists(target):
            clear(target)

    @precondition(lambda self: self.checkouts)
    @rule(place=PLACES, data=st.data())
    def make_executable_or_not(self, place: str, data: st.DataObject) -> None:
        if place not in self.checkouts:
            return
        now = read(self.root / place)
        files = sorted(path for path, node in now.items() if node.kind in ("file", "program"))
        if files:
            path = self.root / place / data.draw(st.sampled_from(files))
            # An object's own file: to change its permissions is to change the store.
            if path.stat().st_nlink == 1:
                path.chmod(path.stat().st_mode ^ 0o111)

    @precondition(lambda self: self.checkouts)
    @rule(place=PLACES)
    def look(self, place: str) -> None:
        if place not in self.checkouts:
            return
        checkout = self.checkouts[place]
        status = self.store.status(self.root / place)
        expected = differences(self.base_of(place), read(self.root / place))
        assert (status.stub, status.snapshot) == checkout
        assert frozenset(status.modified) == expected.modified
        assert frozenset(status.deleted) == expected.deleted
        assert frozenset(status.untracked) == expected.untracked

    @precondition(lambda self: self.checkouts)
    @rule(target=snapshots, place=PLACES)
    def commit(self, place: str) -> object:
        if place not in self.checkouts:
            return multiple()
        stub, parent = self.checkouts[place]
        work = self.root / place
        base, now = self.base_of(place), read(work)
        tip = self.refs.get(stub)
        try:
            done = self.store.commit(work, message="m", time=self.tick())
        except NothingToCommit:
            assert not differences(base, now).any
            assert tip in (None, parent)
            return multiple()
        except Diverged:
            assert tip not in (None, parent)
            return multiple()
        assert tip in (None, parent)
        assert done.parent == parent
        self.learn(stub, done.snapshot, parent, committed(base, now))
        self.checkouts[place] = Checkout(stub, done.snapshot)
        assert read(work) == committed(base, now)
        assert self.store.status(work).is_clean
        return done.snapshot

    @precondition(lambda self: self.refs)
    @rule(name=st.sampled_from(["v1", "v2"]), data=st.data())
    def tag(self, name: str, data: st.DataObject) -> None:
        stub = data.draw(st.sampled_from(sorted(self.refs)))
        snapshot = data.draw(st.sampled_from(self.history(self.refs[stub])))
        tags = self.tags.setdefault(stub, {})
        try:
            self.store.tag(f"{stub}@{snapshot}", name)
        except TagExists:
            assert tags[name] != snapshot
            return
        assert tags.get(name, snapshot) == snapshot
        tags[name] = snapshot

    @precondition(lambda self: len(self.refs) > 1)
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        stub = data.draw(st.sampled_from(sorted(self.refs)))
        assert self.store.remove(stub) == self.refs.pop(stub)
        self.tags.pop(stub, None)

    def kept(self) -> set[Oid]:
        """The snapshots that a name leads to, directly or through others, or that are laid out."""
        tags = [snapshot for tags in self.tags.values() for snapshot in tags.values()]
        lines = [self.history(tip) for tip in [*self.refs.values(), *tags]]
        laid_out = [checkout.snapshot for checkout in self.checkouts.values()]
        return {*laid_out, *(snapshot for line in lines for snapshot in line)}

    def free(self) -> int:
        """Free what can be freed, without any grace; the bytes."""
        done = self.store.gc(yes=True, grace=0)
        kept = self.kept()
        for snapshot in kept:
            if self.parent_of[snapshot] not in kept:
                self.parent_of[snapshot] = None
        usage = self.store.du()
        assert (done.kept_bytes, done.kept_objects) == (usage.stored_bytes, usage.objects)
        assert usage.snapshots == len(kept)
        return done.removed_bytes

    @rule()
    def gc(self) -> None:
        said = self.store.gc(grace=0)
        assert self.free() == said.removed_bytes
        assert self.store.gc(grace=0).removed_objects == 0

    @precondition(lambda self: len(self.refs) > 1)
    @rule(data=st.data())
    def remove_and_free(self, data: st.DataObject) -> None:
        stub = data.draw(st.sampled_from(sorted(self.refs)))
        self.free()
        said = self.store.du([stub]).models[0].frees_bytes
        self.store.remove(stub)
        self.refs.pop(stub)
        self.tags.pop(stub, None)
        assert self.free() == said

    @precondition(lambda self: self.refs)
    @rule(data=st.data())
    def publish(self, data: st.DataObject) -> None:
        stub = data.draw(st.sampled_from(sorted(self.refs)))
        done = self.store.publish([stub], self.root / "zoo")
        if not self.published:
            self.reader.add_remote("zoo", str(self.root / "zoo"))
        self.published[stub] = self.refs[stub]
        assert done.total_models == len(self.published)

    @precondition(lambda self: self.published)
    @rule(data=st.data())
    def pull_elsewhere(self, data: st.DataObject) -> None:
        stub = data.draw(st.sampled_from(sorted(self.published)))
        snapshot = self.published[stub]
        assert self.reader.pull(stub).snapshot == snapshot
        assert self.reader.snapshot(stub).id == snapshot
        self.reader.checkout(stub, self.root / "far", force=True)
        assert read(self.root / "far") == self.listings[snapshot]
        shutil.rmtree(self.root / "far")
        assert self.reader.verify().is_clean

    @rule(snapshot=snapshots)
    def read_an_old_snapshot(self, snapshot: Oid) -> None:
        holders = [stub for stub, tip in self.refs.items() if snapshot in self.history(tip)]
        for stub in holders[:1]:
            files = self.store.files(f"{stub}@{str(snapshot)[:16]}")
            assert {file.path for file in files} == self.listings[snapshot].keys()

    @rule(snapshot=consumes(snapshots))
    def lay_an_old_snapshot_out(self, snapshot: Oid) -> None:
        holders = [stub for stub, tip in self.refs.items() if snapshot in self.history(tip)]
        for stub in holders[:1]:
            fresh = self.root / "fresh"
            self.store.checkout(f"{stub}@{snapshot}", fresh)
            assert read(fresh) == self.listings[snapshot]
            shutil.rmtree(fresh)

    @rule()
    def lose_the_index(self) -> None:
        shutil.rmtree(self.root / "store/index")

    @rule()
    def open_the_store_anew(self) -> None:
        self.store = Store(self.root / "store", offline=True)

    @rule()
    def verify(self) -> None:
        assert self.store.verify().is_clean
        assert not list((self.root / "store/tmp").iterdir())

    @invariant()
    def refs_and_tags_are_those_of_the_model(self) -> None:
        if not (self.root / "store/format").exists():
            return
        assert {model.stub: model.snapshot for model in self.store.snapshots()} == self.refs
        for stub in self.refs:
            assert dict(self.store.snapshot(stub).tags) == self.tags.get(stub, {})


TestStoreMachine = StoreMachine.TestCase
TestStoreMachine.settings = settings(
    max_examples=40,
    stateful_step_count=25,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
