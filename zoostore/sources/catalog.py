"""The pages of a published zoo: `zoo.json`, and the catalog that it points to.

`zoo.json` is the only file that ever changes, and it is replaced in one step:

    {"catalog": {"oid": …, "size": …}, "format": 1, "name": …}

The catalog is `catalog/<oid>.jsonl`: a line for each model, in the order of stubs.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from zoostore.digest import Oid, hash_bytes
from zoostore.errors import MalformedObject, NewerFormat, UsageError, ZooError
from zoostore.stubs import check_tag_name, parse_stub

FORMAT = 1
MANIFEST = "zoo.json"
MAX_MANIFEST_BYTES = 1 << 16
MAX_CATALOG_BYTES = 1 << 28


@dataclass(frozen=True, slots=True)
class Manifest:
    """What `zoo.json` says: the zoo's name, and its catalog's id and size in bytes."""

    name: str
    catalog: Oid
    catalog_size: int


@dataclass(frozen=True, slots=True)
class Listed:
    """A line of the catalog.

    Attributes:
        stub: the model's full name.
        snapshot: the newest snapshot.
        files, size: its totals.
        tags: other snapshots that can be pulled, by name.
        packs: the packs that hold its small objects, with their sizes in bytes.
    """

    stub: str
    snapshot: Oid
    files: int
    size: int
    tags: Mapping[str, Oid] = field(default_factory=dict)
    packs: Mapping[Oid, int] = field(default_factory=dict)


def catalog_path(oid: Oid) -> str:
    return f"catalog/{oid}.jsonl"


def object_path(oid: Oid) -> str:
    digits = oid.hex()
    return f"objects/{digits[:2]}/{digits[2:]}"


def pack_path(name: Oid) -> str:
    return f"packs/{name}.zpack"


def encode_manifest(manifest: Manifest) -> bytes:
    catalog = {"oid": str(manifest.catalog), "size": manifest.catalog_size}
    return _line({"catalog": catalog, "format": FORMAT, "name": manifest.name})


def decode_manifest(data: bytes, address: str) -> Manifest:
    """What a `zoo.json` says.

    Raises:
        NewerFormat: a later release published it.
        MalformedObject: it is not one.
    """
    try:
        value = json.loads(data)
        found = value["format"]
        if type(found) is int and found > FORMAT:
            raise NewerFormat(
                f"The zoo {address} has format {found}, and this zoostore knows format {FORMAT}.",
                address=address,
            )
        if type(found) is not int or found != FORMAT:
            raise ValueError(f"{found!r} is no format")
        size = _count(value["catalog"]["size"], MAX_CATALOG_BYTES)
        return Manifest(str(value["name"]), Oid.parse(value["catalog"]["oid"]), size)
    except NewerFormat:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, ZooError) as error:
        raise MalformedObject(
            f"{address}/{MANIFEST} is not the description of a zoo ({error}).", address=address
        ) from error


def encode_catalog(listed: Iterable[Listed]) -> bytes:
    return b"".join(_line(_to_json(line)) for line in sorted(listed, key=lambda line: line.stub))


def decode_catalog(data: bytes, manifest: Manifest, address: str) -> dict[str, Listed]:
    """The catalog's lines, by stub.

    Raises:
        MalformedObject: it is not the catalog that the manifest promised, or not one.
    """
    if hash_bytes(data) != manifest.catalog:
        raise MalformedObject(f"The catalog of {address} is not the one it promised.")
    listed: dict[str, Listed] = {}
    try:
        for raw in data.splitlines():
            line = _from_json(json.loads(raw))
            if line.stub in listed:
                raise ValueError(f"{line.stub} is there twice")
            listed[line.stub] = line
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, ZooError) as error:
        raise MalformedObject(f"The catalog of {address} has a bad line ({error}).") from error
    return listed


def _to_json(line: Listed) -> dict[str, Any]:
    return {
        "facets": parse_stub(line.stub).facets,
        "files": line.files,
        "packs": {str(name): size for name, size in sorted(line.packs.items())},
        "size": line.size,
        "snapshot": str(line.snapshot),
        "stub": line.stub,
        "tags": {tag: str(oid) for tag, oid in line.tags.items()},
    }


def _from_json(value: dict[str, Any]) -> Listed:
    stub = parse_stub(value["stub"])
    if str(stub) != value["stub"] or stub.name != value["stub"]:
        raise ValueError("a stub is not in its full form")
    for tag in value["tags"]:
        check_tag_name(tag)
    return Listed(
        stub.name,
        Oid.parse(value["snapshot"]),
        _count(value["files"]),
        _count(value["size"]),
        {tag: Oid.parse(oid) for tag, oid in value["tags"].items()},
        {Oid.parse(name): _count(size) for name, size in value["packs"].items()},
    )


def _count(value: object, limit: int = 1 << 53) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= limit:
        raise ValueError(f"{value!r} is not a number from 0 to {limit}")
    return value


def _line(value: object) -> bytes:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    try:
        return text.encode("utf-8") + b"\n"
    except UnicodeEncodeError:
        raise UsageError("The name of a zoo is not valid Unicode.") from None
