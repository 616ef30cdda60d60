"""What is said of a pull when it is done, or when it is only planned."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import pytest

from zoostore import Store
from zoostore.cli.progress.watch import Spent
from zoostore.cli.pulled import summary
from zoostore.digest import Oid
from zoostore.ops.pulled import Pulled

if TYPE_CHECKING:
    from tests.conftest import Cli, Scene

GB = 10**9
SECRET = "hunter2"


def pulled(moved: int, reused: int, files: int = 1) -> Pulled:
    """Three files moved and some reused, each of so many bytes together."""
    size = moved + reused
    return Pulled("zoo:a", Oid(bytes(32)), 3 + files, size, 3, moved, files, reused, "lab")


# The summary


def test_a_pull_that_took_long_says_how_long_how_fast_and_what_was_saved() -> None:
    assert (
        summary(pulled(5 * GB, 2 * GB), Spent(62.0, 5 * GB))
        == "pulled 3 files (5.0 GB) from lab in 1 min 2 s (80.6 MB/s), reused 1 file (2.0 GB): "
        "28% saved"
    )


def test_a_pull_that_took_a_moment_says_what_was_moved_and_reused() -> None:
    assert (
        summary(pulled(502_000, 154_000), Spent(0.9, 502_000))
        == "pulled 3 files (502 kB) from lab, reused 1 file (154 kB)"
    )


def test_where_nothing_was_reused_nothing_was_saved() -> None:
    assert (
        summary(pulled(5 * GB, 0, files=0), Spent(10.0, 5 * GB))
        == "pulled 3 files (5.0 GB) from lab in 10 s (500 MB/s)"
    )


def test_the_speed_is_that_of_what_was_moved_in_this_run() -> None:
    assert "in 10 s (100 MB/s)" in summary(pulled(5 * GB, 0), Spent(10.0, GB))


def test_a_pull_that_moved_nothing_has_no_speed() -> None:
    reused = Pulled("zoo:a", Oid(bytes(32)), 3, GB, 0, 0, 3, GB, "lab")

    assert (
        summary(reused, Spent(5.0, 0)) == "pulled 0 files (0 B) from lab, reused 3 files (1.0 GB)"
    )


def test_a_command_says_how_long_its_pull_took(
    cli: Cli, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli("remote", "add", "far", scene.zoo)
    monkeypatch.setattr(
        "zoostore.cli.progress.watch.Watch.spent", lambda self, what: Spent(2.0, 1000)
    )

    assert " from far in 2 s (500 B/s)\n" in cli("pull", "zoo:far").err


# The plan


def test_a_dry_run_lists_what_would_come(cli: Cli, scene: Scene) -> None:
    cli("remote", "add", "far", scene.zoo)

    ran = cli("pull", "zoo:far", "--dry-run")

    assert ran.code == 0
    assert ran.err == "would pull 2 files (260 B) from far\n"
    *listed, last = ran.out.splitlines()
    assert listed == ["far.bin   256 B", "near.txt    4 B"]
    assert last.endswith("  zoo:far")


def test_a_dry_run_of_what_is_here_lists_nothing(cli: Cli, scene: Scene) -> None:
    assert len(cli("pull", "zoo:one", "--dry-run").out.splitlines()) == 1


def test_a_dry_run_as_json_is_one_document(cli: Cli, scene: Scene) -> None:
    cli("remote", "add", "far", scene.zoo)

    assert cli("pull", "zoo:far", "--dry-run", "--json").json["downloaded_bytes"] == 260


def test_offline_nothing_is_said_of_remotes_that_are_not_needed(cli: Cli, scene: Scene) -> None:
    cli("remote", "add", "lab", "http://127.0.0.1:1/")

    for arguments in (
        ("pull", "zoo:one"),
        ("checkout", "zoo:one", str(scene.work.parent / "new")),
        ("ls",),
        ("show", "zoo:one"),
    ):
        ran = cli("--offline", *arguments)
        assert (ran.code, "lab" in ran.err, "offline" in ran.err) == (0, False, False)


def test_offline_what_is_not_here_is_named(cli: Cli, scene: Scene) -> None:
    cli("remote", "add", "lab", "http://127.0.0.1:1/")

    ran = cli("--offline", "pull", "zoo:nowhere")

    assert ran.code == 4
    assert "zoo:nowhere" in ran.err


# URLs


@pytest.mark.parametrize(
    "arguments",
    [
        (f"https://me:{SECRET}@host/a.zip",),
        (f"https://me:{SECRET}@host/a.zip", "zoo:one"),
        (f"https://me:{SECRET}@host/a.zip", "zoo:one", "--as", "zoo:a"),
        (f"https://me:{SECRET}@host/a.zip", "https://host/b.zip", "--as", "zoo:a"),
        ("zoo:one", "--as", "zoo:a"),
    ],
)
def test_a_url_needs_a_name_and_nothing_else_has_one(
    cli: Cli, scene: Scene, arguments: tuple[str, ...]
) -> None:
    ran = cli("pull", *arguments)

    assert ran.code == 2
    assert "--as STUB" in ran.err
    assert SECRET not in ran.err


def test_a_url_is_pulled_under_the_name_that_was_given(
    cli: Cli, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, Any]] = []
    signature = inspect.signature(Store.pull_url)

    def pull_url(self: Store, url: str, stub: str, **options: Any) -> Pulled:
        asked.append(signature.bind(self, url, stub, **options).arguments)
        return pulled(1, 0)

    monkeypatch.setattr(Store, "pull_url", pull_url)

    ran = cli("pull", "https://host/a.zip#sha256=00", "--as", "zoo:a", "--dry-run")

    assert ran.code == 0
    assert (asked[0]["url"], asked[0]["stub"]) == ("https://host/a.zip#sha256=00", "zoo:a")
    assert asked[0]["dry_run"] is True
