"""How long work tells whoever watches how far it is. The library never prints."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Is told about one piece of work after the other."""

    def begin(self, what: str, total_bytes: int) -> None:
        """Work begins; `what` is a word such as `adding`."""

    def advance(self, count: int) -> None:
        """So many more bytes are done."""

    def end(self) -> None:
        """The work that began last has ended."""


class Silent:
    """Tells no one."""

    def begin(self, what: str, total_bytes: int) -> None:
        pass

    def advance(self, count: int) -> None:
        pass

    def end(self) -> None:
        pass
