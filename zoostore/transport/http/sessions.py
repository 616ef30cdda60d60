"""How the libraries below are set up: no cookies, no other forms of a file, a watch on stalls."""

from __future__ import annotations

import http.client
import logging
import socket
from http.cookiejar import DefaultCookiePolicy
from typing import Any, cast

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from zoostore.transport.pace import PACE, PacedSocket

_OWN_HEADERS = {"Accept-Encoding": "identity", "User-Agent": "zoostore"}
"""What is hashed is the file, not what a server makes of it on the way."""

TALKATIVE = ("urllib3.connectionpool", "urllib3.connection")
"""Loggers that are told addresses as a whole."""


class _PacedResponse(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **named: Any) -> None:
        pace = PACE.get()
        super().__init__(cast("socket.socket", PacedSocket(sock, pace)), *args, **named)
        pace.body = self


class _Connection(HTTPConnection):
    response_class = _PacedResponse


class _SecureConnection(HTTPSConnection):
    response_class = _PacedResponse


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **named: Any) -> None:
        super().init_poolmanager(*args, **named)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, *args: Any, **named: Any) -> urllib3.ProxyManager:
        manager: urllib3.ProxyManager = super().proxy_manager_for(*args, **named)
        manager.pool_classes_by_scheme = _POOLS
        return manager


_POOLS = {"http": _Pool, "https": _SecurePool}


def new_session() -> requests.Session:
    session = requests.Session()
    session.headers.update(_OWN_HEADERS)
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    for scheme in ("http://", "https://"):
        session.mount(scheme, _Adapter())
    return session


def drop_queries(record: logging.LogRecord) -> bool:
    """Signed addresses are secrets, and urllib3 logs the addresses that it asks for."""
    if PACE.get(None) is not None and isinstance(record.args, tuple):
        record.args = tuple(
            arg.partition("?")[0] if isinstance(arg, str) else arg for arg in record.args
        )
    return True
