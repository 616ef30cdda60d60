"""A web server on the loopback for a folder: nginx if it is installed, else Python's own."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

_PATIENCE_SECONDS = 10.0

_NGINX = """\
daemon off; pid {scratch}/nginx.pid; error_log {scratch}/nginx.log; worker_processes 1;
user root;
events {{ worker_connections 256; }}
http {{
  access_log off; sendfile on; tcp_nopush on;
  client_body_temp_path {scratch}; proxy_temp_path {scratch}; fastcgi_temp_path {scratch};
  uwsgi_temp_path {scratch}; scgi_temp_path {scratch};
  server {{ listen 127.0.0.1:{port}; root {folder}; }}
}}
"""


@contextlib.contextmanager
def served(folder: Path, scratch: Path) -> Iterator[str]:
    """Serve a folder; its address. The server ends with the context."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with subprocess.Popen(
        _command(folder, scratch, port), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            _wait_for(port)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def _command(folder: Path, scratch: Path, port: int) -> list[str]:
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if nginx is None:
        server = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"]
        return [*server, "--directory", str(folder)]
    config = scratch / "nginx.conf"
    config.write_text(_NGINX.format(scratch=scratch, folder=folder, port=port))
    return [nginx, "-c", str(config), "-e", str(scratch / "nginx.log")]


def _wait_for(port: int) -> None:
    end = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)
        else:
            return
