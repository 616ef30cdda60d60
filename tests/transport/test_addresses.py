"""What of an address may be shown, and where it leads."""

from __future__ import annotations

import pytest

from zoostore.errors import TransferFailed
from zoostore.transport.addresses import Login, Origin, redirected, shown, take_apart


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://me:pw@host:8443/a/b?token=x#y", "https://host:8443/a/b"),
        ("https://a@b@host/p", "https://host/p"),
        ("http://host", "http://host"),
        ("http://[::1]:80/", "http://[::1]:80/"),
        ("http://[", "an address that cannot be read"),
    ],
)
def test_an_address_is_shown_without_secrets(url: str, expected: str) -> None:
    assert shown(url) == expected


def test_an_address_is_taken_apart() -> None:
    address = take_apart("HTTPS://Me:p%40w@Host/path?q#f")

    assert address.login == Login("Me", "p@w")
    assert address.origin == Origin("https", "host", 443)
    assert address.url == "https://Host/path?q"


def test_an_origin_is_the_same_with_and_without_its_usual_port() -> None:
    assert take_apart("http://a/x").origin == take_apart("http://A:80/y").origin
    assert take_apart("http://a/x").origin != take_apart("http://a:443/x").origin


def test_a_login_stays_with_its_origin() -> None:
    address = take_apart("https://me:pw@host/a")

    assert redirected(address, "/b").login == Login("me", "pw")
    assert redirected(address, "https://host:443/b").login == Login("me", "pw")
    assert redirected(address, "https://host:444/b").login is None
    assert redirected(address, "https://other/b").login is None
    assert redirected(address, "//other/b").url == "https://other/b"


def test_nobody_is_led_from_a_safe_connection_to_an_open_one() -> None:
    address = take_apart("https://host/a?token=secret")

    with pytest.raises(TransferFailed, match="not followed") as caught:
        redirected(address, "http://host/a?token=secret")

    assert "secret" not in str(caught.value)
