"""search: the models that are here, and those that sources have, by the parts of their names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from zoostore.digest import Oid
from zoostore.errors import ZooError
from zoostore.ops.asking import Sources
from zoostore.sources.base import Known
from zoostore.store.objectstore import ObjectStore
from zoostore.stubs import parse_stub


@dataclass(frozen=True, slots=True)
class Hit:
    """A model that was found.

    Attributes:
        stub: its full name.
        snapshot: what the name means: here, if it is here, else at the source.
        files, size: what that holds; `size` in bytes. None where only the source could say:
            a catalog counts what a name means, and not its older tags.
        tags: its other snapshots that have names.
        source: who has it; empty for what is here.
    """

    stub: str
    snapshot: Oid
    files: int | None
    size: int | None
    tags: Mapping[str, Oid] = field(default_factory=dict)
    source: str = ""

    @property
    def is_here(self) -> bool:
        return not self.source


@dataclass(frozen=True, slots=True)
class Search:
    """What a search found, in the order of stubs.

    Attributes:
        not_asked: sources that were not asked, for that needs the network.
        unread: sources that could not be read, and why.
    """

    hits: tuple[Hit, ...]
    not_asked: tuple[str, ...]
    unread: Mapping[str, ZooError]


@dataclass(frozen=True, slots=True)
class Query:
    """What to look for; all of it must fit.

    Attributes:
        facets: parts of the stub, as they stand there.
        words: texts that stand anywhere in the stub, whatever their case.
        tag: a tag that the model has, and the snapshot meant is then that one.
    """

    facets: Mapping[str, str] = field(default_factory=dict)
    words: Sequence[str] = ()
    tag: str = ""

    def fits(self, stub: str) -> bool:
        lowered = stub.lower()
        if not all(word.lower() in lowered for word in self.words):
            return False
        parts = parse_stub(stub).parts if self.facets else {}
        return all(parts.get(name) == value for name, value in self.facets.items())


def search(store: ObjectStore | None, sources: Sources, query: Query) -> Search:
    """Look through the store, if there is one, and then through the catalogs of all sources."""
    found: dict[str, Hit] = {}
    unread: dict[str, ZooError] = {}
    for hit in _hits_here(store, query) if store else ():
        _take(found, hit, query.tag)
    for source in sources.usable():
        try:
            for known in source.models():
                if query.fits(known.stub):
                    _take(found, _hit_of(known, source.name, query.tag), query.tag)
        except ZooError as error:
            unread[source.name] = error
    usable = sources.usable()
    not_asked = tuple(zoo.name for zoo in sources.zoos if zoo not in usable)
    return Search(tuple(found[stub] for stub in sorted(found)), not_asked, unread)


def _hits_here(store: ObjectStore, query: Query) -> Iterator[Hit]:
    for stub, record in store.names.refs().items():
        if not query.fits(stub):
            continue
        tags = store.names.tags(stub)
        files, size = record.files, record.size
        if query.tag in tags:
            tagged = store.snapshot(tags[query.tag])
            files, size = tagged.files, tagged.size
        yield Hit(stub, record.snapshot, files, size, tags)


def _hit_of(known: Known, source: str, tag: str) -> Hit:
    is_other = tag in known.tags and known.tags[tag] != known.snapshot
    files, size = (None, None) if is_other else (known.files, known.size)
    return Hit(known.stub, known.snapshot, files, size, known.tags, source)


def _take(found: dict[str, Hit], hit: Hit, tag: str) -> None:
    if not tag:
        found.setdefault(hit.stub, hit)
    elif tag in hit.tags:
        found.setdefault(hit.stub, replace(hit, snapshot=hit.tags[tag]))
