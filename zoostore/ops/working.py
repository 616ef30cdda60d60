"""Working directories: what a checkout knows of itself, in its `.zoostore` folder.

`checkout.json` says which snapshot of which stub it is. `entries` says what was laid out,
so that `status` need not read what has not been touched. It is replaced before
`checkout.json`, and counts only while both name the same snapshot. `committing` is there while
a commit moves its ref, and names the snapshot that is about to be recorded.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, Self

from zoostore.digest import Oid
from zoostore.errors import DamagedContent, NewerFormat, NotACheckout, ZooError
from zoostore.files.staging import replace_durably
from zoostore.objects.paths import CHECKOUT_FOLDER
from zoostore.ops.records import Paths, Records, Tracked
from zoostore.ops.tracking import Tracking, TrackingFile

FORMAT = 1

_BROKEN = (ValueError, KeyError, TypeError, AttributeError, RecursionError, ZooError)


class CheckoutState(NamedTuple):
    """Which snapshot a working directory was laid out from.

    Attributes:
        stub: the ref it was checked out by.
        snapshot: the snapshot's id, as hex digits.
        store: the path of the store.
        link: the link mode that was used.
        include, exclude: the globs that chose what to lay out.
    """

    stub: str
    snapshot: str
    store: str
    link: str
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()


class Committing(NamedTuple):
    """A commit that has begun to record: the ref it moves, and the snapshot's id as hex digits."""

    stub: str
    snapshot: str


class WorkingDirectory:
    """A directory that is, or is to become, a checkout."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = root / CHECKOUT_FOLDER
        self._state = self.folder / "checkout.json"
        self._committing = self.folder / "committing"
        self._tracking = TrackingFile(self.folder)

    @classmethod
    def containing(cls, path: Path) -> Self:
        """The checkout that a path is in.

        Raises:
            NotACheckout: it is in none.
        """
        start = Path(os.path.abspath(path))
        for folder in (start, *start.parents):
            working = cls(folder)
            if working.is_checkout():
                return working
        raise NotACheckout(f"{path} is not in a checkout.", path=str(path))

    def is_checkout(self) -> bool:
        return self._state.is_file()

    def recorded(self) -> Oid | None:
        """The snapshot of the record of what was laid out; None if that is missing."""
        return self._tracking.snapshot()

    def state(self) -> CheckoutState:
        """What the checkout knows of itself.

        Raises:
            NotACheckout: the directory is not one.
            NewerFormat: a later release made it.
            DamagedContent: its checkout.json cannot be read.
        """
        try:
            value = json.loads(self._state.read_text("utf-8"))
            found = value.pop("format")
            if type(found) is int and found > FORMAT:
                raise NewerFormat(
                    f"The checkout {self.root} has format {found}, and this zoostore knows format "
                    f"{FORMAT}; nothing was changed.",
                    path=str(self.root),
                )
            state = CheckoutState(
                **{**value, "include": tuple(value["include"]), "exclude": tuple(value["exclude"])}
            )
            Oid.parse(state.snapshot)
            texts = (state.stub, state.store, state.link, *state.include, *state.exclude)
            if not all(isinstance(text, str) for text in texts):
                raise ValueError("something in it is no text")
            return state
        except FileNotFoundError:
            raise NotACheckout(f"{self.root} is not a checkout.", path=str(self.root)) from None
        except NewerFormat:
            raise
        except _BROKEN as error:
            raise DamagedContent(
                f"{self._state} cannot be read ({error}); nothing was changed.",
                path=str(self._state),
            ) from error

    def tracking(self, snapshot: str) -> Tracking | None:
        """What was laid out of a snapshot; None if the record of it is missing or damaged."""
        return self._tracking.read(snapshot)

    def record(self, state: CheckoutState, records: Records) -> None:
        """Remember a snapshot and what was laid out of it, once the stamps lie in the past."""
        self.folder.mkdir(exist_ok=True)
        self._tracking.write_records(state.snapshot, records)
        self.follow(state)

    def follow(self, state: CheckoutState) -> None:
        """Remember a snapshot; what was laid out of it is found by reading all files."""
        value = {"format": FORMAT, **state._asdict()}
        replace_durably(self._state, json.dumps(value, sort_keys=True, indent=1).encode())
        self._committing.unlink(missing_ok=True)

    def begin_commit(self, committing: Committing) -> None:
        """Remember what a commit is about to record, for when it is cut off after that."""
        value = json.dumps(committing._asdict(), sort_keys=True)
        replace_durably(self._committing, value.encode())

    def begun_commit(self) -> Committing | None:
        """What a commit that did not end was about to record, if there is one."""
        try:
            committing = Committing(**json.loads(self._committing.read_bytes()))
            Oid.parse(committing.snapshot)
            return committing
        except (OSError, ValueError, TypeError, AttributeError):  # cut off before it mattered
            return None

    def record_changes(self, snapshot: str, paths: Paths, changes: Mapping[str, Tracked]) -> None:
        """Remember that some of what was laid out of a snapshot has other stamps by now."""
        self._tracking.write_changes(snapshot, paths, changes)
