"""How long work tells whoever watches how far it is. The library never prints."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Is told about one piece of work after the other; from several threads, while it lasts."""

    def begin(self, what: str, total_bytes: int) -> None:
        """Work begins; `what` is a word such as `adding`."""

    def advance(self, count: int) -> None:
        """So many more bytes are done. Fewer than none, if some must be done again."""

    def item(self, name: str, done: int, total: int | None) -> None:
        """How many bytes of one file in work are done, of how many if that is known."""

    def item_end(self, name: str) -> None:
        """This file is not in work any more."""

    def note(self, text: str) -> None:
        """Something that a person who waits would want to know, such as why."""

    def end(self) -> None:
        """The work that began last has ended."""


class Silent:
    """Tells no one."""

    def begin(self, what: str, total_bytes: int) -> None:
        pass

    def advance(self, count: int) -> None:
        pass

    def item(self, name: str, done: int, total: int | None) -> None:
        pass

    def item_end(self, name: str) -> None:
        pass

    def note(self, text: str) -> None:
        pass

    def end(self) -> None:
        pass
