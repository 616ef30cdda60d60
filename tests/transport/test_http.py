"""One request: redirects, logins, proxies, refusals, and what is never shown."""

from __future__ import annotations

import base64
import logging
import socket
import threading
import time
from email.utils import formatdate
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from zoostore.errors import TransferFailed
from zoostore.transport.base import AccessDenied, NotThere
from zoostore.transport.http import HttpClient
from zoostore.transport.patience import Interrupted, Patience, Stopped
from zoostore.transport.wanted import Place

if TYPE_CHECKING:
    from tests.transport.conftest import Exchange, Fault, FaultServer, StartServer

PATH = "/page"
PAGE = b"a page"
SECRET = "hunter2"


@pytest.fixture
def server(start_server: StartServer) -> FaultServer:
    return start_server({PATH: PAGE})


@pytest.fixture
def other(start_server: StartServer) -> FaultServer:
    return start_server({PATH: PAGE})


def answer(status: int, **headers: str) -> Fault:
    return lambda exchange: exchange.head(status, Content_Length="0", **headers)


def basic(name: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


def read(client: HttpClient, url: str, **headers: str) -> bytes:
    return client.read(url, headers, limit=1000).data


def test_a_reply_has_status_headers_address_and_content(
    server: FaultServer, client: HttpClient
) -> None:
    server.etag = '"one"'

    reply = client.read(server.url + PATH, limit=1000)

    assert (reply.status, reply.data, reply.url) == (200, PAGE, server.url + PATH)
    assert reply.headers["etag"] == '"one"'


def test_what_is_asked_for_is_the_file_as_it_is(server: FaultServer, client: HttpClient) -> None:
    read(client, server.url + PATH)

    assert server.asked[0].headers["Accept-Encoding"] == "identity"


def test_a_body_that_is_longer_than_its_limit_is_not_read(
    server: FaultServer, client: HttpClient
) -> None:
    with pytest.raises(TransferFailed, match="longer than the 3 bytes"):
        client.read(server.url + PATH, limit=3)


def test_a_body_in_another_form_is_refused(server: FaultServer, client: HttpClient) -> None:
    server.always = lambda exchange: exchange.head(200, Content_Encoding="br")

    with pytest.raises(TransferFailed, match=r"\(br\)"):
        read(client, server.url + PATH)


def test_connections_are_used_again(server: FaultServer, client: HttpClient) -> None:
    for _ in range(5):
        read(client, server.url + PATH)

    assert len(server.connections) == 1


# Refusals


@pytest.mark.parametrize(
    ("status", "error"),
    [(401, AccessDenied), (403, AccessDenied), (404, NotThere), (410, NotThere)],
)
def test_a_refusal_is_told_at_once_with_what_the_server_says_of_it(
    server: FaultServer, client: HttpClient, status: int, error: type[TransferFailed]
) -> None:
    server.always = answer(status, X_Error_Code="GatedRepo", X_Other="secret")

    with pytest.raises(error) as caught:
        read(client, server.url + PATH + "?token=" + SECRET)

    assert caught.value.facts == {
        "url": server.url + PATH,
        "status": status,
        "headers": {"X-Error-Code": "GatedRepo"},
    }
    assert len(server.asked) == 1


@pytest.mark.parametrize("status", [400, 405, 418, 451, 501, 204, 304])
def test_an_answer_that_is_of_no_use_is_a_failed_transfer(
    server: FaultServer, client: HttpClient, status: int
) -> None:
    server.always = answer(status)

    with pytest.raises(TransferFailed, match=f"status {status}"):
        read(client, server.url + PATH)

    assert len(server.asked) == 1


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_an_answer_that_may_be_another_the_next_time_is_asked_for_again(
    server: FaultServer, client: HttpClient, status: int
) -> None:
    server.faults = [answer(status), answer(status)]

    assert read(client, server.url + PATH) == PAGE


def test_a_server_is_not_asked_for_ever(server: FaultServer, client: HttpClient) -> None:
    server.always = answer(500)

    with pytest.raises(TransferFailed, match="status 500") as caught:
        read(client, server.url + PATH)

    assert len(server.asked) == client.patience.tries
    assert caught.value.facts["status"] == 500


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("0", 0),
        ("7", 7),
        ("0007", 7),
        ("-7", None),
        ("soon", None),
        ("", None),
        ("9" * 5000, 999999999999),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
        ("Thu, 01 Jan 1970 00:00:00 -9999", None),
    ],
)
def test_how_long_to_wait_is_read_from_the_answer(
    server: FaultServer, client: HttpClient, said: str, seconds: float | None
) -> None:
    server.always = answer(503, Retry_After=said)

    with pytest.raises(Interrupted) as caught:
        client.ask(Place(server.url + PATH))

    assert caught.value.retry_after == seconds or said.endswith("-9999")


def test_a_date_to_wait_for_is_understood(server: FaultServer, client: HttpClient) -> None:
    server.always = answer(503, Retry_After=formatdate(time.time() + 1000, usegmt=True))

    with pytest.raises(Interrupted) as caught:
        client.ask(Place(server.url + PATH))

    assert 900 < (caught.value.retry_after or 0) < 1001


def test_a_server_that_asks_to_wait_too_long_is_given_up(
    server: FaultServer, client: HttpClient
) -> None:
    server.always = answer(429, Retry_After="86400")

    with pytest.raises(TransferFailed, match="asks to wait 86400 s"):
        read(client, server.url + PATH)

    assert len(server.asked) == 1


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "ftp://a/b", "http://", "http://[", "http://a:b/", "x", ""]
)
def test_what_is_no_address_on_the_web_is_refused(client: HttpClient, url: str) -> None:
    with pytest.raises(TransferFailed):
        read(client, url)


def test_a_head_that_trickles_in_is_a_stall(server: FaultServer, client: HttpClient) -> None:
    def trickle(exchange: Exchange) -> None:
        exchange.close_connection = True
        exchange.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
        while not exchange.server.closing.wait(0.01):
            exchange.wfile.write(b"x")

    server.always = trickle

    with pytest.raises(Interrupted, match="bytes came in"):
        client.ask(Place(server.url + PATH))


def test_waiting_for_an_answer_ends_when_nobody_wants_it_any_more(server: FaultServer) -> None:
    server.always = lambda exchange: exchange.until_the_client_goes()
    stop = threading.Event()
    threading.Timer(0.05, stop.set).start()

    with HttpClient(Patience(read=1000, window=1000)) as client, pytest.raises(Stopped):
        client.ask(Place(server.url + PATH), stop=stop)


def test_a_port_that_nobody_listens_at_is_said_to_refuse(client: HttpClient) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]

        with pytest.raises(TransferFailed, match="the connection was refused"):
            read(client, f"http://127.0.0.1:{port}/")


# Redirects


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_followed(
    server: FaultServer, other: FaultServer, client: HttpClient, status: int
) -> None:
    server.always = answer(status, Location=other.url + PATH)

    reply = client.read(server.url + PATH, limit=1000)

    assert (reply.data, reply.url) == (PAGE, other.url + PATH)


def test_a_relative_redirect_keeps_the_login(server: FaultServer, client: HttpClient) -> None:
    server.faults = [answer(302, Location="page?again")]

    read(client, server.url.replace("//", f"//me:{SECRET}@") + PATH, X_Token=SECRET)

    assert [asked.path for asked in server.asked] == [PATH, PATH + "?again"]
    for asked in server.asked:
        assert asked.headers["Authorization"] == basic("me", SECRET)
        assert asked.headers["X_Token"] == SECRET


def test_secrets_do_not_follow_a_redirect_to_another_port(
    server: FaultServer, other: FaultServer, client: HttpClient
) -> None:
    server.always = answer(302, Location=other.url + PATH, Set_Cookie=f"a={SECRET}")

    read(client, server.url.replace("//", f"//me:{SECRET}@") + PATH, X_Token=SECRET)

    assert SECRET not in str(other.asked)
    assert "Authorization" not in other.asked[0].headers


def test_secrets_do_not_follow_a_redirect_to_another_host(
    server: FaultServer, client: HttpClient
) -> None:
    elsewhere = server.url.replace("127.0.0.1", "localhost")
    server.faults = [answer(302, Location=elsewhere + PATH)]

    read(client, server.url + PATH, Authorization=f"Bearer {SECRET}")

    first, second = server.asked
    assert first.headers["Authorization"] == f"Bearer {SECRET}"
    assert SECRET not in str(second)


def test_secrets_do_not_come_back_from_another_origin(
    server: FaultServer, other: FaultServer, client: HttpClient
) -> None:
    """Whoever sends the client there and back must not learn more than who is asked directly."""
    server.faults = [answer(302, Location=other.url + PATH)]
    other.always = answer(302, Location=server.url + PATH)

    read(client, server.url + PATH, Authorization=f"Bearer {SECRET}")

    assert SECRET not in str(server.asked[1])


def test_a_part_is_asked_for_behind_a_redirect_too(
    server: FaultServer, other: FaultServer, client: HttpClient
) -> None:
    server.always = answer(302, Location=other.url + PATH)

    with client.ask(Place(server.url + PATH), {"Range": "bytes=2-3"}) as part:
        assert (part.status, part.read(10)) == (206, PAGE[2:4])


def test_cookies_are_neither_kept_nor_sent(server: FaultServer, client: HttpClient) -> None:
    server.faults = [answer(302, Location=PATH, Set_Cookie="a=b"), None]

    read(client, server.url + PATH)
    read(client, server.url + PATH)

    assert not any("Cookie" in asked.headers for asked in server.asked)


@pytest.mark.parametrize("location", ["file:///etc/passwd", "ftp://a/", "http://[", "//"])
def test_a_redirect_away_from_the_web_is_refused(
    server: FaultServer, client: HttpClient, location: str
) -> None:
    server.always = answer(302, Location=location)

    with pytest.raises(TransferFailed):
        read(client, server.url + PATH)


def test_a_redirect_that_leads_round_is_left(server: FaultServer, client: HttpClient) -> None:
    server.always = answer(302, Location=PATH)

    with pytest.raises(TransferFailed, match="more than 10 times"):
        read(client, server.url + PATH)


# Logins


@pytest.fixture
def netrc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "netrc").write_text(
        "machine 127.0.0.1 login net password rc\nmachine localhost login local password host\n"
    )
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))


def test_a_login_is_taken_from_netrc(server: FaultServer, client: HttpClient, netrc: None) -> None:
    read(client, server.url + PATH)

    assert server.asked[0].headers["Authorization"] == basic("net", "rc")


def test_a_login_is_taken_from_netrc_for_the_host_of_a_redirect(
    server: FaultServer, client: HttpClient, netrc: None
) -> None:
    elsewhere = server.url.replace("127.0.0.1", "localhost")
    server.faults = [answer(302, Location=elsewhere + PATH)]

    read(client, server.url + PATH)

    assert server.asked[1].headers["Authorization"] == basic("local", "host")


@pytest.mark.parametrize("name", ["Authorization", "authorization"])
def test_a_token_goes_before_netrc(
    server: FaultServer, client: HttpClient, netrc: None, name: str
) -> None:
    read(client, server.url + PATH, **{name: f"Bearer {SECRET}"})

    assert server.asked[0].headers[name] == f"Bearer {SECRET}"


def test_a_login_in_an_address_goes_before_netrc(
    server: FaultServer, client: HttpClient, netrc: None
) -> None:
    read(client, server.url.replace("//", "//me%40home:p%3Aw%C3%A4@") + PATH)

    assert server.asked[0].headers["Authorization"] == basic("me@home", "p:wä")


# Proxies


@pytest.fixture
def proxy(start_server: StartServer, monkeypatch: pytest.MonkeyPatch) -> FaultServer:
    """A proxy answers for addresses as a whole."""
    server = start_server({"http://model.example/page": PAGE})
    monkeypatch.setenv("http_proxy", server.url.replace("//", f"//proxy:{SECRET}@"))
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    return server


def test_a_proxy_is_used(proxy: FaultServer, client: HttpClient) -> None:
    assert read(client, "http://model.example/page") == PAGE

    assert proxy.asked[0].headers["Proxy-Authorization"] == basic("proxy", SECRET)


def test_a_proxy_is_not_used_for_whom_it_is_not_meant(
    proxy: FaultServer, server: FaultServer, client: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")

    assert read(client, server.url + PATH) == PAGE

    assert proxy.asked == []
    assert SECRET not in str(server.asked)


def test_a_proxy_that_is_down_shows_no_password(
    client: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        monkeypatch.setenv("http_proxy", f"http://proxy:{SECRET}@127.0.0.1:{port}")
        monkeypatch.delenv("no_proxy", raising=False)

        with pytest.raises(TransferFailed) as caught:
            read(client, f"http://model.example/page?token={SECRET}")

    assert SECRET not in str(caught.value) + str(caught.value.facts)


# What is never shown


@pytest.mark.parametrize(
    "fault",
    [None, answer(403), answer(404), answer(500), answer(302, Location="?again=" + SECRET)],
    ids=["none", "403", "404", "500", "redirect"],
)
def test_no_secret_is_logged_or_told(
    server: FaultServer, client: HttpClient, fault: Fault, caplog: pytest.LogCaptureFixture
) -> None:
    server.always = fault
    url = server.url.replace("//", f"//me:{SECRET}@") + PATH + f"?sig={SECRET}#{SECRET}"
    told = ""

    with caplog.at_level(logging.DEBUG):
        try:
            read(client, url, Authorization=f"Bearer {SECRET}")
        except TransferFailed as error:
            told = f"{error!r} {error.facts} {error.__cause__!r}"

    assert server.asked
    assert SECRET not in told
    assert SECRET not in caplog.text
    assert PATH in caplog.text
