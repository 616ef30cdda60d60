"""Progress on a terminal: a line for each file in work, and one for the whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoostore.cli.output import printable
from zoostore.cli.progress.watch import View

if TYPE_CHECKING:
    from typing import TextIO

    from rich.live import Live

    from zoostore.cli.progress.work import Seen


class Bars(View):
    """Appears once work has taken a moment, and is gone when it ends."""

    patience = 0.4
    period = 0.1

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._live: Live | None = None

    def show(self, seen: Seen | None) -> None:
        if seen is None:
            return
        from zoostore.cli.progress.picture import picture

        live = self._live
        if live is None:
            live = self._live = self._new_live()
            live.start()
        console = live.console
        live.update(picture(seen, console.size, console.encoding), refresh=True)

    def note(self, text: str) -> None:
        if self._live is None:
            self._stream.write(printable(text) + "\n")
            self._stream.flush()
            return
        from rich.text import Text

        self._live.console.print(Text(printable(text)), soft_wrap=True)

    def end(self, seen: Seen) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _new_live(self) -> Live:
        # Imported here: most commands are done before a bar is worth it.
        from rich.console import Console
        from rich.live import Live

        # Whether there is a terminal has been decided; what rich would find does not matter.
        console = Console(file=self._stream, force_terminal=True, force_jupyter=False)
        return Live(
            console=console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,  # it holds data, and may lead elsewhere
            redirect_stderr=False,
        )
