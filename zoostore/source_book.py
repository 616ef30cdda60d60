"""The book of sources: whom to ask for what is not here, by name and in which order."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from zoostore import environment
from zoostore.opened import Opened
from zoostore.progress import Progress
from zoostore.stubs import HUB, Stub

# Imported where somebody is asked: most often nobody need be, and only whether one may.
if TYPE_CHECKING:
    from zoostore.ops.asking import Sources
    from zoostore.ops.from_alternate import AlternateSource
    from zoostore.sources.base import Zoo
    from zoostore.sources.hub import HubSource
    from zoostore.sources.zoo import ZooSource
    from zoostore.transport.base import StaticFiles
    from zoostore.transport.downloads import Downloads
    from zoostore.transport.http import HttpClient

BUILTIN = "builtin"
"""The name of the zoo that comes with the package; it is asked last."""

_FROM_ENVIRONMENT = "environment"


class SourceBook:
    """Whom a store asks: its alternates, its remotes, the built-in zoo, and the Hub.

    Args:
        offline: whether the network must not be used; None: what the environment says.
    """

    def __init__(self, opened: Opened, progress: Progress, *, offline: bool | None) -> None:
        self._opened = opened
        self._progress = progress
        self._offline = offline
        self._http: HttpClient | None = None

    @property
    def is_offline(self) -> bool:
        """Whether the network must not be used."""
        return environment.is_offline() if self._offline is None else self._offline

    def sources(self, stub: Stub | None = None) -> Sources:
        """Whom to ask, for a model of this name if there is one. Use as a context."""
        from zoostore.ops.asking import Sources

        upstream = self._hub() if stub is not None and stub.scheme == HUB else None
        zoos: list[Zoo] = [*self._alternates(), *self.zoos()]
        return Sources(zoos, self.is_offline, self.start_downloads, upstream)

    def zoos(self) -> list[ZooSource]:
        """The remotes, in the order in which they are asked, and the built-in zoo."""
        from zoostore.sources.zoo import ZooSource

        addresses = {}
        first = environment.first_remote()
        if first:
            addresses[_FROM_ENVIRONMENT] = first
        addresses |= self._opened.config().remotes
        zoos = [ZooSource(name, self._files_at(address)) for name, address in addresses.items()]
        return [*zoos, ZooSource(BUILTIN, self._files_at(_builtin_zoo()))]

    def start_downloads(self, folder: Path) -> Downloads:
        """Begin downloads, given a folder for what is on its way."""
        from zoostore.transport.downloads import Downloads

        return Downloads(folder, self._client(), self._progress)

    def _hub(self) -> HubSource:
        from zoostore.sources.hub import HubSource

        return HubSource(environment.hub_endpoint(), environment.hub_token(), self._client())

    def _client(self) -> HttpClient:
        from zoostore.transport.http import HttpClient

        if self._http is None:
            self._http = HttpClient(progress=self._progress)
        return self._http

    def _alternates(self) -> list[AlternateSource]:
        if not self._opened.config().alternates:
            return []
        from zoostore.ops.from_alternate import AlternateSource

        alternates = self._opened.alternates()
        return [AlternateSource(alternate, lambda: alternates) for alternate in alternates]

    def _files_at(self, address: str) -> StaticFiles:
        if address.startswith(("http://", "https://")):
            from zoostore.transport.web_files import HttpFiles

            return HttpFiles(address, self._client())
        from zoostore.transport.directory import DirectoryFiles

        return DirectoryFiles(Path(address.removeprefix("file://")))


def _builtin_zoo() -> str:
    return str(Path(__file__).parent / "zoo" / "published")
