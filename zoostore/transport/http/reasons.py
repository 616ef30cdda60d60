"""What went wrong in the libraries below, in words of our own."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Iterator

import requests
import urllib3

from zoostore.transport.pace import Stalled

BROKEN = (OSError, ValueError, http.client.HTTPException, urllib3.exceptions.HTTPError)
"""All that the libraries below raise; the errors of requests are among the first."""

MAY_PASS = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)

UNREACHABLE = (urllib3.exceptions.NewConnectionError, socket.gaierror)
"""Nobody listens, there is no such host, or no way to it."""

_REASONS: tuple[tuple[type[BaseException], str], ...] = (
    (ConnectionRefusedError, "the connection was refused"),
    (ConnectionResetError, "the connection was reset"),
    (BrokenPipeError, "the connection was reset"),
    (socket.gaierror, "no such host"),
    (ssl.SSLCertVerificationError, "the server's certificate is not trusted"),
    (ssl.SSLError, "no secure connection could be made"),
    (urllib3.exceptions.ConnectTimeoutError, "no connection in time"),
    (urllib3.exceptions.IncompleteRead, "the answer broke off"),
    (http.client.RemoteDisconnected, "the server hung up"),
    (http.client.IncompleteRead, "the answer broke off"),
    (http.client.HTTPException, "the answer is no HTTP"),
    (urllib3.exceptions.ProxyError, "the proxy does not let it through"),
    (TimeoutError, "no answer in time"),
)


def why(error: BaseException) -> str:
    """What went wrong, without the addresses and the wrapping of the libraries below."""
    causes = list(causes_of(error))
    for cause in causes:
        if isinstance(cause, Stalled):
            return str(cause)
    for kind, meant in _REASONS:
        if any(isinstance(cause, kind) for cause in causes):
            return meant
    return type(error).__name__


def causes_of(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
