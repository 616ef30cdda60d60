"""Where progress is written: whoever does not read it must not stop the work."""

from __future__ import annotations

import contextlib
import io
from typing import TextIO


class Unfailing(io.TextIOBase):
    """A stream in which what cannot be written is lost, without a word."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream

    @property
    def encoding(self) -> str:  # type: ignore[override]  # there it is a variable
        return getattr(self._stream, "encoding", None) or "ascii"

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return self._stream.isatty()

    def write(self, text: str) -> int:
        # A ValueError: the stream was closed, or its encoding has no such letter.
        with contextlib.suppress(OSError, ValueError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._stream.flush()
