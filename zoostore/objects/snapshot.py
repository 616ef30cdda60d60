"""Snapshots: an immutable picture of a model, as a value with one encoding.

The encoding is one JSON object in its canonical form: keys sorted by code point,
no white space, UTF-8 without escapes other than those JSON requires, integers
only. Anything else is refused, even where a JSON parser would take it.
"""

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from zoostore.digest import Oid, hash_encoded
from zoostore.errors import MalformedObject, UsageError, ZooError

SNAPSHOT_CONTEXT = "zoostore 2026-11 snapshot v1"
"""BLAKE3 derive_key context of a snapshot's oid."""

MAX_SNAPSHOT_BYTES = 1 << 20
_MAX_INTEGER = (1 << 53) - 1


class Snapshot(NamedTuple):
    """A named picture of a directory.

    Attributes:
        tree: the oid of the root tree.
        files: how many files and links it holds.
        size: their content, in bytes, each counted as often as it stands there.
        stub: the name it was made under.
        parents: the snapshots it follows; the first is the one it was changed from.
        time: seconds since 1970-01-01 UTC.
        message: what its maker says of it.
        source: where it came from (a kind and an address), empty if made here.
        revision: the source's own name for this state, empty if it has none.
        metadata: free keys and values.
    """

    tree: Oid
    files: int
    size: int
    stub: str
    parents: tuple[Oid, ...] = ()
    time: int = 0
    message: str = ""
    source: str = ""
    revision: str = ""
    metadata: Mapping[str, str] = MappingProxyType({})


_KEYS = frozenset(Snapshot._fields)
_NUMBERS = ("files", "size", "time")
_TEXTS = ("stub", "message", "source", "revision")


def encode_snapshot(snapshot: Snapshot) -> bytes:
    """The one encoding of a snapshot.

    Raises:
        UsageError: a value is not of its kind, or out of range; or the whole is over 1 MiB.
    """
    problem = _why_invalid(snapshot)
    if problem:
        raise UsageError(f"A snapshot cannot be made: {problem}.")
    value = {name: getattr(snapshot, name) for name in _TEXTS + _NUMBERS}
    value["tree"] = str(snapshot.tree)
    value["parents"] = [str(parent) for parent in snapshot.parents]
    value["metadata"] = dict(snapshot.metadata)
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    try:
        data = text.encode("utf-8")
    except UnicodeEncodeError:
        raise UsageError("A snapshot's message or metadata is not valid Unicode.") from None
    if len(data) > MAX_SNAPSHOT_BYTES:
        raise UsageError(
            f"A snapshot's message and metadata take {len(data)} bytes; "
            f"{MAX_SNAPSHOT_BYTES} are possible."
        )
    return data


def decode_snapshot(data: bytes) -> Snapshot:
    """The snapshot that `data` encodes.

    Raises:
        MalformedObject: `data` is not the canonical encoding of a snapshot.
    """
    if len(data) > MAX_SNAPSHOT_BYTES:
        raise MalformedObject(f"A snapshot of {len(data)} bytes is over the limit.")
    try:
        snapshot = _from_json(json.loads(data.decode("utf-8")))
        canonical = encode_snapshot(snapshot)
    except (ValueError, TypeError, KeyError, RecursionError, ZooError) as error:
        raise MalformedObject(f"A snapshot cannot be decoded: {error}.") from error
    if canonical != data:
        raise MalformedObject("A snapshot is not in its canonical encoding.")
    return snapshot


def _from_json(value: object) -> Snapshot:
    if not isinstance(value, dict) or value.keys() != _KEYS:
        raise ValueError("its keys are not those of a snapshot")
    if not isinstance(value["parents"], list):
        raise ValueError("parents is not a list")
    value["tree"] = Oid.parse(value["tree"])
    value["parents"] = tuple(Oid.parse(parent) for parent in value["parents"])
    return Snapshot(**value)


def _why_invalid(snapshot: Snapshot) -> str | None:
    for name in _NUMBERS:
        number = getattr(snapshot, name)
        if type(number) is not int or not 0 <= number <= _MAX_INTEGER:
            return f"{name} is not a number from 0 to 2^53-1"
    for name in _TEXTS:
        if not isinstance(getattr(snapshot, name), str):
            return f"{name} is not a text"
    metadata = snapshot.metadata
    if not isinstance(metadata, Mapping):
        return "metadata is not a mapping"
    if not all(isinstance(text, str) for item in metadata.items() for text in item):
        return "metadata does not map texts to texts"
    return None


def snapshot_oid(data: bytes) -> Oid:
    """The oid of an encoded snapshot."""
    return hash_encoded(SNAPSHOT_CONTEXT, data)
