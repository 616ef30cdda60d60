"""Work in a forked child, which may be killed; what it returned, or how it ended."""

from __future__ import annotations

import os
import pickle
import signal
import traceback
from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")

_PATIENCE_SECONDS = 30


class Ended(NamedTuple, Generic[T]):
    """How a child ended.

    Attributes:
        value: what its work returned, if it did.
        wrong: the traceback of what it raised; how else it ended; empty if nothing was wrong.
        killed: whether SIGKILL ended it.
    """

    value: T | None
    wrong: str
    killed: bool


def in_child(work: Callable[[], T]) -> Ended[T]:
    """Do work in a child, which takes nothing back to its parent but what it returns."""
    receive, send = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(receive)
        signal.alarm(_PATIENCE_SECONDS)
        _answer(work, send)
    os.close(send)
    with open(receive, "rb") as answers:
        answer = answers.read()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code == -signal.SIGKILL:
        return Ended(None, "", killed=True)
    if code != 0:
        return Ended(None, f"ended with {code}", killed=False)
    value, wrong = pickle.loads(answer)
    return Ended(value, wrong, killed=False)


def _answer(work: Callable[[], object], send: int) -> None:
    """Do the work and end the process, without anything that the parent had open being closed."""
    answer: tuple[object, str]
    try:
        answer = work(), ""
    except BaseException:
        answer = None, traceback.format_exc()
    with open(send, "wb") as out:
        out.write(pickle.dumps(answer))
    os._exit(0)
