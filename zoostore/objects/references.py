"""References: what a tree or a snapshot refers to, and nothing else of it.

To mark what is needed, a hundred thousand of them are looked at. Their content was hashed, so
they are what was once taken in, and that was checked in full: here only ids are picked out.
"""

from __future__ import annotations

import json
import struct
from typing import NamedTuple

from zoostore.digest import OID_BYTES
from zoostore.errors import MalformedObject
from zoostore.objects.tree import Kind

_START = len(b"ztree1\n") + 4
_HEAD = struct.Struct(">BH")
_TARGET = struct.Struct(">H")
_SIZE_BYTES = 8
_LAST_FILE, _FOLDER = int(Kind.EXECUTABLE), int(Kind.DIRECTORY)


class TreeReferences(NamedTuple):
    """The ids of the folders and of the blobs in a tree."""

    folders: list[bytes]
    blobs: list[bytes]


class SnapshotReferences(NamedTuple):
    """What a snapshot refers to, and the size that it says in bytes."""

    tree: bytes
    parents: tuple[bytes, ...]
    size: int


def tree_references(data: bytes) -> TreeReferences:
    """What a tree refers to. Raises `MalformedObject` if that cannot be told."""
    folders: list[bytes] = []
    blobs: list[bytes] = []
    offset, end = _START, len(data)
    unpack = _HEAD.unpack_from
    try:
        while offset < end:
            kind, length = unpack(data, offset)
            offset += 3 + length
            if kind <= _LAST_FILE:
                offset += _SIZE_BYTES + OID_BYTES
                blobs.append(data[offset - OID_BYTES : offset])
            elif kind == _FOLDER:
                offset += OID_BYTES
                folders.append(data[offset - OID_BYTES : offset])
            else:
                offset += _TARGET.size + _TARGET.unpack_from(data, offset)[0]
    except struct.error as error:
        raise MalformedObject(f"A tree cannot be decoded: {error}.") from error
    if offset != end:
        raise MalformedObject("A tree cannot be decoded: an entry is cut short.")
    return TreeReferences(folders, blobs)


def snapshot_references(data: bytes) -> SnapshotReferences:
    """What a snapshot refers to. Raises `MalformedObject` if that cannot be told."""
    try:
        value = json.loads(data.decode("utf-8"))
        parents = tuple(map(bytes.fromhex, value["parents"]))
        return SnapshotReferences(bytes.fromhex(value["tree"]), parents, int(value["size"]))
    except (ValueError, TypeError, KeyError) as error:
        raise MalformedObject(f"A snapshot cannot be decoded: {error}.") from error
