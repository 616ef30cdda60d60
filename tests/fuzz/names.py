"""Decoders of what a person types, and of where servers lead: stubs, revisions, addresses."""

from __future__ import annotations

from pathlib import Path

from tests.fuzz.decoder import Decoder
from zoostore.errors import InvalidStub, TransferFailed, UnsafePath, UsageError
from zoostore.files.entries import link_target, member_path
from zoostore.sources.url import parse_url
from zoostore.stubs import parse_stub
from zoostore.transport.addresses import redirected, shown, take_apart

STUBS = (
    b"zoo:cv/classification/resnet_v1-50/pytorch/sparseml/imagenet/base-none@v1~2?recipe=x",
    b"hf:datasets/org/name@refs/pr/1",
    b"ollama:localhost:5000/library/m:8b",
    b"zoo:m?checkpoint=preqat&deployment=default",
)
ADDRESSES = (
    b"https://me:secret@host.example:8443/a/b%20c.tar.gz?sig=1#sha256=" + b"0" * 64,
    b"http://[::1]/x#blake3=" + b"a" * 64 + b"&sha256=" + b"0" * 64,
)
LOCATIONS = (b"/other", b"//host/x", b"https://host.example/x", b"file:///etc/passwd", b"?x#y")
PATHS = (b"a/./b//c", b"../x", b"/etc/passwd", b"a/../../x", b"C:\\x", b"a\0b", b"\xff")


def text(data: bytes) -> str:
    """As arguments and headers arrive."""
    return data.decode("utf-8", "surrogateescape")


def read_stub(data: bytes, folder: Path) -> None:
    stub = parse_stub(text(data))
    again = parse_stub(str(stub))
    assert (again, str(again)) == (stub, str(stub))


def read_address(data: bytes, folder: Path) -> None:
    found = parse_url(text(data))
    assert "/" not in found.name
    assert found.name not in ("", ".", "..")
    assert found.url not in repr(found)


def read_location(data: bytes, folder: Path) -> None:
    shown(text(data))
    target = redirected(take_apart("https://me:pw@zoo.example/x"), text(data))
    assert target.origin.scheme == "https"
    assert target.login is None or target.origin.host == "zoo.example" or "@" in text(data)


def read_member(data: bytes, folder: Path) -> None:
    path = member_path(text(data))
    assert (folder / path).resolve().is_relative_to(folder.resolve())
    assert member_path(path) == path


def read_target(data: bytes, folder: Path) -> None:
    end = link_target("sub/link", text(data))
    assert end.split("/")[0] not in ("", "..")


DECODERS = {
    "stub": Decoder(STUBS, read_stub, (InvalidStub,)),
    "address": Decoder(ADDRESSES, read_address, (UsageError,)),
    "where an answer leads": Decoder(LOCATIONS, read_location, (TransferFailed,)),
    "name in an archive": Decoder(PATHS, read_member, (UnsafePath,)),
    "link in an archive": Decoder(PATHS, read_target, (UnsafePath,), found=[b"../..;"]),
}
