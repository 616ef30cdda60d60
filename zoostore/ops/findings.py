"""Findings: what `verify` finds that is not as it should be, gathered as it goes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from zoostore.digest import OID_HEX, Digest, Oid
from zoostore.ops.oid_set import Key, OidSet
from zoostore.store.causes import UNKNOWN


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it should be.

    Attributes:
        what: the id of an object, a digest that an object does not have, or the path of a pack,
            the reflog, the index or a file of a checkout.
        reason: what is wrong with it.
        models: the stubs that need it.
        cause: `edited`: somebody wrote to it since it was last right; `rot`: nothing did;
            `unknown`: nobody can tell. Empty for what is missing.
        paths: what it is in the models.
        files: files in checkouts that are the same file, or links to it.
    """

    what: str
    reason: str
    models: tuple[str, ...] = ()
    cause: str = ""
    paths: tuple[str, ...] = ()
    files: tuple[str, ...] = ()


@dataclass
class Report:
    """What was read, and what was found. Several threads may tell it of objects.

    Attributes:
        objects, bytes: how many objects are intact, and their size.
        intact: those objects.
        damaged, missing: why, by what it is.
        causes, models, paths, files: of what was found, as in `Finding`.
        loose: damaged objects that have a file of their own.
        packs: damaged packs, by name.
        index_is_wrong: whether the index says what the disk does not, and must be made anew.
        checkouts: directories that have a damaged record, which is this.
        links: links in checkouts that do not lead to their objects, which are these.
        wrong_aliases: what tables of aliases say that is not so.
    """

    objects: int = 0
    bytes: int = 0
    intact: OidSet = field(default_factory=OidSet)
    damaged: dict[str, str] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    causes: dict[str, str] = field(default_factory=dict)
    models: dict[str, list[str]] = field(default_factory=dict)
    paths: dict[str, list[str]] = field(default_factory=dict)
    files: dict[str, list[str]] = field(default_factory=dict)
    loose: set[Oid] = field(default_factory=set)
    packs: set[Oid] = field(default_factory=set)
    index_is_wrong: bool = False
    checkouts: dict[Path, Path] = field(default_factory=dict)
    links: dict[Path, Oid] = field(default_factory=dict)
    wrong_aliases: set[tuple[Oid, Digest]] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def is_clean(self) -> bool:
        return not (self.damaged or self.missing)

    def count(self, oid: Oid, size: int) -> None:
        """An object is intact. What has copies is counted as often, until `count_once`."""
        with self.lock:
            self.intact.add(oid)
            self.objects += 1
            self.bytes += size

    def count_once(self, size_of: Callable[[Iterable[Key]], int]) -> None:
        """Count what is intact once, however many copies of it are.

        Args:
            size_of: the bytes of objects whose ids begin so.
        """
        copies = list(self.intact.repeated())
        self.objects -= len(copies)
        self.bytes -= size_of(copies)

    def damage(self, what: str, reason: str, cause: str = UNKNOWN) -> None:
        with self.lock:
            self.damaged[what] = reason
            self.causes[what] = cause

    def lack(self, what: str, reason: str) -> None:
        """Something is missing, unless it is known to be damaged."""
        if what not in self.damaged:
            self.missing.setdefault(what, reason)

    def need(self, what: str, model: str, path: str = "") -> None:
        """A model needs what was found to be damaged or missing."""
        models = self.models.setdefault(what, [])
        if model not in models:
            models.append(model)
        paths = self.paths.setdefault(what, [])
        if path and path not in paths:
            paths.append(path)

    def findings(self, found: dict[str, str]) -> tuple[Finding, ...]:
        """What was found, in order."""
        return tuple(
            Finding(
                what,
                reason,
                tuple(self.models.get(what, ())),
                self.causes.get(what, "") if found is self.damaged else "",
                tuple(self.paths.get(what, ())),
                tuple(self.files.get(what, ())),
            )
            for what, reason in sorted(found.items())
        )

    def keep_only(self, seen: Report) -> None:
        """Keep of what was found what an earlier look had found, too."""
        self.damaged = {what: why for what, why in self.damaged.items() if what in seen.damaged}
        self.missing = {what: why for what, why in self.missing.items() if what in seen.missing}
        self.loose &= seen.loose
        self.packs &= seen.packs
        self.wrong_aliases &= seen.wrong_aliases
        self.index_is_wrong &= seen.index_is_wrong

    def forget_what_has_copies(self) -> None:
        """A damaged copy of an object that is intact elsewhere harms nobody."""
        copies = [what for what in self.damaged if is_oid(what) and Oid.parse(what) in self.intact]
        for what in copies:
            del self.damaged[what]


def is_oid(what: str) -> bool:
    """Whether what was found is an object, and no file or digest."""
    return len(what) == OID_HEX and what.isalnum()
