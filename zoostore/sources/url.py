"""Plain addresses: a file on the web, and what its bytes must be.

url   = address [ "#" pin { "&" pin } ]
pin   = ( "blake3" | "sha256" ) "=" hex digits
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote, urlsplit

from zoostore.digest import BLAKE3, SHA256, Digest
from zoostore.errors import TransferFailed, UnsafePath, UsageError
from zoostore.files.archive import is_named_archive
from zoostore.objects.paths import check_name
from zoostore.transport.addresses import shown, take_apart
from zoostore.transport.wanted import Place, Wanted

PINS: Final = (BLAKE3, SHA256)
"""What a content can be pinned by: hashes of which no two contents with one value are known."""

_ADDRESS = re.compile(r"https?://", re.IGNORECASE)
_NAMELESS = "file"


@dataclass(frozen=True, slots=True)
class WebFile:
    """A file on the web.

    Attributes:
        url: where it is, without pins. May hold credentials, so it is never shown.
        pins: what its content must have.
        name: what it is called there, as a name that a snapshot may hold.
    """

    url: str = field(repr=False)
    pins: tuple[Digest, ...]
    name: str

    @property
    def address(self) -> str:
        """The address as a person may see it: without login and query."""
        return shown(self.url)

    @property
    def is_archive(self) -> bool:
        """Whether it is to be unpacked, by its name."""
        return is_named_archive(self.name)

    @property
    def wanted(self) -> Wanted:
        return Wanted(self.name, (Place(self.url),), digests=self.pins, compute=frozenset({SHA256}))


def is_web_address(text: str) -> bool:
    """Whether a person who wrote this means something on the web, and no stub."""
    return _ADDRESS.match(text) is not None


def parse_url(text: str) -> WebFile:
    """The file that an address means.

    Raises:
        UsageError: it is no http or https address, or what stands behind `#` is no pin. The
            message holds no login and no query.
    """
    url, _, fragment = text.partition("#")
    if not is_web_address(url) or not url.isprintable() or " " in url:
        raise UsageError(f"{shown(url)!r} is no http or https address.")
    try:
        take_apart(url)
    except TransferFailed as error:
        raise UsageError(f"{shown(url)!r} is no http or https address.") from error
    return WebFile(url, _pins(fragment), _file_name(url))


def _pins(fragment: str) -> tuple[Digest, ...]:
    pins: dict[str, Digest] = {}
    for pair in fragment.split("&") if fragment else ():
        algorithm, _, digits = pair.partition("=")
        if algorithm not in PINS or algorithm in pins:
            raise UsageError(
                f"{pair[:80]!r}, behind the # of an address, is not one of "
                f"{' and '.join(f'{name}=…' for name in PINS)}, each once."
            )
        pins[algorithm] = Digest.parse(algorithm, digits)
    return tuple(pins.values())


def _file_name(url: str) -> str:
    """The last part of the path, if a file can be called so."""
    name = unquote(urlsplit(url).path.rpartition("/")[2], errors="surrogateescape")
    try:
        check_name(name)
    except UnsafePath:
        return _NAMELESS
    return name if name.isprintable() else _NAMELESS
