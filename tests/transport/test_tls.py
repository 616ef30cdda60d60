"""Connections that nobody can listen to: certificates, and bytes that come through them."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from zoostore.errors import TransferFailed
from zoostore.transport.wanted import Arrived

if TYPE_CHECKING:
    from tests.transport.conftest import FaultServer, Fetch, StartServer, Want
    from zoostore.transport.http import HttpClient

PATH = "/model.bin"

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="makes no certificates")


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for the loopback, with its key, that signs itself."""
    path = tmp_path_factory.mktemp("tls") / "certificate.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    files = ["-keyout", f"{path}.key", "-out", str(path)]
    subprocess.run([*command.split(), *names, *files], check=True, capture_output=True)
    return path


@pytest.fixture
def server(start_server: StartServer, certificate: Path, large: bytes) -> FaultServer:
    server = start_server({PATH: large})
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, f"{certificate}.key")
    server.tls = context
    return server


def test_a_certificate_that_is_not_trusted_is_refused_at_once(
    server: FaultServer, client: HttpClient
) -> None:
    with pytest.raises(TransferFailed, match="certificate is not trusted"):
        client.read(server.url + PATH, limit=10)

    assert len(server.connections) == 1
    assert server.asked == []


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_the_user_says_which_certificates_are_trusted(
    server: FaultServer,
    certificate: Path,
    fetch: Fetch,
    want: Want,
    large: bytes,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
) -> None:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, str(certificate))

    (outcome,) = fetch(want(large, server.url + PATH))

    assert isinstance(outcome, Arrived)
    assert outcome.content == large


def test_a_stall_is_noticed_through_a_safe_connection_too(
    server: FaultServer,
    certificate: Path,
    fetch: Fetch,
    want: Want,
    large: bytes,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    server.faults = [None, lambda exchange: exchange.until_the_client_goes()]

    (outcome,) = fetch(want(large, server.url + PATH))

    assert isinstance(outcome, Arrived)
    assert outcome.content == large
