"""A progress bar on a terminal, for work that takes long enough to be worth one."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_PATIENCE_SECONDS = 0.4


class Bar:
    """Shows how far a piece of work is, once it has taken a moment."""

    def __init__(self) -> None:
        self._what = ""
        self._total = 0
        self._done = 0
        self._since = 0.0
        self._shown: tuple[Progress, TaskID] | None = None

    def begin(self, what: str, total_bytes: int) -> None:
        self._what, self._total, self._done = what, total_bytes, 0
        self._since = time.monotonic()

    def advance(self, count: int) -> None:
        self._done += count
        if self._shown is None:
            if time.monotonic() - self._since < _PATIENCE_SECONDS:
                return
            self._shown = self._show()
        progress, task = self._shown
        progress.update(task, completed=self._done)

    def item(self, name: str, done: int, total: int | None) -> None:
        pass

    def item_end(self, name: str) -> None:
        pass

    def note(self, text: str) -> None:
        pass

    def end(self) -> None:
        if self._shown is not None:
            self._shown[0].stop()
            self._shown = None

    def _show(self) -> tuple[Progress, TaskID]:
        # Imported here: most commands are done before a bar is worth it.
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
            TransferSpeedColumn,
        )

        progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        progress.start()
        return progress, progress.add_task(self._what, total=self._total)
