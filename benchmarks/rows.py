"""The rows of the table that are one verb of several tools on one workload, with their targets."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks import tools
from benchmarks.contests import Target
from benchmarks.tools.base import Tool

_START_ROUNDS = 20
_COPYING = (
    *(tools.GIT, tools.RESTIC, tools.BORG, tools.BORG_TUNED, tools.CASYNC),
    *(tools.DVC_COPY, tools.OSTREE_COPY),
)
_KEEPING = (*_COPYING, tools.GIT_LFS)


@dataclass(frozen=True)
class Row:
    """A verb on a workload.

    Attributes:
        verb: the method of `Tool`.
        what: for the table.
        peers: who stands beside zoostore, in this order.
        targets: what zoostore must reach.
        ours: in which link mode zoostore runs.
        least_rounds: short commands need more rounds.
    """

    workload: str
    verb: str
    what: str
    peers: tuple[Tool, ...]
    targets: tuple[Target, ...] = ()
    ours: Tool = tools.ZOOSTORE_COPY
    least_rounds: int = 1


def _than(limit: float, *peers: Tool) -> Target:
    return Target(limit, tuple(peer.name for peer in peers))


_AS_FAST_AS_START = _than(1.5, tools.PYTHON_IMPORTS)

ROWS = (
    Row(
        "family",
        "start",
        "start-up: --version",
        (tools.PYTHON_IMPORTS, tools.PYTHON, tools.GIT, tools.DVC_COPY, tools.BORG, tools.RESTIC),
        (_than(1.2, tools.PYTHON_IMPORTS),),
        least_rounds=_START_ROUNDS,
    ),
    Row(
        "family",
        "listing",
        "start-up: ls",
        (tools.PYTHON_IMPORTS, tools.GIT, tools.DVC_COPY, tools.BORG, tools.HUGGING_FACE),
        (_AS_FAST_AS_START,),
        least_rounds=_START_ROUNDS,
    ),
    Row(
        "family",
        "add",
        "add family, copying, durable",
        (*_KEEPING, tools.B3SUM_AND_CP),
        (_than(0.5, *_KEEPING), _than(1.5, tools.B3SUM_AND_CP)),
    ),
    Row(
        "family",
        "adopt",
        "add family, adopting by link",
        (tools.DVC_LINK, tools.B3SUM),
        (_than(0.1, tools.DVC_LINK), _than(2, tools.B3SUM)),
    ),
    Row(
        "family",
        "add_again",
        "add family again, unchanged",
        (tools.PYTHON_IMPORTS, tools.GIT, tools.DVC_COPY, tools.RESTIC, tools.BORG),
        (_AS_FAST_AS_START,),
        least_rounds=_START_ROUNDS,
    ),
    Row(
        "family",
        "status",
        "status of family, unchanged",
        (tools.PYTHON_IMPORTS, tools.GIT, tools.DVC_COPY),
        (_AS_FAST_AS_START,),
        least_rounds=_START_ROUNDS,
    ),
    Row(
        "family",
        "checkout",
        "checkout family, links",
        (tools.DVC_LINK, tools.OSTREE_LINK, tools.CP_LINK),
        (_than(0.25, tools.DVC_LINK),),
        ours=tools.ZOOSTORE_LINK,
        least_rounds=_START_ROUNDS,
    ),
    Row(
        "family",
        "checkout",
        "checkout family, copying",
        (*_KEEPING, tools.CP, tools.CP_REFLINK),
        (_than(1.2, tools.CP),),
    ),
    Row(
        "family",
        "verify",
        "verify family",
        (*_KEEPING, tools.B3SUM_UNIQUE),
        (_than(0.2, *_KEEPING),),
    ),
    Row(
        "tunes",
        "add",
        "add tunes, copying, durable",
        (*_KEEPING, tools.B3SUM_AND_CP),
    ),
    Row(
        "tunes",
        "checkout",
        "checkout tunes, copying",
        (*_KEEPING, tools.CP),
    ),
    Row(
        "big",
        "add",
        "add big, copying, durable",
        (tools.BORG_TUNED, tools.RESTIC, tools.DVC_COPY, tools.B3SUM_AND_CP),
    ),
    Row(
        "big",
        "verify",
        "verify big",
        (tools.BORG_TUNED, tools.RESTIC, tools.B3SUM_UNIQUE),
    ),
    Row(
        "many",
        "add",
        "add many, durable",
        (*_COPYING, tools.B3SUM_AND_CP),
        (_than(0.5, *_COPYING),),
    ),
    Row(
        "many",
        "checkout",
        "checkout many",
        (*_COPYING, tools.OSTREE_LINK, tools.CP_ALL, tools.CP_LINK),
        (_than(1.3, tools.CP_ALL), _than(1, *_COPYING)),
    ),
    Row(
        "many",
        "status",
        "status of many, unchanged",
        (tools.GIT, tools.DVC_COPY, tools.FIND),
        (Target(0.5),),
    ),
    Row(
        "many",
        "verify",
        "verify many",
        (*_COPYING, tools.B3SUM),
    ),
)
