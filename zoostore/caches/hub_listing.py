"""What huggingface_hub notes of a commit beside its files: all paths, with sizes and digests.

Source: huggingface_hub 2.4, `_tree_cache.py`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from zoostore.digest import GIT_BLOB, SHA256, Digest
from zoostore.errors import MalformedObject, UsageError
from zoostore.objects.paths import check_name, check_path
from zoostore.sources.hub_answers import MAX_BYTES, Listed

MAX_LISTING_BYTES = 64 << 20

_FORMAT_VERSION = 1


def decode_listing(data: bytes) -> Mapping[str, Listed]:
    """The files of a commit, by path.

    Raises:
        MalformedObject: it is no such listing, or one of a later version.
        UnsafePath: a path in it cannot stand in a snapshot.
    """
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise _malformed("it is no JSON") from error
    if not isinstance(value, dict) or value.get("format_version") != _FORMAT_VERSION:
        raise _malformed(f"its format_version is not {_FORMAT_VERSION}")
    files = value.get("files")
    if not isinstance(files, dict):
        raise _malformed("it lists no files")
    return {path: _listed(path, line) for path, line in files.items()}


def _listed(path: str, line: object) -> Listed:
    check_path(path)
    for name in path.split("/"):
        check_name(name)
    if not isinstance(line, dict):
        raise _malformed(f"{path!r} has no line")
    size, large = line.get("size"), line.get("lfs_sha256")
    if type(size) is not int or not 0 <= size <= MAX_BYTES:
        raise _malformed(f"the size of {path!r} is no number of bytes")
    if large is not None and line.get("lfs_size") != size:
        raise _malformed(f"{path!r} has two sizes")
    return Listed(path, size, _digest(path, line.get("blob_id"), large))


def _digest(path: str, small: object, large: object) -> Digest:
    algorithm, text = (GIT_BLOB, small) if large is None else (SHA256, large)
    try:
        return Digest.parse(algorithm, text if isinstance(text, str) else "")
    except UsageError as error:
        raise _malformed(f"the {algorithm} digest of {path!r} is none") from error


def _malformed(reason: str) -> MalformedObject:
    return MalformedObject(f"It is no listing of a commit: {reason}.", reason=reason)
