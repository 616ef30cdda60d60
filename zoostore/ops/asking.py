"""Asking sources for a model, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Generic, Self, TypeVar

from zoostore.digest import Oid
from zoostore.errors import (
    MalformedObject,
    NeededNetwork,
    TransferFailed,
    UnknownRevision,
    UnknownStub,
    ZooError,
)
from zoostore.sources.base import Offer, Source, Upstream, Zoo
from zoostore.stubs import Stub

if TYPE_CHECKING:
    from zoostore.transport.downloads import Downloads

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Sources:
    """The sources to ask, and whether the network may be used.

    Attributes:
        zoos: those that hold objects by their ids, in the order in which they are asked.
        offline: whether those that need the network are left out.
        start: begins downloads, given a folder for what is on its way.
        upstream: who is asked for a model that no zoo has; None if there is nobody.
    """

    zoos: Sequence[Zoo]
    offline: bool
    start: Callable[[Path], Downloads]
    upstream: Source | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for source in self.order:
            source.close()

    @property
    def order(self) -> list[Source]:
        return [*self.zoos, *([self.upstream] if self.upstream else [])]

    def usable(self) -> list[Zoo]:
        return [zoo for zoo in self.zoos if not (self.offline and zoo.needs_network)]

    @property
    def some_left_out(self) -> bool:
        """Whether a source cannot be asked because that would need the network."""
        return self.offline and any(source.needs_network for source in self.order)


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """The first answer that any source gives.

    Attributes:
        not_asked: whether a source that comes before needs the network, and there is none.
        failure: why a source that comes before could not be read.
    """

    value: T
    source: Source
    not_asked: bool
    failure: ZooError | None


def resolve(sources: Sources, stub: Stub) -> Answer[Offer | Upstream]:
    """The state that a stub means at the first source that has it. Raises what `ask` raises."""
    return ask(sources, stub, lambda source: source.resolve(stub))


def locate(sources: Sources, stub: Stub) -> Answer[tuple[str, Oid]]:
    """The same, but only its full name and id. Raises what `ask` raises."""
    return ask(sources, stub, lambda source: source.locate(stub))


def ask(sources: Sources, stub: Stub, question: Callable[[Source], T | None]) -> Answer[T]:
    """Ask one source after the other.

    Raises:
        UnknownStub, UnknownRevision: all could be asked, and none has it.
        NeededNetwork: offline, and a source that was not asked might have it.
        TransferFailed, MalformedObject: none of those that answered has it, and one did
            not answer, or not with a zoo.
    """
    not_asked = False
    failures: list[ZooError] = []
    for source in sources.order:
        if sources.offline and source.needs_network:
            not_asked = True
            continue
        try:
            value = question(source)
        except (TransferFailed, UnknownRevision, MalformedObject) as error:
            failures.append(error)
            continue
        if value is not None:
            unread = _unread(failures)
            return Answer(value, source, not_asked, unread[0] if unread else None)
    raise _nobody(sources, stub, failures, not_asked=not_asked)


def _nobody(
    sources: Sources, stub: Stub, failures: Sequence[ZooError], *, not_asked: bool
) -> ZooError:
    if not_asked:
        return NeededNetwork(
            f"{stub} is not here, and zoostore is offline: no remote was asked.", stub=str(stub)
        )
    unread = _unread(failures)
    if unread:
        error = type(unread[0])(
            f"{stub.name} was not found, and not every remote could be asked. {unread[0].message}",
            **unread[0].facts,
        )
        error.__cause__ = unread[0]
        return error
    if failures:
        return failures[0]
    asked = ", ".join(source.name for source in sources.order) or "no source"
    return UnknownStub(
        f"There is no model {stub.name}: it is not in the store, and {asked} does not have it.",
        stub=stub.name,
    )


def _unread(failures: Sequence[ZooError]) -> list[ZooError]:
    """Of what went wrong, that which leaves open whether a source has the model."""
    return [failure for failure in failures if not isinstance(failure, UnknownRevision)]
