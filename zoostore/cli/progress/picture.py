"""What the bars look like: lines that fit a terminal, however small it is.

rich lays the lines out on the terminal. What stands in them is put together here, to the
column, for a name from an upstream must neither break a line nor be read as markup.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from zoostore.cli.output import printable
from zoostore.cli.progress.lines import percent
from zoostore.units import human_size, human_speed, human_time

if TYPE_CHECKING:
    from rich.console import ConsoleDimensions

    from zoostore.cli.progress.work import Part, Seen

_AMOUNT = len("99.9 MB of 99.9 MB")
_SPEED = len("99.9 MB/s")
_LEFT = len("9 h 59 min left")
_NUMBERS = 1 + _AMOUNT + 1 + _SPEED + 1 + _LEFT
_FULL_WIDTH = 72
"""From here on there is room for all columns."""
_NAME_WIDTH = 24
"""What a name should have before a speed is shown."""
_LONGEST_NAME, _LONGEST_BAR = 48, 40
_ELLIPSIS = "..."


def picture(seen: Seen, size: ConsoleDimensions, encoding: str) -> Text:
    """A line for each file in work that there is room for, and one for the whole.

    Args:
        encoding: of the terminal: what it cannot show is escaped.
    """
    # One line is for the whole, and one for the cursor, which stands below.
    room = max(0, size.height - 2)
    shown = seen.files if len(seen.files) <= room else seen.files[: max(0, room - 1)]
    lines = [_line(part, size.width, encoding, is_whole=False) for part in shown]
    if room and len(shown) < len(seen.files):
        more = f"and {len(seen.files) - len(shown)} more"
        lines.append(Text(set_cell_size(more, min(len(more), size.width))))
    lines.append(_line(seen.whole, size.width, encoding, is_whole=True))
    text = Text("\n").join(lines)
    text.no_wrap, text.overflow = True, "crop"
    return text


def shortened(name: str, width: int) -> str:
    """A name in exactly this many columns of a terminal.

    What is too much is left out of its middle: of the folders, if the file's own name fits.
    That begins with what tells it from its neighbours, so more is kept of its beginning.
    """
    if cell_len(name) <= width or width <= len(_ELLIPSIS):
        return set_cell_size(name, width)
    folder, slash, own = name.rpartition("/")
    room = width - len(_ELLIPSIS)
    if slash and cell_len(own) < room:
        head, tail = folder, slash + own
    else:
        head, tail = own, own[-(room // 3) :]
    while cell_len(tail) > room:
        tail = tail[1:]
    return set_cell_size(set_cell_size(head, room - cell_len(tail)) + _ELLIPSIS + tail, width)


def _line(part: Part, width: int, encoding: str, *, is_whole: bool) -> Text:
    name = printable(part.name).encode(encoding, "backslashreplace").decode(encoding)
    left = f"{human_time(part.left)} left" if is_whole and part.left is not None else ""
    if width < _FULL_WIDTH:
        return _narrow_line(part, name, left, width)
    room = min(width - _NUMBERS, _LONGEST_NAME + 1 + _LONGEST_BAR)
    bar = min(room // 3, _LONGEST_BAR)
    line = Text(shortened(name, room - bar - 1) + " ")
    line.append_text(_bar(part.share, bar, encoding))
    numbers = f" {_amount(part):>{_AMOUNT}} {human_speed(part.speed):>{_SPEED}} {left}"
    return line.append(numbers[:_NUMBERS].rstrip())


def _narrow_line(part: Part, name: str, left: str, width: int) -> Text:
    numbers = human_size(part.done) if part.share is None else percent(part.share)
    if width >= _NAME_WIDTH + 1 + len("100%") + 1 + _LEFT:
        numbers = f"{numbers:>8} {left or human_speed(part.speed):>{_LEFT}}"
    return Text(f"{shortened(name, max(0, width - len(numbers) - 1))} {numbers}"[-width:])


def _amount(part: Part) -> str:
    done = human_size(part.done)
    return done if part.total is None else f"{done} of {human_size(part.total)}"


def _bar(share: float | None, width: int, encoding: str) -> Text:
    """Two kinds of strokes, for colours may not be shown."""
    is_unicode = encoding.lower().replace("-", "").startswith("utf")
    stroke, rest = ("━", "─") if is_unicode else ("#", "-")
    if share is None:
        return Text(" " * width)
    full = int(share * width)
    return Text.assemble((stroke * full, "green"), (rest * (width - full), "bright_black"))
