"""Asking a web server: the only importer of requests.

A client makes one request after the other and names what went wrong. Nothing a server says is
believed here beyond the head of its answer; whoever reads the body checks it.
"""

from zoostore.transport.http.answers import Answer, Reply
from zoostore.transport.http.client import HttpClient

__all__ = ["Answer", "HttpClient", "Reply"]
