"""Decoders of a store's own files, and of those in a checkout."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.fuzz.decoder import Decoder, put, to_json
from tests.fuzz.objects import OID
from zoostore.config import Config, read_config
from zoostore.digest import hash_bytes
from zoostore.errors import (
    DamagedContent,
    InvalidConfig,
    NewerFormat,
    NoStore,
    StoreBusy,
)
from zoostore.files.claim import claim, is_held, remove_abandoned_claims
from zoostore.files.staging import host_name
from zoostore.files.stamp import Stamp
from zoostore.objects.tree import Entry, Kind, link_entry
from zoostore.ops.records import laid_out, left_out
from zoostore.ops.tracking import TrackingFile
from zoostore.ops.working import CheckoutState, WorkingDirectory
from zoostore.store.layout import Layout
from zoostore.store.records import RefChange
from zoostore.store.reflog import Reflog, decode_change, encode_change
from zoostore.transport.journal import Journal, State, read_journal

CHANGES = (
    RefChange("zoo:m", OID, None, "add", 1, 3, 1 << 40, message='é "\n'),
    RefChange("zoo:m", OID, OID, "tag", 2, tag="v1"),
    RefChange("zoo:m", None, OID, "rm", 3),
)
LINES = tuple(encode_change(change)[:-1] for change in CHANGES)


def checked(value: Any) -> bytes:
    """A line of the reflog whose check is right, whatever else is in it."""
    if not isinstance(value, dict):
        return to_json(value)
    value.pop("check", None)
    rest = json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
    return b'{"check":"%s",%s' % (hash_bytes(rest).hex()[:16].encode(), rest[1:])


def read_line(data: bytes, folder: Path) -> None:
    """A line that is taken is the only one that says this."""
    change = decode_change(data)
    assert change is None or encode_change(change) == data + b"\n"


def read_checked_line(data: bytes, folder: Path) -> None:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        value = None
    read_line(checked(value), folder)


def read_reflog(data: bytes, folder: Path) -> None:
    reflog = Reflog(put(folder, "reflog", data))
    assert sum(1 for _ in reflog.read()) == data.count(b"\n")


CONFIG = b"""# a comment
large_object = 65536
link = "auto"

[remotes.lab]
url = "https://models.example.org/zoo"
"""


def read_settings(data: bytes, folder: Path) -> None:
    config = read_config(put(folder, "config.toml", data))
    assert isinstance(config, Config)
    assert 1 <= config.large_object <= 1 << 28
    assert all(type(text) is str for item in config.remotes.items() for text in item)


CHECKOUT = to_json(
    {
        "exclude": ["*.bin"],
        "format": 1,
        "include": [],
        "link": "hardlink",
        "snapshot": str(OID),
        "store": "/store",
        "stub": "zoo:m",
    }
)


def read_checkout(data: bytes, folder: Path) -> None:
    put(folder, ".zoostore/checkout.json", data)
    state = WorkingDirectory(folder).state()
    assert isinstance(state, CheckoutState)
    texts = (state.stub, state.snapshot, state.store, state.link, *state.include, *state.exclude)
    assert all(type(text) is str for text in texts)


def entries(folder: Path) -> bytes:
    """The record of a checkout's files."""
    stamp = Stamp.made_of(7, 1, 2, 3)
    TrackingFile(folder).write(
        str(OID),
        {
            "a": laid_out(Entry(Kind.FILE, 7, OID), stamp),
            "empty": laid_out(Entry(Kind.DIRECTORY, 0, OID), Stamp.made_of(0, 0, 0)),
            "link": laid_out(link_entry("a"), stamp),
            "sub/b": left_out(Entry(Kind.EXECUTABLE, 7, OID)),
        },
    )
    return (folder / "entries").read_bytes()


def read_entries(data: bytes, folder: Path) -> None:
    put(folder, "entries", data)
    found = TrackingFile(folder).read(str(OID))
    for path in found.paths if found else ():
        assert found is not None
        assert found.paths[path].entry.kind in Kind
        assert ".." not in path.split("/")
        assert not path.startswith("/")


def read_entries_with_checksum(data: bytes, folder: Path) -> None:
    """As a person makes them who means harm: the checksum is no secret."""
    read_entries(data + hash_bytes(data), folder)


def journal(folder: Path) -> bytes:
    path = folder / "x.journal"
    written = Journal(path)
    written.begin(State(5 << 20, "https://x", '"etag"'), {0: OID, 3: OID})
    written.close()
    return path.read_bytes()


def read_downloads_journal(data: bytes, folder: Path) -> None:
    found = read_journal(put(folder, "x.journal", data))
    if found is not None:
        state, grains = found
        assert state.size is None or 0 <= state.size < 1 << 63
        assert all(0 <= grain < 1 << 43 for grain in grains)


def read_checked_journal(data: bytes, folder: Path) -> None:
    """With the checksums of its lines right again."""
    import zlib

    lines = (line.rpartition(b" ")[0] for line in data.split(b"\n"))
    mended = b"".join(b"%b %08x\n" % (line, zlib.crc32(line)) for line in lines)
    read_downloads_journal(mended, folder)


CLAIMS = (f"{host_name()} 4194305 boot\n".encode(), b"elsewhere 7\n", b"")


def read_claim(data: bytes, folder: Path) -> None:
    path = put(folder, "claims/x.claim", data)
    is_held(path)
    try:
        with claim(path, "x"):
            pass
    finally:
        remove_abandoned_claims(folder / "claims")


def read_format(data: bytes, folder: Path) -> None:
    put(folder, "format", data)
    assert Layout(folder).exists()


def decoders(folder: Path) -> dict[str, Decoder]:
    """All of them; the folder is to make seeds in."""
    recorded, downloads = entries(folder), journal(folder)
    return {
        "line of the reflog": Decoder(LINES, read_line, is_json=True),
        "line of the reflog with a check": Decoder(
            LINES,
            read_checked_line,
            is_json=True,
            found=[
                LINES[0].replace(b'"files":3', b'"files":-1'),
                LINES[0].replace(b'"files":3', b'"files":1' + b"0" * 30),
                LINES[0].replace(b'"partial":false', b'"partial":0'),
                LINES[0].replace(b'"stub":"zoo:m"', b'"stub":7'),
            ],
        ),
        "reflog": Decoder((b"\n".join(LINES) + b"\n", LINES[0] + b" torn\n"), read_reflog),
        "config.toml": Decoder(
            (CONFIG,),
            read_settings,
            (InvalidConfig,),
            found=[b"x = " + b"[" * 50_000, b"large_object = %d" % 10**30, b"link = []"],
        ),
        "checkout.json": Decoder(
            (CHECKOUT,),
            read_checkout,
            (DamagedContent, NewerFormat),
            is_json=True,
            found=[b"[" * 100_000, CHECKOUT.replace(b'"*.bin"', b"null")],
        ),
        "entries": Decoder((recorded,), read_entries),
        "entries with a checksum": Decoder((recorded[:-32],), read_entries_with_checksum),
        "journal": Decoder((downloads,), read_downloads_journal),
        "journal with checksums": Decoder(
            (downloads,),
            read_checked_journal,
            found=[
                b"[" * 50_000 + b" x",
                downloads + b"%d %s x" % (10**19, str(OID).encode()),
                downloads + b"%d %s x" % (10**30, str(OID).encode()),
            ],
        ),
        "claim": Decoder(CLAIMS, read_claim, (StoreBusy,)),
        "format": Decoder((b"zoostore 1\n",), read_format, (NoStore, NewerFormat)),
    }
