"""Progress for programs: one JSON object a line. docs/json.md has the events and their keys."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from zoostore.cli.progress.watch import View

if TYPE_CHECKING:
    from typing import TextIO

    from zoostore.cli.progress.work import Part, Seen


class Events(View):
    """Names are as they are: JSON escapes what a terminal must not see."""

    patience = 0.5
    period = 0.5

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._told: dict[str, Part] = {}

    def begin(self, seen: Seen) -> None:
        self._emit("begin", what=seen.whole.name, total_bytes=seen.whole.total)

    def show(self, seen: Seen | None) -> None:
        if seen is None:
            return
        whole = seen.whole
        self._emit(
            "progress",
            what=whole.name,
            done_bytes=whole.done,
            total_bytes=whole.total,
            bytes_per_second=int(whole.speed),
            seconds_left=None if whole.left is None else round(whole.left, 1),
        )
        for part in seen.files:
            told = self._told.get(part.name)
            if told is None or (told.done, told.total) != (part.done, part.total):
                self.file(part)

    def file(self, part: Part) -> None:
        self._told[part.name] = part
        self._emit("file", name=part.name, done_bytes=part.done, total_bytes=part.total)

    def end_file(self, name: str) -> None:
        self._told.pop(name, None)
        self._emit("file_end", name=name)

    def note(self, text: str) -> None:
        self._emit("note", text=text)

    def end(self, seen: Seen) -> None:
        self._told.clear()
        whole = seen.whole
        self._emit(
            "end",
            what=whole.name,
            done_bytes=whole.done,
            total_bytes=whole.total,
            seconds=round(seen.seconds, 3),
        )

    def _emit(self, event: str, **facts: object) -> None:
        self._stream.write(json.dumps({"event": event, **facts}) + "\n")
        self._stream.flush()
