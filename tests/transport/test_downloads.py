"""Downloads: several contents at once, each whole and right, or said why not."""

from __future__ import annotations

import contextlib
import errno
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from zoostore.digest import BLAKE3, GIT_BLOB, SHA256, Digest, hash_bytes
from zoostore.errors import TransferFailed, WrongContent
from zoostore.transport.base import AccessDenied, NotThere
from zoostore.transport.downloads import Downloads
from zoostore.transport.http import HttpClient
from zoostore.transport.partial import Partial
from zoostore.transport.wanted import Arrived, Failed, Place, Wanted

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

MIB = 1 << 20
PATH = "/model.bin"


def status(code: int) -> Fault:
    return lambda exchange: exchange.head(code, Content_Length="0", Content_Range="")


@pytest.fixture
def server(start_server: StartServer, large: bytes) -> FaultServer:
    return start_server({PATH: large})


def names(folder: Path) -> set[str]:
    return {path.suffix for path in folder.iterdir()}


# What arrives


def test_many_contents_arrive(start_server: StartServer, fetch: Fetch, want: Want) -> None:
    contents = {f"/{number}": bytes([number]) * 50 * number for number in range(100)}
    server = start_server(contents)

    outcomes = fetch(*(want(data, server.url + path) for path, data in contents.items()))

    assert all(isinstance(outcome, Arrived) for outcome in outcomes)
    arrived = [outcome.content for outcome in outcomes if isinstance(outcome, Arrived)]
    assert sorted(map(bytes, arrived)) == sorted(contents.values())
    assert len(server.connections) <= 8


def test_few_bytes_arrive_in_memory_and_many_in_a_file_of_the_folder(
    start_server: StartServer, client: HttpClient, folder: Path, want: Want
) -> None:
    server = start_server({"/few": b"few", "/many": bytes(5000)})
    wanted = [want(b"few", server.url + "/few"), want(bytes(5000), server.url + "/many")]

    with Downloads(folder, client, small=1000) as downloads:
        arrived = {one.size: one for one in downloads.run(wanted) if isinstance(one, Arrived)}

        assert arrived[3].content == b"few"
        path = arrived[5000].content
        assert isinstance(path, Path)
        assert (path.parent, path.read_bytes()) == (folder, bytes(5000))
        path.unlink()

    assert names(folder) == set()


@pytest.mark.parametrize("content", [b"few", bytes(5000), b""], ids=["few", "many", "none"])
@pytest.mark.parametrize("digest", [True, False], ids=["digest", "no digest"])
@pytest.mark.parametrize("ranges", [True, False], ids=["ranges", "whole files"])
def test_a_content_of_unknown_size_arrives(
    start_server: StartServer,
    fetch: Fetch,
    want: Want,
    folder: Path,
    content: bytes,
    digest: bool,
    ranges: bool,
) -> None:
    server = start_server({PATH: content}, ranges=ranges)
    if not content:
        server.faults = [status(416)] if ranges and digest else []

    (outcome,) = fetch(want(content, server.url + PATH, size=False, digest=digest))

    assert isinstance(outcome, Arrived)
    assert (outcome.content, outcome.size) == (content, len(content))
    assert names(folder) == set()


def test_a_content_that_no_length_is_sent_with_arrives(
    server: FaultServer, fetch: Fetch, want: Want, large: bytes
) -> None:
    def serve(exchange: Exchange) -> None:
        exchange.close_connection = True
        exchange.head(200, Content_Length="", Content_Range="")
        exchange.body(exchange.content)

    server.always = serve

    (outcome,) = fetch(want(large, server.url + PATH, size=False, digest=False))

    assert isinstance(outcome, Arrived)
    assert outcome.content == large


def test_the_digests_are_those_of_the_content(
    start_server: StartServer, fetch: Fetch, large: bytes
) -> None:
    server = start_server({PATH: large, "/few": b"few"})
    every = frozenset([SHA256, GIT_BLOB])
    places = (Place(server.url + PATH),)

    first, second = fetch(
        Wanted("few", (Place(server.url + "/few"),), 3, (), every),
        Wanted("many", places, len(large), (Digest.of_oid(hash_bytes(large)),), every),
    )

    assert isinstance(first, Arrived)
    assert isinstance(second, Arrived)
    assert first.digests.keys() == second.digests.keys() == {BLAKE3, *every}
    arrived = {one.size: one for one in (first, second)}
    assert (arrived[3].oid, arrived[len(large)].oid) == (hash_bytes(b"few"), hash_bytes(large))
    # `printf few | git hash-object --stdin`
    assert str(arrived[3].digests[GIT_BLOB]).endswith("dab58467d181fe0293283f56ea8d5461a5384bdb")


def test_what_arrived_says_where_from_and_how(
    server: FaultServer, start_server: StartServer, fetch: Fetch, want: Want, large: bytes
) -> None:
    server.always = status(500)
    other = start_server({PATH: large})
    other.etag = '"two"'

    (outcome,) = fetch(want(large, server.url + PATH, other.url + PATH))

    assert isinstance(outcome, Arrived)
    assert outcome.place == Place(other.url + PATH)
    assert (outcome.etag, outcome.received) == ('"two"', len(large))


def test_a_large_content_comes_in_segments_over_several_connections(
    server: FaultServer, fetch: Fetch, want: Want, large: bytes
) -> None:
    begun = threading.Barrier(3)

    def together(exchange: Exchange) -> None:
        if exchange.span and exchange.span[0] > 0:
            begun.wait(10)
        exchange.serve()

    server.faults = [None, together, together, together]

    fetch(want(large, server.url + PATH))

    assert 2 <= len(server.connections) <= 4
    spans = sorted(asked.range or "" for asked in server.asked)
    assert spans[:2] == [f"bytes=0-{MIB - 1}", f"bytes={MIB}-{2 * MIB - 1}"]
    assert server.sent == len(large)


def test_a_server_that_is_fast_enough_is_asked_over_one_connection(
    server: FaultServer,
    fetch: Fetch,
    want: Want,
    large: bytes,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("zoostore.transport.streaming._FAST", 0)

    fetch(want(large, server.url + PATH))

    assert len(server.connections) == 1


def test_progress_comes_to_the_sizes_of_what_arrived(
    server: FaultServer, fetch: Fetch, want: Want, watcher: Watcher, large: bytes
) -> None:
    server.contents["/few"] = b"few"
    server.faults = [lambda exchange: exchange.hang_up(), status(500)]

    fetch(want(large, server.url + PATH), want(b"few", server.url + "/few"))

    assert watcher.done == len(large) + 3
    assert watcher.ended == ["the model", "the model"]
    assert any("trying again" in note for note in watcher.notes)


def test_progress_goes_back_when_something_is_thrown_away(
    start_server: StartServer, fetch: Fetch, want: Want, watcher: Watcher, large: bytes
) -> None:
    server = start_server({PATH: large[::-1]})

    fetch(want(large, server.url + PATH))

    assert watcher.done == 0


# What fails


def test_a_content_without_a_place_fails(fetch: Fetch, want: Want) -> None:
    (outcome,) = fetch(want(b"few"))

    assert isinstance(outcome, Failed)
    assert "nowhere" in outcome.error.message


@pytest.mark.parametrize("size", [3, 5000], ids=["few", "many"])
def test_a_content_that_is_nowhere_is_not_there(
    server: FaultServer, start_server: StartServer, fetch: Fetch, want: Want, size: int
) -> None:
    server.always = status(404)
    other = start_server({})
    other.always = status(410)

    (outcome,) = fetch(want(bytes(size), server.url + PATH, other.url + PATH))

    assert isinstance(outcome, Failed)
    assert isinstance(outcome.error, NotThere)


@pytest.mark.parametrize("size", [3, 5000], ids=["few", "many"])
def test_what_a_place_that_may_have_it_says_counts_more_than_that_others_have_not(
    server: FaultServer, start_server: StartServer, fetch: Fetch, want: Want, size: int
) -> None:
    server.always = status(403)
    other = start_server({})
    other.always = status(404)

    (outcome,) = fetch(want(bytes(size), server.url + PATH, other.url + PATH))

    assert isinstance(outcome, Failed)
    assert isinstance(outcome.error, AccessDenied)


@pytest.mark.parametrize("size", [3, 5000], ids=["few", "many"])
def test_a_wrong_content_says_what_was_expected_and_what_came(
    start_server: StartServer, fetch: Fetch, want: Want, size: int
) -> None:
    server = start_server({PATH: b"x" * size})
    wanted = want(bytes(size), server.url + PATH)

    (outcome,) = fetch(wanted)

    assert isinstance(outcome, Failed)
    assert isinstance(outcome.error, WrongContent)
    assert str(wanted.digests[0]) in outcome.error.message
    assert server.url + PATH in outcome.error.message
    assert len(server.asked) == 1


def test_one_that_fails_does_not_keep_others_from_arriving(
    server: FaultServer, fetch: Fetch, want: Want, large: bytes
) -> None:
    server.contents["/wrong"] = bytes(5000)

    outcomes = fetch(want(b"x" * 5000, server.url + "/wrong"), want(large, server.url + PATH))

    assert {type(outcome) for outcome in outcomes} == {Arrived, Failed}


def test_a_dead_server_is_not_tried_again_and_again_for_each_content(
    server: FaultServer, start_server: StartServer, fetch: Fetch, client: HttpClient, want: Want
) -> None:
    server.always = lambda exchange: exchange.hang_up()
    contents = {f"/{number}": bytes([number]) for number in range(30)}
    other = start_server(contents)

    outcomes = fetch(
        *(want(data, server.url + path, other.url + path) for path, data in contents.items())
    )

    assert all(isinstance(outcome, Arrived) for outcome in outcomes)
    assert len(server.asked) <= 8 * client.patience.tries + 30


def test_a_size_beyond_all_bounds_is_refused_before_anything_is_written(
    server: FaultServer, fetch: Fetch, large: bytes, want: Want
) -> None:
    wanted = Wanted("huge", (Place(server.url + PATH),), 1 << 62, want(large).digests)

    (outcome,) = fetch(wanted)

    assert isinstance(outcome, Failed)
    assert server.sent <= 8 * MIB


# Several places


def test_what_a_place_gave_before_it_died_is_not_fetched_again(
    start_server: StartServer, fetch: Fetch, want: Want, large: bytes
) -> None:
    dying, other = start_server({PATH: large}), start_server({PATH: large})

    given = threading.Semaphore(0)

    def give(exchange: Exchange) -> None:
        exchange.serve()
        given.release()

    def cut(exchange: Exchange) -> None:
        assert given.acquire(timeout=30)
        assert given.acquire(timeout=30)
        exchange.head()
        exchange.body(exchange.asked_bytes()[: MIB // 2])
        exchange.hang_up()

    dying.faults = [give, give, cut]
    dying.always = lambda exchange: exchange.hang_up()

    (outcome,) = fetch(want(large, dying.url + PATH, other.url + PATH))

    assert isinstance(outcome, Arrived)
    assert outcome.content == large
    # Who is in the middle of a grain when the place is given up leaves that.
    assert other.sent <= len(large) - MIB


def test_a_liar_among_the_places_is_found_out(
    start_server: StartServer, fetch: Fetch, want: Want, large: bytes
) -> None:
    """The wrong bytes are among those of several: each has to give all of it alone."""
    liar, honest = start_server({PATH: large[::-1]}), start_server({PATH: large})
    liar.faults = [None]
    liar.always = status(500)

    (outcome,) = fetch(want(large, liar.url + PATH, honest.url + PATH))

    assert isinstance(outcome, Arrived)
    assert (outcome.content, outcome.place) == (large, Place(honest.url + PATH))


def test_places_that_all_lie_in_turn_are_all_found_out(
    start_server: StartServer, fetch: Fetch, want: Want, large: bytes
) -> None:
    servers = [start_server({PATH: large[::-1]}) for _ in range(3)]
    servers[0].faults = [None, status(403)]

    (outcome,) = fetch(want(large, *(server.url + PATH for server in servers)))

    assert isinstance(outcome, Failed)
    assert isinstance(outcome.error, WrongContent)


def test_a_place_of_another_size_is_left_without_reading_it(
    start_server: StartServer, fetch: Fetch, want: Want, large: bytes
) -> None:
    longer, right = start_server({PATH: large + b"x"}), start_server({PATH: large})

    (outcome,) = fetch(want(large, longer.url + PATH, right.url + PATH))

    assert isinstance(outcome, Arrived)
    assert outcome.received == len(large)


def test_places_without_a_digest_are_not_mixed(
    start_server: StartServer, fetch: Fetch, want: Want, large: bytes
) -> None:
    dying, other = start_server({PATH: large}), start_server({PATH: large[::-1]})

    def cut(exchange: Exchange) -> None:
        exchange.head()
        exchange.body(exchange.asked_bytes()[: 2 * MIB])
        exchange.hang_up()

    dying.faults = [cut]
    dying.always = status(403)

    (outcome,) = fetch(want(large, dying.url + PATH, other.url + PATH, digest=False))

    assert isinstance(outcome, Arrived)
    assert outcome.content == large[::-1]


# When it ends early


def stalled(exchange: Exchange) -> None:
    exchange.head()
    exchange.body(exchange.asked_bytes()[: MIB // 2])
    exchange.until_the_client_goes()


def download_threads() -> list[str]:
    return [one.name for one in threading.enumerate() if one.name.startswith("zoostore-")]


def test_to_close_the_iterator_ends_what_is_going_on(
    server: FaultServer, folder: Path, want: Want, large: bytes
) -> None:
    server.contents["/few"] = b"few"
    server.faults = [stalled]
    wanted = [want(large, server.url + PATH), want(b"few", server.url + "/few")]

    with HttpClient() as client, Downloads(folder, client, segment=MIB) as downloads:
        outcomes = downloads.run(wanted)
        next(outcomes)
        outcomes.close()  # type: ignore[attr-defined]

    assert download_threads() == []
    assert names(folder) == {".part", ".journal"}


def test_an_error_of_whoever_lists_the_contents_ends_all(
    server: FaultServer, folder: Path, want: Want, large: bytes, client: HttpClient
) -> None:
    server.faults = [stalled]

    def listing() -> Iterator[Wanted]:
        yield want(large, server.url + PATH)
        raise RuntimeError("the list broke off")

    with (
        Downloads(folder, client) as downloads,
        pytest.raises(RuntimeError, match="the list broke off"),
    ):
        list(downloads.run(listing()))

    assert download_threads() == []


@pytest.mark.parametrize("connections", [1, 4])
def test_a_full_disk_ends_all_and_what_is_there_is_gone_on_with(
    server: FaultServer,
    fetch: Fetch,
    folder: Path,
    client: HttpClient,
    want: Want,
    large: bytes,
    monkeypatch: pytest.MonkeyPatch,
    connections: int,
) -> None:
    def write(partial: Partial, offset: int, data: memoryview) -> None:
        if offset >= 3 * MIB:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.pwrite(partial.descriptor, data, offset)

    with monkeypatch.context() as patched:
        patched.setattr(Partial, "write", write)
        with (
            Downloads(folder, client, segment=MIB, connections=connections) as downloads,
            pytest.raises(OSError, match="No space left"),
        ):
            list(downloads.run([want(large, server.url + PATH)]))
    sent = server.sent

    (outcome,) = fetch(want(large, server.url + PATH))

    assert isinstance(outcome, Arrived)
    assert outcome.content == large
    if connections == 1:
        assert server.sent - sent == len(large) - 3 * MIB


def test_downloads_can_run_twice(
    server: FaultServer, folder: Path, client: HttpClient, want: Want
) -> None:
    server.contents["/few"] = b"few"

    with Downloads(folder, client) as downloads:
        for _ in range(2):
            (outcome,) = downloads.run([want(b"few", server.url + "/few")])
            assert isinstance(outcome, Arrived)


def test_no_error_but_one_of_the_tree_is_given(fetch: Fetch, want: Want, large: bytes) -> None:
    urls = ["nonsense", "ftp://a/b", "http://[", "http://127.0.0.1:1/x", ""]

    for outcome in fetch(*(want(data, *urls) for data in (b"few", large))):
        assert isinstance(outcome, Failed)
        assert isinstance(outcome.error, TransferFailed)


def test_a_body_without_size_or_end_is_given_up_before_the_disk_is_full(
    server: FaultServer, folder: Path, want: Want, client: HttpClient
) -> None:
    def endless(exchange: Exchange) -> None:
        exchange.head(200, Content_Length="", Connection="close")
        with contextlib.suppress(OSError):
            while True:
                exchange.wfile.write(bytes(MIB))

    server.always = endless
    wanted = want(b"", server.url + PATH, size=False, digest=False)
    with Downloads(folder, client, least_free=1 << 62) as downloads:
        (outcome,) = downloads.run([wanted])

    assert isinstance(outcome, Failed)
    assert isinstance(outcome.error, WrongContent)
    assert "has not ended" in outcome.error.message
    assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) < MIB
