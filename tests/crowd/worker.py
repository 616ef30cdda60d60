"""One of a crowd: does random things to a store that others use too, and says what it did.

    python -m tests.crowd.worker ROOT NUMBER SECONDS SEED

At the end it prints a JSON object: how often it did what, what went wrong, and where it left the
names that are its own.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from zoostore import Store
from zoostore.errors import (
    DamagedContent,
    Diverged,
    MissingObject,
    NotACheckout,
    NotFound,
    NothingToCommit,
    StoreBusy,
    TagExists,
)

SHARED = [f"zoo:shared-{number}" for number in range(4)]
PULLED = [f"zoo:pulled-{number}" for number in range(3)]
EXPECTED = (Diverged, NothingToCommit, NotFound, StoreBusy, TagExists, NotACheckout)
"""What a verb may say where others use the same names."""


def content(name: str) -> bytes:
    """The bytes of a file, which follow from its name: every reader knows what to expect."""
    return name.encode() * (3 if name.endswith("small") else 4000)


def files_of(generation: int, rng: random.Random) -> dict[str, bytes]:
    names = [f"g{generation % 7}-{number}-{rng.choice(['small', 'large'])}" for number in range(4)]
    return {name: content(name) for name in [*names, "common-large", "common-small"]}


class Worker:
    """The things that one process does."""

    def __init__(self, root: Path, number: int, seed: int) -> None:
        self.root = root
        self.own = f"zoo:own-{number}"
        self.folder = root / f"worker-{number}"
        self.folder.mkdir()
        self.work = self.folder / "work"
        self.rng = random.Random(seed * 1000 + number)
        self.store = Store(root / "store", offline=True)
        self.generation = number * 100
        self.owned: str | None = None
        self.tags: dict[str, str] = {}

    def verbs(self) -> list[Callable[[], None]]:
        often = [self.add_own, self.add_shared, self.checkout, self.commit, self.read, self.look]
        sometimes = [
            self.pull,
            self.remove,
            self.tag,
            self.gc,
            self.verify,
            self.fork,
            self.threads,
        ]
        return [*often, *often, *sometimes]

    def _directory(self) -> Path:
        self.generation += 1
        directory = self.folder / f"source-{self.generation}"
        directory.mkdir()
        for name, data in files_of(self.generation, self.rng).items():
            (directory / name).write_bytes(data)
        return directory

    def add_own(self) -> None:
        directory = self._directory()
        self.owned = str(self.store.add(directory, self.own).snapshot)
        shutil.rmtree(directory)

    def add_shared(self) -> None:
        directory = self._directory()
        self.store.add(directory, self.rng.choice(SHARED))
        shutil.rmtree(directory)

    def pull(self) -> None:
        self.store.pull(self.rng.choice(PULLED))

    def remove(self) -> None:
        self.store.remove(self.rng.choice([*SHARED, *PULLED]))

    def tag(self) -> None:
        if self.owned is not None:
            name = f"t{self.generation}"
            self.store.tag(f"{self.own}@{self.owned}", name)
            self.tags[name] = self.owned

    def checkout(self) -> None:
        stub = self.rng.choice([self.own, *SHARED, *PULLED])
        self.store.checkout(stub, self.work, force=True, link=self.rng.choice(["copy", "hardlink"]))

    def commit(self) -> None:
        state = self.store.status(self.work)
        name = f"g{self.rng.randrange(7)}-9-small"
        with contextlib.suppress(FileNotFoundError):
            (self.work / name).unlink()
        (self.work / name).write_bytes(content(name))
        done = self.store.commit(self.work, message=str(self.generation))
        if state.stub == self.own:
            self.owned = str(done.snapshot)

    def read(self) -> None:
        for model in self.store.snapshots():
            with self._while_it_is_there(model.stub, str(model.snapshot)):
                stub = f"{model.stub}@{model.snapshot}"
                for file in self.store.files(stub):
                    with self.store.open(file.oid) as opened:
                        assert opened.read() == content(file.path), file.path

    @contextlib.contextmanager
    def _while_it_is_there(self, stub: str, snapshot: str) -> Iterator[None]:
        """What is missing of a model may be so if somebody has removed its name meanwhile."""
        try:
            yield
        except (MissingObject, NotFound, FileNotFoundError):
            here = {model.stub: str(model.snapshot) for model in self.store.snapshots()}
            assert here.get(stub) != snapshot, f"{stub} is there, and not all of it"

    def look(self) -> None:
        self.store.du()
        self.store.status(self.work)

    def gc(self) -> None:
        self.store.gc(yes=True, grace=0)

    def verify(self) -> None:
        found = self.store.verify()
        assert not found.damaged, found.damaged
        assert not found.missing, found.missing

    def fork(self) -> None:
        """A child uses the store that its parent has open."""
        pid = os.fork()
        if pid == 0:
            try:
                self.read()
                os._exit(0)
            except BaseException:
                traceback.print_exc()
                os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, "a forked child failed"

    def threads(self) -> None:
        """Threads share one `Store`."""
        failures: list[BaseException] = []

        def one() -> None:
            try:
                self.read()
            except BaseException as error:
                failures.append(error)

        running = [threading.Thread(target=one) for _ in range(3)]
        for thread in running:
            thread.start()
        for thread in running:
            thread.join()
        assert not failures, failures


def work(worker: Worker, seconds: float) -> dict[str, object]:
    """Do random things for a while; what came of it."""
    done, said, wrong = Counter[str](), Counter[str](), list[str]()
    end = time.monotonic() + seconds
    worker.add_own()
    while time.monotonic() < end and not wrong:
        verb = worker.rng.choice(worker.verbs())
        try:
            verb()
            done[verb.__name__] += 1
        except EXPECTED as error:
            said[error.kind] += 1
        except DamagedContent as error:
            # A model that was removed while it was being laid out is not there as a whole.
            if verb in (worker.checkout, worker.commit) and isinstance(error, MissingObject):
                said["removed meanwhile"] += 1
            else:
                wrong.append(f"{verb.__name__}: {traceback.format_exc()}")
        except BaseException:
            wrong.append(f"{verb.__name__}: {traceback.format_exc()}")
    return {
        "done": done,
        "said": said,
        "wrong": wrong,
        "own": {worker.own: worker.owned},
        "tags": {worker.own: worker.tags},
    }


if __name__ == "__main__":
    place, number, seconds, seed = sys.argv[1:]
    result = work(Worker(Path(place), int(number), int(seed)), float(seconds))
    sys.stdout.write(json.dumps(result))
