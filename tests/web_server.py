"""What the web servers of all tests have in common."""

from __future__ import annotations

from http.server import ThreadingHTTPServer


class WebServer(ThreadingHTTPServer):
    """Answers each connection in a thread of its own, which does not keep the tests from ending."""

    daemon_threads = True
    request_queue_size = 64
    """Downloads open eight connections at once. Where there is no place for one, Linux has it try
    again a second later, and the client may have given it up by then."""

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is what some tests are about."""
