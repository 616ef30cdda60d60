"""Every fault, at several points: a download ends right or says why not, and never ends wrong."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from zoostore.errors import TransferFailed, WrongContent
from zoostore.transport.wanted import Arrived, Failed

if TYPE_CHECKING:
    from tests.transport.conftest import (
        Exchange,
        Fault,
        FaultServer,
        Fetch,
        StartServer,
        Want,
        Watcher,
    )

PATH = "/model.bin"
POINTS: Mapping[str, float] = {"at once": 0.0, "in the middle": 0.5, "before the last byte": 1.0}
"""How far into the body of an answer something happens."""


def at(exchange: Exchange, point: float) -> int:
    return int((len(exchange.asked_bytes()) - 1) * point)


def drop(exchange: Exchange, point: float) -> None:
    exchange.head()
    exchange.body(exchange.asked_bytes()[: at(exchange, point)])
    exchange.hang_up()


def stall(exchange: Exchange, point: float) -> None:
    exchange.head()
    exchange.body(exchange.asked_bytes()[: at(exchange, point)])
    exchange.until_the_client_goes()


def flip_a_bit(exchange: Exchange, point: float) -> None:
    data = bytearray(exchange.asked_bytes())
    data[at(exchange, point)] ^= 1
    exchange.head()
    exchange.body(bytes(data))


def say_less(exchange: Exchange, point: float) -> None:
    length = at(exchange, point)
    exchange.head(Content_Length=str(length))
    exchange.body(exchange.asked_bytes()[:length])


def say_more(exchange: Exchange, point: float) -> None:
    data = exchange.asked_bytes()
    exchange.head(Content_Length=str(len(data) + 1 + at(exchange, point)))
    exchange.body(data)
    exchange.hang_up()


def without_a_length(exchange: Exchange, point: float) -> None:
    exchange.head(Content_Length="")
    exchange.body(exchange.asked_bytes()[: at(exchange, point)])
    exchange.hang_up()


BY_POINT = {
    "drops": drop,
    "stalls": stall,
    "flips a bit": flip_a_bit,
    "says less": say_less,
    "says more": say_more,
    "drops without a length": without_a_length,
}


def trickle(exchange: Exchange) -> None:
    exchange.head()
    exchange.close_connection = True
    for byte in exchange.asked_bytes()[:2000]:
        exchange.body(bytes([byte]))
        if exchange.server.closing.wait(0.02):
            return


def endless(exchange: Exchange) -> None:
    exchange.head(Content_Length="")
    exchange.close_connection = True
    exchange.body(exchange.asked_bytes())
    while not exchange.server.closing.is_set():
        exchange.body(bytes(1 << 16))


def whole(exchange: Exchange) -> None:
    exchange.head(200, Content_Length=str(len(exchange.content)), Content_Range="")
    exchange.body(exchange.content)


def another_range(exchange: Exchange) -> None:
    data = exchange.content[7 : 7 + len(exchange.asked_bytes())]
    exchange.head(206, Content_Length=str(len(data)), Content_Range=f"bytes 7-{6 + len(data)}/*")
    exchange.body(data)


def another_total(exchange: Exchange) -> None:
    start, end = exchange.span or (0, len(exchange.content))
    exchange.head(206, Content_Range=f"bytes {start}-{end - 1}/{len(exchange.content) + 1}")
    exchange.body(exchange.asked_bytes())


def no_range_said(exchange: Exchange) -> None:
    exchange.head(206, Content_Range="")
    exchange.body(exchange.asked_bytes())


def compressed(exchange: Exchange) -> None:
    data = gzip.compress(exchange.asked_bytes()[:1000])
    exchange.head(Content_Length=str(len(data)), Content_Encoding="gzip")
    exchange.body(data)


def error_page(exchange: Exchange) -> None:
    page = b"<!doctype html><title>Sign in</title>"
    exchange.head(
        200, Content_Length=str(len(page)), Content_Type="text/html", Content_Range="", ETag=""
    )
    exchange.body(page)


def answer_nothing(exchange: Exchange) -> None:
    exchange.hang_up()


def answer_nonsense(exchange: Exchange) -> None:
    exchange.wfile.write(b"\0\1\2 nonsense\r\n\r\n")
    exchange.hang_up()


def status(code: int, **headers: str) -> Fault:
    def answer(exchange: Exchange) -> None:
        exchange.head(code, Content_Length="2", Content_Range="", **headers)
        exchange.body(b"no")

    return answer


WITHOUT_POINT: Mapping[str, Fault] = {
    "trickles": trickle,
    "does not end": endless,
    "sends the whole": whole,
    "sends another range": another_range,
    "sends a part of something longer": another_total,
    "does not say the range": no_range_said,
    "compresses": compressed,
    "sends a page that says sign in": error_page,
    "hangs up": answer_nothing,
    "answers nonsense": answer_nonsense,
    "answers 403": status(403),
    "answers 404": status(404),
    "answers 416": status(416),
    "answers 500": status(500),
    "answers 429": status(429, Retry_After="0"),
    "answers 503": status(503, Retry_After="Thu, 01 Jan 1970 00:00:00 GMT"),
}


def fault_at(name: str, point: float) -> Fault:
    return lambda exchange: BY_POINT[name](exchange, point)


FAULTS: Mapping[str, Fault] = {
    **{f"{n} {w}": fault_at(n, point) for n in BY_POINT for w, point in POINTS.items()},
    **WITHOUT_POINT,
}
PASS_BY_THEMSELVES = (
    "drops",
    "stalls",
    "trickles",
    "hangs up",
    "answers nonsense",
    "answers 500",
    "answers 429",
    "answers 503",
)
"""Faults after which the same place is asked again."""

every_fault = pytest.mark.parametrize("name", FAULTS)


@pytest.fixture(params=[True, False], ids=["ranges", "whole files"])
def server(request: pytest.FixtureRequest, start_server: StartServer, large: bytes) -> FaultServer:
    return start_server({PATH: large}, ranges=request.param)


@every_fault
@pytest.mark.parametrize(
    ("when", "ranges"),
    [(0, True), (1, True), (3, True), (0, False)],
    ids=["first", "second", "fourth", "whole"],
)
def test_a_fault_that_happens_once_brings_no_wrong_bytes(
    start_server: StartServer,
    fetch: Fetch,
    want: Want,
    large: bytes,
    name: str,
    when: int,
    ranges: bool,
) -> None:
    server = start_server({PATH: large}, ranges=ranges)
    server.faults = [*[None] * when, FAULTS[name]]

    (outcome,) = fetch(want(large, server.url + PATH))

    if name.startswith(PASS_BY_THEMSELVES):
        assert isinstance(outcome, Arrived)
    if isinstance(outcome, Arrived):
        assert outcome.content == large
    else:
        assert isinstance(outcome.error, TransferFailed | WrongContent)


@every_fault
def test_a_place_that_always_fails_is_left_for_the_next(
    server: FaultServer,
    start_server: StartServer,
    fetch: Fetch,
    want: Want,
    large: bytes,
    name: str,
) -> None:
    server.always = FAULTS[name]
    other = start_server({PATH: large})

    (outcome,) = fetch(want(large, server.url + PATH, other.url + PATH))

    assert isinstance(outcome, Arrived)
    assert outcome.content == large


@every_fault
def test_a_place_that_always_fails_is_given_up_and_nothing_wrong_arrives(
    server: FaultServer,
    fetch: Fetch,
    want: Want,
    watcher: Watcher,
    large: bytes,
    name: str,
) -> None:
    server.always = FAULTS[name]

    (outcome,) = fetch(want(large, server.url + PATH))

    if isinstance(outcome, Arrived):
        assert outcome.content == large
        assert name in ("sends the whole", "does not end") or name.startswith(
            ("drops", "stalls", "says", "trickles")
        )
    else:
        assert isinstance(outcome.error, TransferFailed | WrongContent)
        assert len(outcome.error.message) > 20
    assert watcher.ended == ["the model"]


@every_fault
@pytest.mark.parametrize("is_known", [True, False], ids=["size", "no size"])
def test_a_content_without_a_digest_has_the_promised_size_or_does_not_arrive(
    start_server: StartServer, fetch: Fetch, want: Want, large: bytes, name: str, is_known: bool
) -> None:
    server = start_server({PATH: large})
    server.etag = '"one"'
    server.faults = [fault_at("drops", 0.5), FAULTS[name]]
    if "flips a bit" in name or (name == "does not end" and not is_known):
        pytest.skip("nothing tells that this is wrong")

    (outcome,) = fetch(want(large, server.url + PATH, size=is_known, digest=False))

    if isinstance(outcome, Arrived):
        assert outcome.size == len(large) or not is_known
    if name.startswith(PASS_BY_THEMSELVES) and isinstance(outcome, Arrived):
        assert outcome.content == large or name.startswith("drops without a length")


def test_what_is_thrown_away_leaves_nothing_in_the_folder(
    server: FaultServer, fetch: Fetch, want: Want, large: bytes, folder: Path
) -> None:
    server.always = FAULTS["flips a bit in the middle"]

    (outcome,) = fetch(want(large, server.url + PATH))

    assert isinstance(outcome, Failed)
    assert isinstance(outcome.error, WrongContent)
    assert [path.stat().st_size for path in folder.glob("*.part")] == [0]
