"""The commands that are swept: a line each."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

from tests.crashes.scenes import Scene, damage_pulled
from zoostore import Store
from zoostore.errors import MissingObject, NothingToCommit, UnknownStub, ZooError


class Command(NamedTuple):
    """A command.

    Attributes:
        run: does it.
        done_already: what it may say when it was done before it was cut off, and is repeated.
        store: the name of the store that it works on.
        damage: what to do to the scene first, so that there is something to mend. Until the
            command is done, `verify` may find that.
    """

    run: Callable[[Scene], object]
    done_already: tuple[type[ZooError], ...] = ()
    store: str = "store"
    damage: Callable[[Scene], object] | None = None


def _add_to_nothing(scene: Scene) -> object:
    return Store(scene.root / "fresh", offline=True).add(scene.root / "incoming", "zoo:one", time=3)


def _adopt(scene: Scene) -> object:
    time.time = lambda: 3.0
    return scene.store.adopt(scene.root / "incoming", stub="zoo:adopted")


def _repair(scene: Scene) -> None:
    done = scene.connected(str(scene.zoo)).repair()
    if done.missing:
        raise MissingObject(f"nobody has {done.missing}")


COMMANDS: dict[str, Command] = {
    "add": Command(lambda s: s.store.add(s.root / "incoming", "zoo:one", message="third", time=3)),
    "add, the first": Command(_add_to_nothing, store="fresh"),
    "adopt": Command(_adopt),
    "pull, a folder": Command(lambda s: s.connected(str(s.zoo)).pull("zoo:far")),
    "pull, http": Command(lambda s: s.connected(s.web).pull("zoo:far")),
    "commit": Command(
        lambda s: s.store.commit(s.root / "work", message="third", time=3), (NothingToCommit,)
    ),
    "commit --as": Command(
        lambda s: s.store.commit(s.root / "work", message="as", stub="zoo:as", time=3),
        (NothingToCommit,),
    ),
    "checkout": Command(lambda s: s.store.checkout("zoo:one", s.root / "new")),
    "checkout, an update": Command(lambda s: s.store.checkout("zoo:one", s.root / "old")),
    "tag": Command(lambda s: s.store.tag("zoo:one", "v2")),
    "rm": Command(lambda s: s.store.remove("zoo:two"), (UnknownStub,)),
    "gc --yes": Command(lambda s: s.store.gc(yes=True, grace=0)),
    "repair": Command(_repair, damage=damage_pulled),
}
