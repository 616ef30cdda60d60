"""A pytest plugin: everything is offline, and a socket that is used fails the test.

Tests that serve something themselves are left out. `tests/test_offline.py` runs suites with it.
"""

from __future__ import annotations

import socket
from typing import Any, NoReturn

import pytest

SERVING = frozenset(["serve", "hub"])
"""Fixtures that need the network."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    served = [item for item in items if SERVING & set(getattr(item, "fixturenames", ()))]
    config.hook.pytest_deselected(items=served)
    items[:] = [item for item in items if item not in served]


@pytest.fixture(autouse=True)
def _offline(_own_home: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> NoReturn:
        raise AssertionError("a socket was used, or a host looked up")

    monkeypatch.setenv("ZOOSTORE_OFFLINE", "1")
    for name in ("connect", "connect_ex", "sendto", "sendmsg"):
        monkeypatch.setattr(socket.socket, name, fail)
    for name in ("getaddrinfo", "gethostbyname", "gethostbyname_ex", "create_connection"):
        monkeypatch.setattr(socket, name, fail)
