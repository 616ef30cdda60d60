"""What can be asked of a scene, and what must be true of the answers after a crash."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, TypeAlias

from tests.crashes.commands import Command
from tests.crashes.scenes import Scene
from zoostore import Store
from zoostore.errors import DirectoryNotEmpty, LocalChanges, NoStore, ZooError

Files: TypeAlias = Mapping[str, bytes]


class State(NamedTuple):
    """All that a scene says.

    Attributes:
        names: what each ref and each tag points to, as hex digits; a tag is `STUB@TAG`.
        snapshots: the files of each of these, and of those before them.
        directories: what stands in each directory that may be a checkout.
        statuses: what the status of each is.
    """

    names: Mapping[str, str]
    snapshots: Mapping[str, Files]
    directories: Mapping[str, Files]
    statuses: Mapping[str, str]


def state_of(scene: Scene, name: str = "store") -> State:
    """Read everything in a scene."""
    names: dict[str, str] = {}
    snapshots: dict[str, Files] = {}
    store = Store(scene.root / name, offline=True)
    with contextlib.suppress(NoStore):
        for model in store.snapshots():
            names[model.stub] = str(model.snapshot)
            for entry in store.log(model.stub):
                names.update({f"{model.stub}@{tag}": str(entry.id) for tag in entry.tags})
                snapshots[str(entry.id)] = _files_of(store, f"{model.stub}@{entry.id}")
    there = [path for path in scene.checkouts if path.exists()]
    return State(
        names,
        snapshots,
        {path.name: look_at(path) for path in there},
        {path.name: _status(scene.store, path) for path in there},
    )


def _files_of(store: Store, stub: str) -> Files:
    found = {}
    for file in store.files(stub):
        if file.target:
            found[file.path] = b"-> " + file.target.encode()
        elif not file.mode.startswith("04"):  # an empty folder
            with store.open(file.oid) as content:
                found[file.path] = content.read()
    return found


def look_at(root: Path, *, whole: bool = False) -> Files:
    """What stands in a directory, apart from what a checkout knows of itself."""
    found = {}
    for folder, names, files in os.walk(root):
        if ".zoostore" in names and not whole:
            names.remove(".zoostore")
        for name in files:
            path = Path(folder, name)
            is_link = stat.S_ISLNK(path.lstat().st_mode)
            content = b"-> " + os.fsencode(os.readlink(path)) if is_link else path.read_bytes()
            found[path.relative_to(root).as_posix()] = content
    return found


def _status(store: Store, directory: Path) -> str:
    try:
        status = store.status(directory)
    except ZooError as error:
        return error.kind
    return repr(status)


# What must be true


def check_crashed(
    scene: Scene, command: Command, before: State, after: State, *, finished: bool
) -> None:
    """Hold a scene in which a command was cut off against what it was, and would have become.

    Args:
        finished: whether the command said that it was done.
    """
    store = Store(scene.root / command.store, offline=True)
    check_verified(store)
    now = state_of(scene, command.store)
    for name in now.names.keys() | before.names.keys() | after.names.keys():
        allowed = {after.names.get(name)} | ({before.names.get(name)} if not finished else set())
        assert now.names.get(name) in allowed, f"{name} points to {now.names.get(name)}"
    known = {**before.snapshots, **after.snapshots}
    for snapshot, files in now.snapshots.items():
        assert files == known[snapshot], f"the content of {snapshot} is another"
    check_nothing_wrong_is_clean(scene)


def check_directories(now: State, before: State, after: State) -> None:
    """Every file of every directory is as it was or as it was to become, and whole."""
    for name, files in now.directories.items():
        old, new = before.directories.get(name, {}), after.directories.get(name, {})
        for path in files.keys() | old.keys() | new.keys():
            allowed = (old.get(path), new.get(path))
            assert files.get(path) in allowed, f"{name}/{path} holds {files.get(path)!r}"


def check_verified(store: Store) -> None:
    with contextlib.suppress(NoStore):
        verified = store.verify()
        assert verified.is_clean, f"verify: {verified.damaged} {verified.missing}"


def check_nothing_wrong_is_clean(scene: Scene) -> None:
    """No file of a checkout is said to be unchanged that holds other bytes than its snapshot."""
    for directory in scene.checkouts:
        if not (directory / ".zoostore" / "checkout.json").exists():
            continue
        status = scene.store.status(directory)
        files = _files_of(scene.store, f"{status.stub}@{status.snapshot}")
        here = look_at(directory)
        for path in files.keys() - {*status.modified, *status.deleted}:
            assert here.get(path) == files[path], f"{directory.name}/{path} is not unchanged"


def check_repeated(scene: Scene, command: Command, after: State) -> None:
    """Do the command again; then all is as if it had never been cut off, and nothing lies about."""
    _let_a_minute_pass(scene.root / command.store / "tmp")
    with contextlib.suppress(*command.done_already):
        command.run(scene)
    now = state_of(scene, command.store)
    for part, expected, got in zip(State._fields, after, now, strict=True):
        assert got == expected, f"after the repetition, {part}: {got} instead of {expected}"
    store = Store(scene.root / command.store, offline=True)
    check_verified(store)
    store.add(scene.root / "next", "zoo:next", time=9)
    scene.store.checkout("zoo:one", scene.root / "another")
    for directory in scene.checkouts:
        if directory.exists():
            (directory / ".zoostore" / "entries").unlink(missing_ok=True)
            scene.store.status(directory)  # which has to write it again
    left = [path.relative_to(scene.root).as_posix() for path in _strays(scene, command)]
    assert not left, f"left lying about: {left}"


def check_recovered(scene: Scene, command: Command, after: State) -> None:
    """Do the command again where the power went; then the store is as if it had not gone.

    The files of a checkout are not flushed: what the power took of them counts as changed, and
    to lay out over it may be refused.
    """
    _let_a_minute_pass(scene.root / command.store / "tmp")
    with contextlib.suppress(*command.done_already, LocalChanges, DirectoryNotEmpty):
        command.run(scene)
    check_verified(Store(scene.root / command.store, offline=True))
    now = state_of(scene, command.store)
    assert now.names == after.names, f"after the repetition, names: {now.names}"
    assert now.snapshots == after.snapshots, "after the repetition, contents are others"
    check_nothing_wrong_is_clean(scene)


def _let_a_minute_pass(tmp: Path) -> None:
    """Make those claims old that do not say whose they are."""
    for path in tmp.glob("*.claim*"):
        if not path.stat().st_size:
            os.utime(path, (0, 0))


_KEPT = {"format", "config.toml", "reflog", "objects", "packs", "index", "tmp", "checkouts"}
_INDEX = {"data.mdb", "lock.mdb", "stamp"}


def _strays(scene: Scene, command: Command) -> Iterator[Path]:
    """What nobody needs and nobody will take away."""
    store = scene.root / command.store
    kept = _KEPT if command.damage is None else {*_KEPT, "quarantine"}
    yield from (path for path in store.iterdir() if path.name not in kept)
    yield from (path for path in (store / "index").iterdir() if path.name not in _INDEX)
    yield from (path for path in (store / "tmp").iterdir() if path.name != "downloads")
    yield from scene.root.glob(".zoostore-*")
    for directory in scene.checkouts:
        if (directory / ".zoostore").is_dir():
            for path in (directory / ".zoostore").iterdir():
                if path.name not in ("checkout.json", "entries", "committing"):
                    yield path
