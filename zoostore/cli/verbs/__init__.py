"""The verbs, in the order in which `--help` would teach them."""

from __future__ import annotations

from zoostore.cli.verbs.bringing import add, checkout, commit, pull
from zoostore.cli.verbs.comparing import diff, du, status, verify
from zoostore.cli.verbs.completing import completion
from zoostore.cli.verbs.looking import cat, log, ls, show
from zoostore.cli.verbs.naming import rm, tag
from zoostore.cli.verbs.sharing import publish, remote

VERBS = (
    checkout,
    pull,
    add,
    commit,
    status,
    diff,
    ls,
    show,
    log,
    cat,
    tag,
    rm,
    du,
    verify,
    publish,
    remote,
    completion,
)

__all__ = ["VERBS"]
