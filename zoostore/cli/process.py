"""The process of a command: how it begins, and how it ends."""

import atexit
import contextlib
import gc
import gettext
import io
import os
import sys

_OBJECTS_BETWEEN_COLLECTIONS = 100_000


def _find_none(*_: object, **__: object) -> None:
    """What `gettext.find` finds where there are no translations."""


def main() -> None:
    """Run the command line, and end the process."""
    # A command is soon over, and makes few cycles. To look for them among all that is imported
    # would take a tenth of a short command's time, so this is said before anything is.
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS)
    # Click looks for translations of what it says. To find that there are none takes 1 ms.
    gettext.find = _find_none  # type: ignore[assignment]
    for stream in (sys.stdout, sys.stderr):
        # A name that the terminal has no letters for is escaped, and no failure.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    code = 1

    def end_at_once() -> None:
        """To take apart all that was imported would take another tenth."""
        for stream in filter(None, (sys.stdout, sys.stderr)):
            with contextlib.suppress(OSError):  # it was noticed before, if it cannot be said
                stream.flush()
        os._exit(code)

    atexit.register(end_at_once)  # registered first, and so called when all others were
    from zoostore.cli.main import run

    code = run(sys.argv[1:])
    sys.exit(code)
