"""Plain addresses: where a file is, what its bytes must be, and what it is called."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from zoostore.digest import BLAKE3, SHA256, Digest, hash_bytes
from zoostore.errors import UsageError
from zoostore.sources.url import is_web_address, parse_url
from zoostore.transport.http import HttpClient

if TYPE_CHECKING:
    from tests.conftest import Serve

ONE, TWO = "1" * 64, "2" * 64


def test_an_address_says_where_a_file_is_and_what_it_is_called() -> None:
    found = parse_url("https://host.example:8443/a/model.onnx?key=secret&x=1")

    assert found.url == "https://host.example:8443/a/model.onnx?key=secret&x=1"
    assert found.address == "https://host.example:8443/a/model.onnx"
    assert (found.name, found.pins, found.is_archive) == ("model.onnx", (), False)
    wanted = found.wanted
    assert (wanted.name, wanted.size, wanted.digests) == ("model.onnx", None, ())
    assert [place.url for place in wanted.places] == [found.url]
    assert set(wanted.compute) == {SHA256}


@pytest.mark.parametrize(
    ("fragment", "pins"),
    [
        ("", []),
        (f"sha256={ONE}", [(SHA256, ONE)]),
        (f"blake3={ONE}", [(BLAKE3, ONE)]),
        (f"sha256={'AB' * 32}", [(SHA256, "ab" * 32)]),
        (f"sha256={ONE}&blake3={TWO}", [(SHA256, ONE), (BLAKE3, TWO)]),
    ],
)
def test_pins_say_what_the_content_must_have(fragment: str, pins: list[tuple[str, str]]) -> None:
    found = parse_url(f"http://host/a.bin#{fragment}")

    assert found.url == "http://host/a.bin"
    assert found.wanted.digests == tuple(Digest.parse(*pin) for pin in pins)


NO_PINS = ["section", "sha256", "sha256=", f"sha256={ONE[1:]}", f"sha256={ONE}0", "sha256=x"]
NO_PINS += [f"md5={ONE}", f"git-sha1={ONE[:40]}", f"SHA256={ONE}", f"sha256={ONE}&"]
NO_PINS += [f"sha256={ONE}&sha256={ONE}", f"sha256={ONE}&name=x", f"sha256={ONE}#sha256={ONE}"]
NO_PINS += [f"sha256= {ONE}", f"sha256={ONE}&&blake3={ONE}", f"&sha256={ONE}", "sha256=" + "x" * 64]


@pytest.mark.parametrize("fragment", NO_PINS)
def test_what_is_no_pin_is_refused(fragment: str) -> None:
    with pytest.raises(UsageError):
        parse_url(f"http://me:secret@host/a?secret#{fragment}")


NO_ADDRESSES = ["", "host/a", "ftp://host/a", "file:///etc/passwd", "hf:org/name", "http:/host"]
NO_ADDRESSES += ["http://", "https:///a", "http://host:port/a", "http://host:99999/a", "http://@/a"]
NO_ADDRESSES += ["http://[::1/a", "http://host/a b", "http://host/a\n", "http://ho\tst/a"]
NO_ADDRESSES += [" http://host/a", "http://host/\x7f"]


@pytest.mark.parametrize("text", NO_ADDRESSES)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="no http or https address"):
        parse_url(text)


def test_an_address_is_told_from_a_stub() -> None:
    assert all(map(is_web_address, ["http://host", "HTTPS://host/a", "https://"]))
    assert not any(map(is_web_address, ["zoo:a", "hf:org/name", "http", "httpx://a", "a/http://b"]))


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/a/b.bin", "b.bin"),
        ("/a/b%20c%C3%BC.bin", "b cü.bin"),
        ("/b.bin?x=/c.zip", "b.bin"),
        ("", "file"),
        ("/", "file"),
        ("/a/", "file"),
        ("/..", "file"),
        ("/%2e%2e", "file"),
        ("/a%2Fb", "file"),
        ("/%2Fetc%2Fpasswd", "file"),
        ("/a%00b", "file"),
        ("/%ff", "file"),
        ("/a%0Ab", "file"),
        ("/%1b%5b31m", "file"),
        ("/.zoostore", "file"),
        ("/" + "n" * 2000, "file"),
    ],
)
def test_a_file_is_called_as_the_address_ends_if_it_can_be(path: str, name: str) -> None:
    assert parse_url(f"http://host{path}").name == name


def test_an_archive_is_known_by_its_name() -> None:
    for name in ("a.tar.gz", "a.tgz", "a.tar", "a.zip", "A.ZIP", "a.tar.xz", "a.tar.bz2"):
        assert parse_url(f"http://host/{name}?x#sha256={ONE}").is_archive
    for name in ("a.gz", "a.safetensors", "zip", "a.zip/", "a?b.zip"):
        assert not parse_url(f"http://host/{name}").is_archive


def test_credentials_are_used_and_not_shown(
    serve: Serve, lay_at: Callable[..., Path], tmp_path: Path
) -> None:
    web = serve(lay_at(tmp_path / "web", {"a b.bin": b"content"}))
    url = web.url.replace("://", "://me:pass@") + "/a%20b.bin?signature=secret"

    found = parse_url(f"{url}#blake3={hash_bytes(b'content')}")

    for text in (repr(found), repr(found.wanted.name), found.address, str(found)):
        assert "pass" not in text
        assert "secret" not in text
    with HttpClient() as client:
        assert client.read(found.wanted.places[0].url, limit=100).data == b"content"
    assert web.paths == ["/a%20b.bin?signature=secret"]
    for text in (f"{url}#x", url.replace("http", "ftp"), url + " "):
        with pytest.raises(UsageError) as raised:
            parse_url(text)
        assert "pass" not in f"{raised.value}"
        assert "secret" not in f"{raised.value}"
