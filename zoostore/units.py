"""Units: numbers for a person."""

from __future__ import annotations

import itertools
import re

from zoostore.errors import UsageError

_KILO = 1000
_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")
_SIZE = r"(\d+(?:\.\d+)?)\s*([kmgtp]?)(i?)b?"
_SPANS = (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1))


def human_size(count: int) -> str:
    """Bytes for a person: `154 kB`."""
    value = float(count)
    for unit in _UNITS:
        if value < _KILO or unit == _UNITS[-1]:
            break
        value /= _KILO
    digits = 0 if unit == "B" or value >= 100 else 1
    return f"{value:.{digits}f} {unit}"


def human_speed(bytes_per_second: float) -> str:
    """A speed for a person: `81.5 MB/s`."""
    return f"{human_size(int(bytes_per_second))}/s"


def human_time(seconds: float) -> str:
    """How long something takes, for a person: `44 s`, `3 min 20 s`, `12 min`, `2 h 5 min`.

    At most two units, and one where the second says little: ten characters at most, for
    anything below a thousand years.
    """
    left = max(0, int(seconds))
    for (unit, length), (smaller, below) in itertools.pairwise(_SPANS):
        if left >= length:
            whole, rest = divmod(left, length)
            is_exact_enough = whole >= 10 or rest < below
            return f"{whole} {unit}" + ("" if is_exact_enough else f" {rest // below} {smaller}")
    return f"{left} s"


def parse_size(text: str) -> int:
    """The bytes that a person means by `500`, `20 GB`, `1.5GiB` or `3t`.

    Raises:
        UsageError: it is no size.
    """
    found = re.fullmatch(_SIZE, text.strip(), re.IGNORECASE)
    if found is None:
        raise UsageError(f"{text!r} is no size; write 500000, 20GB or 1.5GiB.")
    number, power, binary = found.groups()
    base = 1024 if binary.lower() == "i" else _KILO
    return int(float(number) * base ** " kmgtp".index(power.lower() or " "))
