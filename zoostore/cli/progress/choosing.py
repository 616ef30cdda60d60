"""How progress is shown: as the options say, or as fits what stderr leads to."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, TextIO, cast

from zoostore.cli.progress.stream import Unfailing
from zoostore.cli.progress.watch import View, Watch
from zoostore.cli.settings import AUTO, BAR, JSON, NONE, PLAIN

if TYPE_CHECKING:
    from zoostore.cli.settings import Settings

_DUMB = frozenset(["dumb", "unknown"])


def watch(settings: Settings) -> Watch:
    """What tells of work, as the common options want it."""
    mode = NONE if settings.no_progress else settings.progress
    return Watch(_view(_fitting(settings) if mode == AUTO else mode))


def _fitting(settings: Settings) -> str:
    """What nobody asked for: bars for a person who waits, lines for a log."""
    if settings.quiet or os.environ.get("ZOOSTORE_NO_PROGRESS"):
        return NONE
    if sys.stderr.isatty():
        return BAR
    # Who reads JSON from a pipe is a program, and the document says how it ended.
    return NONE if settings.json else PLAIN


def _view(mode: str) -> View:
    if mode == NONE:
        return View()
    stream = cast("TextIO", Unfailing(sys.stderr))
    if mode == JSON:
        from zoostore.cli.progress.events import Events

        return Events(stream)
    if mode == PLAIN or os.environ.get("TERM", "").lower() in _DUMB:
        from zoostore.cli.progress.lines import Lines

        return Lines(stream)
    from zoostore.cli.progress.bars import Bars

    return Bars(stream)
