"""The Hugging Face Hub as a source: `hf:org/name`, `hf:datasets/org/name`.

A revision is resolved once to a commit. All that follows is read at that commit: the listing,
with the sizes and digests that its files must have, and then the files.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from zoostore.digest import SHA256, Oid
from zoostore.errors import UnknownRevision
from zoostore.sources.base import Upstream, UpstreamFile
from zoostore.sources.hub_answers import Listed, Repository, State
from zoostore.sources.hub_api import HubApi
from zoostore.transport.wanted import Place, Wanted

if TYPE_CHECKING:
    from zoostore.environment import HubToken
    from zoostore.stubs import Stub
    from zoostore.transport.http import HttpClient


class HubSource:
    """A Hub, asked over HTTP.

    Args:
        endpoint: its address, such as `https://huggingface.co`; it may have a path.
        token: what tells it who asks; it is sent to the endpoint's origin only.
        client: makes the requests.
    """

    needs_network = True

    def __init__(self, endpoint: str, token: HubToken | None, client: HttpClient) -> None:
        self._client = client
        self._api = HubApi(endpoint.rstrip("/"), token, client)

    @property
    def name(self) -> str:
        """The host, such as `huggingface.co`."""
        return urlsplit(self._api.address).netloc or self._api.address

    def close(self) -> None:
        self._client.close()

    def locate(self, stub: Stub) -> tuple[str, Oid] | None:
        """None: a Hub knows no snapshots of ours."""
        return None

    def resolve(self, stub: Stub) -> Upstream | None:
        """The state that a revision means now; None for what is no `hf:` stub.

        Each of its names can stand in a snapshot; whether all can stand beside each other is
        for the plan of a pull to find out.

        Raises:
            UnknownStub: there is no such repository, or it is private.
            UnknownRevision: there is no such branch, tag or commit.
            NoAccess: it is gated, or disabled, or the token is not known.
            UnsafePath, MalformedObject: the Hub's answers are not those of a Hub.
            TransferFailed: it cannot be read.
        """
        if stub.scheme != "hf":
            return None
        if "~" in stub.revision:
            raise UnknownRevision(
                f"{self.name} cannot be asked for the parents of a revision, as {stub} does.",
                stub=stub.name,
                revision=stub.revision,
            )
        asked = Repository.of(stub.path)
        state = self._api.state(asked, stub.revision)
        repository = state.repository
        if state.is_gated:
            self._api.check_access(repository)
        files = self._files(state, self._api.tree(repository, state.commit))
        return Upstream(
            stub=stub.name,
            source=f"{self._api.address}/{repository.path}",
            revision=state.commit,
            time=self._api.time(repository, state.commit),
            files=tuple(files),
            notes=self._notes(asked, repository),
        )

    def _files(self, state: State, listed: Iterable[Listed]) -> Iterator[UpstreamFile]:
        headers, compute = self._api.headers, frozenset({SHA256})
        for line in listed:
            place = Place(self._api.file_url(state.repository, state.commit, line.path), headers)
            wanted = Wanted(line.path, (place,), line.size, (line.digest,), compute)
            yield UpstreamFile(line.path, wanted)

    def _notes(self, asked: Repository, found: Repository) -> tuple[str, ...]:
        if asked == found:
            return ()
        return (f"hf:{asked.path} is now called hf:{found.path} at {self.name}.",)
