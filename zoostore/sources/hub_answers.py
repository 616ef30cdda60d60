"""What the Hub's API says, read strictly: nothing of it is taken that is not as it should be.

Source: https://huggingface.co/docs/hub/api, and what huggingface_hub 2.4 asks for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, TypeVar

from zoostore.digest import GIT_BLOB, SHA256, Digest
from zoostore.errors import MalformedObject, UnsafePath, ZooError
from zoostore.objects.paths import check_name, check_path
from zoostore.stubs import parse_stub

T = TypeVar("T")

MAX_BYTES = 1 << 53

_COMMIT = re.compile(r"[0-9a-f]{40}")
_NEXT = re.compile(r'<([^<>]*)>[^<>]*\brel="?next"?')


class Repository(NamedTuple):
    """A model or a dataset; `kind` as it stands in paths of the API."""

    kind: str
    name: str

    @classmethod
    def of(cls, path: str) -> Repository:
        """The one that a stub means; `path` is what stands behind `hf:`."""
        name = path.removeprefix("datasets/")
        return cls("models" if name == path else "datasets", name)

    @property
    def path(self) -> str:
        """Where its page is, and its files are below; also what a stub calls it."""
        return self.name if self.kind == "models" else f"{self.kind}/{self.name}"

    @property
    def api_path(self) -> str:
        return f"api/{self.kind}/{self.name}"


@dataclass(frozen=True, slots=True)
class State:
    """A repository at a revision.

    Attributes:
        repository: as it is called now.
        commit: 40 hex digits.
        is_gated: whether reading its files needs a permission.
    """

    repository: Repository
    commit: str
    is_gated: bool


@dataclass(frozen=True, slots=True)
class Listed:
    """A file of a tree; `size` in bytes."""

    path: str
    size: int
    digest: Digest


def is_commit(revision: str) -> bool:
    """Whether a revision is a whole commit id, which never means another state."""
    return _COMMIT.fullmatch(revision) is not None


def decode_state(data: bytes, asked: Repository, address: str) -> State:
    """What a repository is at a revision. Raises `MalformedObject`."""
    value = _of_type(_json(data, address), dict, address)
    commit = _of_type(value.get("sha"), str, address)
    if not is_commit(commit):
        raise _malformed(address, f"{commit[:80]!r} is no commit")
    name = _of_type(value.get("id", asked.name), str, address)
    repository = Repository(asked.kind, name)
    try:
        is_name = parse_stub(f"hf:{repository.path}").name == f"hf:{repository.path}"
    except ZooError:
        is_name = False
    if not is_name:
        raise _malformed(address, f"{name[:80]!r} is no name of a repository")
    return State(repository, commit, value.get("gated", False) is not False)


def decode_tree(data: bytes, address: str) -> Iterator[Listed | None]:
    """The files in a page of a tree; None for each folder.

    Raises:
        MalformedObject: it is no such page, or has a line that is neither.
        UnsafePath: a name in it cannot stand in a snapshot.
    """
    for line in _of_type(_json(data, address), list, address):
        yield _listed(_of_type(line, dict, address), address)


def _listed(line: dict[str, Any], address: str) -> Listed | None:
    path = _of_type(line.get("path"), str, address)
    _check(path, address)
    kind = line.get("type")
    if kind == "directory":
        return None
    if kind != "file":
        raise _malformed(address, f"{path!r} is neither a file nor a folder")
    size = _size(line.get("size"), address)
    large = line.get("lfs")
    if large is None:
        return Listed(path, size, _digest(GIT_BLOB, line.get("oid"), address))
    large = _of_type(large, dict, address)
    if _size(large.get("size"), address) != size:
        raise _malformed(address, f"{path!r} has two sizes")
    return Listed(path, size, _digest(SHA256, large.get("oid"), address))


def decode_time(data: bytes, commit: str) -> int:
    """When a commit was made, in seconds since 1970, from a list that begins with it; 0 if it
    does not say.
    """
    try:
        first = json.loads(data)[0]
        moment = datetime.fromisoformat(first["date"]) if first["id"] == commit else None
        return max(0, int(moment.timestamp())) if moment and moment.tzinfo else 0
    except (ValueError, LookupError, TypeError, OverflowError, RecursionError):
        return 0


def next_query(header: str) -> str | None:
    """The query of the page that follows, out of a `Link` header; None for the last.

    Only the query is taken, so a page cannot lead anywhere else.
    """
    match = _NEXT.search(header)
    return match[1].partition("#")[0].partition("?")[2] if match else None


def _json(data: bytes, address: str) -> object:
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise _malformed(address, "it is no JSON") from error


def _of_type(value: object, kind: type[T], address: str) -> T:
    if type(value) is not kind:
        found = type(value).__name__
        raise _malformed(address, f"a {kind.__name__} is missing, and there is a {found}")
    return value


def _size(value: object, address: str) -> int:
    size = _of_type(value, int, address)
    if not 0 <= size <= MAX_BYTES:
        raise _malformed(address, "a size is no number of bytes")
    return size


def _digest(algorithm: str, value: object, address: str) -> Digest:
    try:
        return Digest.parse(algorithm, _of_type(value, str, address))
    except ValueError as error:
        raise _malformed(address, f"a {algorithm} digest is none") from error


def _check(path: str, address: str) -> None:
    try:
        check_path(path)
        for name in path.split("/"):
            check_name(name)
    except UnsafePath as error:
        raise UnsafePath(
            f"{address} lists the path {path[:200]!r}. {error.message} Nothing was taken from it.",
            path=path,
        ) from None


def _malformed(address: str, reason: str) -> MalformedObject:
    return MalformedObject(
        f"{address} does not answer as a Hub does: {reason}. Nothing was taken from it.",
        url=address,
    )
