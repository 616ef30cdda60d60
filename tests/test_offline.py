"""Offline, whole suites pass although every socket fails: not one packet is sent."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from zoostore import Store
from zoostore.errors import NeededNetwork

ROOT = Path(__file__).parents[1]
SUITES = [
    "tests/ops/test_checkout_update.py",
    "tests/ops/test_globs_in_checkouts.py",
    "tests/ops/test_search.py",
    "tests/views/test_snapshot_models.py",
]
FAR = "not far-"
"""Tests that fetch from a server under another name."""


def test_checkout_models_and_search_need_no_network() -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.no_network", "-n", "0"]

    done = subprocess.run(
        [*command, "-p", "no:cacheprovider", "-k", FAR, *SUITES],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )

    assert done.returncode == 0, done.stdout[-3000:]
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None
    assert int(passed[1]) > 250


@pytest.mark.parametrize("variable", ["ZOOSTORE_OFFLINE", "HF_HUB_OFFLINE"])
@pytest.mark.parametrize(
    "stub", ["zoo:cv/a/b/c/d/e/f", "zoo:short", "hf:org/name", "hf:datasets/org/name@main"]
)
def test_not_even_a_name_is_looked_up(
    store: Store, monkeypatch: pytest.MonkeyPatch, variable: str, stub: str
) -> None:
    looked_up: list[object] = []
    monkeypatch.setattr("socket.getaddrinfo", lambda *args, **_: looked_up.append(args))
    monkeypatch.setenv(variable, "1")
    store.add_remote("far", "https://zoo.example.invalid/")

    with pytest.raises(NeededNetwork):
        store.pull(stub)
    with pytest.raises(NeededNetwork):
        store.pull_url("https://files.example.invalid/weights.bin", "zoo:file")
    assert not looked_up
