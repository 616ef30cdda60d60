"""Addresses: what of them may be shown, and whom a secret may be sent to."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import unquote, urljoin, urlsplit, urlunsplit

from zoostore.errors import TransferFailed

_PORTS = {"http": 80, "https": 443}


class Origin(NamedTuple):
    """Who answers for an address. A secret for one origin is none of another's business."""

    scheme: str
    host: str
    port: int


class Login(NamedTuple):
    """The name and the password that stand in an address."""

    name: str
    password: str


class Address(NamedTuple):
    """An address taken apart.

    Attributes:
        url: without the login; its query may still be a secret.
        login: None if there is none.
        origin: whom it leads to.
    """

    url: str
    login: Login | None
    origin: Origin


def shown(url: str) -> str:
    """An address as a person may see it: without login, query and fragment."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "an address that cannot be read"
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def take_apart(url: str) -> Address:
    """Read an address.

    Raises:
        TransferFailed: it is not that of something on the web.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or _PORTS[parts.scheme]
    except (ValueError, KeyError):
        host, port = None, 0
    if not host:
        raise TransferFailed(
            f"{shown(url)} cannot be asked for: it is no http or https address.", url=shown(url)
        )
    login = None
    if "@" in parts.netloc:
        login = Login(unquote(parts.username or ""), unquote(parts.password or ""))
    bare = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment=""))
    return Address(bare, login, Origin(parts.scheme, host, port))


def redirected(address: Address, location: str) -> Address:
    """Where an answer of `address` sends the client; the login stays with its origin.

    Raises:
        TransferFailed: it leads nowhere, or away from a connection that nobody can listen to.
    """
    try:
        url = urljoin(address.url, location)
    except ValueError:
        url = ""
    target = take_apart(url)
    if address.origin.scheme == "https" and target.origin.scheme != "https":
        raise TransferFailed(
            f"{shown(address.url)} leads to {shown(url)}, where others can read along; "
            "it was not followed.",
            url=shown(address.url),
        )
    if target.login is None and target.origin == address.origin:
        return target._replace(login=address.login)
    return target
