"""Asking the Hub's API: for the state of a repository, and for its files at a commit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING
from urllib.parse import quote

from zoostore.errors import MalformedObject, TransferFailed
from zoostore.sources.hub_answers import (
    Listed,
    Repository,
    State,
    decode_state,
    decode_time,
    decode_tree,
    is_commit,
    next_query,
)
from zoostore.sources.hub_refused import Refused
from zoostore.transport.addresses import shown
from zoostore.transport.base import AccessDenied, NotThere

if TYPE_CHECKING:
    from zoostore.environment import HubToken
    from zoostore.transport.http import HttpClient

MAX_ENTRIES = 250_000
"""Files and folders; the Hub itself asks to stay below 100,000 files."""

MAX_PAGES = 2_500
MAX_PAGE_BYTES = 32 << 20

_DEFAULT_REVISION = "main"


class HubApi:
    """What can be asked of a Hub.

    Args:
        endpoint: its address, without a slash at its end; may hold a login.
        token: what is sent to it, and to no other; None to be nobody.
        client: makes the requests.
    """

    def __init__(self, endpoint: str, token: HubToken | None, client: HttpClient) -> None:
        self._endpoint = endpoint
        self._token = token
        self._client = client

    @property
    def address(self) -> str:
        """The endpoint as a person may see it."""
        return shown(self._endpoint)

    @property
    def headers(self) -> Mapping[str, str]:
        """What tells the Hub who asks."""
        return {"Authorization": f"Bearer {self._token.value}"} if self._token else {}

    def file_url(self, repository: Repository, commit: str, path: str) -> str:
        return f"{self._endpoint}/{repository.path}/resolve/{commit}/{quote(path)}"

    def state(self, repository: Repository, revision: str) -> State:
        """What a revision is now, which is asked for once.

        Args:
            revision: a branch, a tag, a commit or its beginning, `refs/pr/1`; empty for `main`.

        Raises:
            UnknownStub, UnknownRevision, NoAccess: the Hub does not have it, or does not give it.
            MalformedObject: its answer makes no sense.
            TransferFailed: it cannot be read.
        """
        self._refused(repository).check_token()
        name = revision or _DEFAULT_REVISION
        url = f"{self._endpoint}/{repository.api_path}/revision/{quote(name, safe='')}"
        try:
            reply = self._client.read(url, self.headers, limit=MAX_PAGE_BYTES)
        except TransferFailed as error:
            raise self._refused(repository).named(error, name) from error
        state = decode_state(reply.data, repository, shown(url))
        if is_commit(revision) and state.commit != revision:
            raise MalformedObject(
                f"{shown(url)} answered with the commit {state.commit}. Nothing was taken from it.",
                url=shown(url),
            )
        return state

    def check_access(self, repository: Repository) -> None:
        """Find out whether the files of a gated repository are to be had, before any is asked for.

        Raises:
            GatedModel: they are not.
            TransferFailed: the Hub cannot be read.
        """
        url = f"{self._endpoint}/{repository.api_path}/auth-check"
        try:
            self._client.read(url, self.headers, limit=MAX_PAGE_BYTES)
        except AccessDenied as error:
            raise self._refused(repository).gated() from error
        except NotThere:
            return  # a Hub that does not know the question; it will refuse the files itself

    def tree(self, repository: Repository, commit: str) -> list[Listed]:
        """All files of a commit.

        Raises:
            UnsafePath, MalformedObject: the list is not one of files that can be.
            TransferFailed: it cannot be read.
        """
        base = f"{self._endpoint}/{repository.api_path}/tree/{commit}"
        found: dict[str, Listed] = {}
        count = 0
        for data in self._pages(base, "recursive=true&expand=false"):
            for line in decode_tree(data, shown(base)):
                count += 1
                if count > MAX_ENTRIES:
                    raise _unlikely(base, f"more than {MAX_ENTRIES} files and folders")
                if line is None:
                    continue
                if line.path in found:
                    raise _unlikely(base, f"{line.path!r} twice")
                found[line.path] = line
        return list(found.values())

    def _pages(self, base: str, query: str) -> Iterator[bytes]:
        asked: set[str] = set()
        following: str | None = query
        while following is not None:
            if following in asked or len(asked) >= MAX_PAGES:
                raise _unlikely(base, "pages without an end")
            asked.add(following)
            reply = self._client.read(f"{base}?{following}", self.headers, limit=MAX_PAGE_BYTES)
            yield reply.data
            following = next_query(reply.headers.get("Link", ""))

    def time(self, repository: Repository, commit: str) -> int:
        """When a commit was made, in seconds since 1970; 0 if the Hub does not say.

        It is asked for by itself: what else the Hub says of a repository changes with later
        commits, and whoever pulls the same commit is to get the same snapshot.
        """
        url = f"{self._endpoint}/{repository.api_path}/commits/{commit}?limit=1"
        try:
            reply = self._client.read(url, self.headers, limit=MAX_PAGE_BYTES)
        except (NotThere, AccessDenied):
            return 0
        return decode_time(reply.data, commit)

    def _refused(self, repository: Repository) -> Refused:
        return Refused(self.address, repository, self._token)


def _unlikely(base: str, what: str) -> MalformedObject:
    return MalformedObject(
        f"{shown(base)} lists {what}. Nothing was taken from it.", url=shown(base)
    )
