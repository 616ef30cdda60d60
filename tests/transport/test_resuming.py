"""Going on from what is on the disk: after a kill, a reboot, a change of the server."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import zoostore
from zoostore.digest import hash_bytes
from zoostore.transport.downloads import Downloads
from zoostore.transport.http import HttpClient
from zoostore.transport.wanted import Arrived, Failed, Wanted

if TYPE_CHECKING:
    from tests.transport.conftest import Exchange, Fault, FaultServer, Fetch, StartServer, Want

MIB = 1 << 20
PATH = "/model.bin"
ETAG = '"one"'


@pytest.fixture
def server(start_server: StartServer, large: bytes) -> FaultServer:
    return start_server({PATH: large})


def refuse(exchange: Exchange) -> None:
    exchange.head(403, Content_Length="0", Content_Range="")


def cut_at(size: int) -> Fault:
    def cut(exchange: Exchange) -> None:
        exchange.head()
        exchange.body(exchange.asked_bytes()[:size])
        exchange.hang_up()

    return cut


class Broken:
    """A download that got to 3 MiB and was given up."""

    def __init__(self, server: FaultServer, fetch: Fetch, want: Want, content: bytes) -> None:
        self.server, self.fetch, self._want, self.content = server, fetch, want, content

    def want(self, **named: bool) -> Wanted:
        return self._want(self.content, self.server.url + PATH, **named)

    def begin(self, **named: bool) -> None:
        self.server.ranges = False  # so that it comes in order
        self.server.faults = [cut_at(3 * MIB + 5)]
        self.server.always = refuse
        (outcome,) = self.fetch(self.want(**named))
        assert isinstance(outcome, Failed)
        self.server.always, self.server.ranges = None, True
        self.server.sent = 0

    def finish(self, **named: bool) -> int:
        """Download the rest; how many bytes the server sent for that."""
        (outcome,) = self.fetch(self.want(**named))
        assert isinstance(outcome, Arrived)
        assert outcome.content == self.server.contents[PATH]
        assert outcome.received == self.server.sent
        return self.server.sent


@pytest.fixture
def broken(server: FaultServer, fetch: Fetch, want: Want, large: bytes) -> Broken:
    return Broken(server, fetch, want, large)


def part(folder: Path) -> Path:
    (found,) = folder.glob("*.part")
    return found


def journal(folder: Path) -> Path:
    return part(folder).with_suffix(".journal")


def test_what_is_there_is_not_fetched_again(broken: Broken, folder: Path) -> None:
    broken.begin()

    assert broken.finish() == len(broken.content) - 3 * MIB
    assert list(folder.iterdir()) == []


def test_what_is_there_counts_as_progress(
    broken: Broken, folder: Path, client: HttpClient, watcher: object
) -> None:
    broken.begin()
    done_before = watcher.done  # type: ignore[attr-defined]

    broken.finish()

    assert done_before == 3 * MIB
    assert watcher.done == 3 * MIB + len(broken.content)  # type: ignore[attr-defined]


def test_a_server_without_ranges_is_read_again_and_what_is_there_stays(
    broken: Broken, folder: Path
) -> None:
    broken.begin()
    broken.server.ranges = False

    assert broken.finish() == len(broken.content)


def test_bytes_that_a_reboot_lost_are_fetched_again(broken: Broken, folder: Path) -> None:
    broken.begin()
    with open(part(folder), "r+b") as file:
        file.seek(MIB + 17)
        file.write(bytes(4096))

    assert broken.finish() == len(broken.content) - 2 * MIB


def test_a_file_that_a_reboot_cut_short_is_fetched_again_from_there(
    broken: Broken, folder: Path
) -> None:
    broken.begin()
    os.truncate(part(folder), 2 * MIB + 1)

    assert broken.finish() == len(broken.content) - 2 * MIB


def test_a_file_without_its_journal_is_fetched_again(broken: Broken, folder: Path) -> None:
    broken.begin()
    journal(folder).unlink()

    assert broken.finish() == len(broken.content)


def test_a_journal_without_its_file_counts_for_nothing(broken: Broken, folder: Path) -> None:
    broken.begin()
    part(folder).unlink()

    assert broken.finish() == len(broken.content)


@pytest.mark.parametrize("junk", [b"", b"\0" * 1000, b"\xff\xfe\n" * 50, b"{}\n", b"1 2 3\n"])
def test_a_journal_of_junk_counts_for_nothing(broken: Broken, folder: Path, junk: bytes) -> None:
    broken.begin()
    journal(folder).write_bytes(junk)

    assert broken.finish() == len(broken.content)


def test_a_journal_that_is_cut_anywhere_counts_up_to_its_last_whole_line(
    broken: Broken, folder: Path
) -> None:
    broken.begin()
    lines = journal(folder).read_bytes().splitlines(keepends=True)
    journal(folder).write_bytes(b"".join(lines[:-1]) + lines[-1][:-3])

    assert broken.finish() == len(broken.content) - 2 * MIB


def test_a_name_that_somebody_else_holds_is_not_waited_for(
    broken: Broken, folder: Path, client: HttpClient, want: Want
) -> None:
    """Two want the same at once: each gets it, and neither touches the other's file."""
    server = broken.server
    server.always = None
    wanted = broken.want()
    with Downloads(folder, client, segment=MIB) as first, Downloads(folder, client) as second:
        (one,) = first.run([wanted])
        (two,) = second.run([wanted])
        assert isinstance(one, Arrived)
        assert isinstance(two, Arrived)
        assert one.content != two.content
        for arrived in (one, two):
            assert isinstance(arrived.content, Path)
            assert hash_bytes(arrived.content.read_bytes()) == arrived.oid
            arrived.content.unlink()

    assert list(folder.iterdir()) == []


def test_what_arrived_and_was_not_taken_is_not_fetched_again(
    server: FaultServer, folder: Path, fetch: Fetch, client: HttpClient, want: Want, large: bytes
) -> None:
    with Downloads(folder, client) as downloads:
        list(downloads.run([want(large, server.url + PATH)]))
    server.sent = 0

    (outcome,) = fetch(want(large, server.url + PATH))

    assert isinstance(outcome, Arrived)
    assert (outcome.content, server.sent) == (large, 0)


def test_files_on_their_own_of_processes_that_are_gone_are_removed(
    broken: Broken, folder: Path
) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    left = folder / f"{os.uname().nodename}.{gone.pid}.00"
    left.mkdir(parents=True)
    (left / "00.part").write_bytes(b"left")

    wanted = broken.want()
    with HttpClient() as client, Downloads(folder, client) as one, Downloads(folder, client) as two:
        (first,) = one.run([wanted])
        (second,) = two.run([wanted])
        assert isinstance(first, Arrived)
        assert isinstance(second, Arrived)

    assert not left.exists()


# Without a digest


def test_without_a_digest_the_server_is_held_to_what_it_named(broken: Broken) -> None:
    broken.server.etag = ETAG
    broken.begin(digest=False)

    assert broken.finish(digest=False) == len(broken.content) - 3 * MIB
    assert broken.server.asked[-1].headers["If-Range"] == ETAG


@pytest.mark.parametrize("size", [True, False], ids=["size", "no size"])
@pytest.mark.parametrize("ranges", [True, False], ids=["ranges", "whole files"])
def test_without_a_digest_a_content_that_changed_is_fetched_anew(
    broken: Broken, large: bytes, size: bool, ranges: bool
) -> None:
    broken.server.etag = ETAG
    broken.begin(digest=False, size=size)
    broken.server.contents[PATH] = large[::-1] if size else large[:0:-1]
    broken.server.etag, broken.server.ranges = '"two"', ranges

    assert broken.finish(digest=False, size=size) == len(broken.server.contents[PATH])


@pytest.mark.parametrize("etag", ["", 'W/"weak"'], ids=["none", "weak"])
def test_without_a_digest_or_a_name_nothing_is_gone_on_with(broken: Broken, etag: str) -> None:
    broken.server.etag = etag
    broken.begin(digest=False)

    assert broken.finish(digest=False) == len(broken.content)


def test_without_a_digest_a_date_will_do(broken: Broken) -> None:
    date = "Thu, 01 Jan 2026 00:00:00 GMT"

    def dated(cut: int) -> Fault:
        def serve(exchange: Exchange) -> None:
            exchange.head(Last_Modified=date)
            exchange.body(exchange.asked_bytes()[:cut])
            exchange.close_connection = cut < len(exchange.content)

        return serve

    def stop_after(exchange: Exchange) -> None:
        broken.server.always = refuse
        dated(3 * MIB)(exchange)  # type: ignore[misc]

    broken.server.always = stop_after
    broken.fetch(broken.want(digest=False))
    broken.server.sent = 0
    broken.server.etag = date  # what If-Range is compared with here
    broken.server.always = dated(len(broken.content))

    assert broken.finish(digest=False) == len(broken.content) - 3 * MIB


def test_without_a_digest_a_change_in_the_middle_is_noticed(
    server: FaultServer, fetch: Fetch, want: Want, large: bytes
) -> None:
    server.etag = ETAG

    def change(exchange: Exchange) -> None:
        cut_at(2 * MIB)(exchange)  # type: ignore[misc]
        server.contents[PATH] = large[::-1]
        server.etag = '"two"'

    server.faults = [change]

    (outcome,) = fetch(want(large, server.url + PATH, digest=False))

    assert isinstance(outcome, Arrived)
    assert (outcome.content, outcome.etag) == (large[::-1], '"two"')


def test_without_a_digest_a_content_that_never_stays_the_same_is_given_up(
    server: FaultServer, fetch: Fetch, want: Want, large: bytes
) -> None:
    def change(exchange: Exchange) -> None:
        server.etag = f'"{len(server.asked)}"'
        cut_at(2 * MIB)(exchange)  # type: ignore[misc]

    server.always = change

    (outcome,) = fetch(want(large, server.url + PATH, digest=False))

    assert isinstance(outcome, Failed)


# Killed

CHILD = """
import sys
from pathlib import Path
from zoostore.digest import Digest
from zoostore.transport.downloads import Downloads
from zoostore.transport.http import HttpClient
from zoostore.transport.wanted import Place, Wanted

folder, url, size, sha256 = sys.argv[1:]
wanted = Wanted("x", (Place(url),), int(size), (Digest.parse("sha256", sha256),))
with HttpClient() as client, Downloads(Path(folder), client, segment=4 << 20) as downloads:
    for outcome in downloads.run([wanted]):
        print(outcome.content, flush=True)
        sys.stdin.read()
"""


def test_a_download_that_is_killed_again_and_again_arrives_and_moves_little_twice(
    start_server: StartServer, folder: Path, want: Want, large: bytes
) -> None:
    content = large * 10
    server = start_server({PATH: content})
    kills = 5
    wanted = want(content, server.url + PATH)
    environment = {**os.environ, "PYTHONPATH": str(Path(zoostore.__file__).parent.parent)}
    child: subprocess.Popen[bytes]

    def kill_at(limit: int) -> Fault:
        def serve(exchange: Exchange) -> None:
            exchange.head()
            for start in range(0, len(exchange.asked_bytes()), MIB):
                exchange.body(exchange.asked_bytes()[start : start + MIB])
                if server.sent >= limit:
                    child.send_signal(signal.SIGKILL)

        return serve

    for number in range(1, kills + 2):
        # The child's own kill may come with several answers on their way.
        server.always = kill_at(number * len(content) // (kills + 1)) if number <= kills else None
        with subprocess.Popen(
            [
                sys.executable,
                "-c",
                CHILD,
                str(folder),
                server.url + PATH,
                str(len(content)),
                wanted.digests[0].value.hex(),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
        ) as child:
            assert child.stdout is not None
            arrived = child.stdout.readline().decode().strip()
            if number > kills:
                assert Path(arrived).read_bytes() == content
            child.kill()

    assert arrived
    in_flight = 4 * 4 * MIB  # at most, when it is killed: what four connections were sent last
    assert server.sent <= len(content) + kills * in_flight


def test_no_secret_is_written_below_the_folder(
    server: FaultServer, folder: Path, client: HttpClient, want: Want, large: bytes
) -> None:
    secret = "hunter2"
    server.etag = ETAG
    server.faults = [cut_at(3 * MIB)]
    server.always = refuse
    url = server.url.replace("//", f"//me:{secret}@") + PATH + f"?signature={secret}"

    with Downloads(folder, client) as downloads:
        outcomes = list(downloads.run([want(large, url, digest=False), want(large, url)]))

    assert all(isinstance(outcome, Failed) for outcome in outcomes)
    assert secret not in str([outcome.error for outcome in outcomes if isinstance(outcome, Failed)])
    written = [path for path in folder.rglob("*") if path.is_file()]
    assert written
    for path in written:
        assert secret not in path.name
        assert secret.encode() not in path.read_bytes()
