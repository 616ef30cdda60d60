"""Bytes that are nearly right: valid encodings, changed in the ways that decoders trip over."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

from hypothesis import strategies as st

NUMBERS = (b"\0", b"\xff", b"\x7f" + b"\xff" * 7, b"\x80" + bytes(7), b"\xff" * 8, bytes(8))
"""What counts and offsets are made to say."""

JUNK: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 1 << 53, (1 << 53) + 1, 1 << 63, 1 << 64, 10**30, 10**400),
    *(0.5, 1e308, float("nan"), float("inf"), -0.0),
    *("", "x", "..", "../x", "/x", "a\0b", "\ud800", "a/" * 600, "0" * 64, "A" * 64, "-1", "1e9"),
    *([], [[]], {}, {"": ""}, [None], ["x"], {"x": 1}),
)
"""What values of documents are replaced by."""

_CONTAINERS = (dict, list)
_Path: TypeAlias = tuple[Any, ...]


def mutated(seeds: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    """A seed after a few changes, or any bytes at all."""
    change = st.tuples(st.sampled_from(_CHANGES), st.integers(0, 1 << 20), st.integers(0, 64))
    changes = st.lists(st.tuples(change, st.binary(max_size=8)), min_size=1, max_size=4)
    nearly = st.builds(_changed, st.sampled_from(list(seeds)), changes)
    return nearly | st.binary(max_size=200)


def _changed(data: bytes, changes: list[tuple[tuple[Any, int, int], bytes]]) -> bytes:
    for (change, place, length), extra in changes:
        data = change(data, place % (len(data) + 1), length, extra)
    return data


def _replace(data: bytes, at: int, length: int, extra: bytes) -> bytes:
    return data[:at] + extra + data[at + len(extra) :]


def _insert(data: bytes, at: int, length: int, extra: bytes) -> bytes:
    return data[:at] + extra + data[at:]


def _delete(data: bytes, at: int, length: int, extra: bytes) -> bytes:
    return data[:at] + data[at + length :]


def _repeat(data: bytes, at: int, length: int, extra: bytes) -> bytes:
    return data[: at + length] + data[at:]


def _cut(data: bytes, at: int, length: int, extra: bytes) -> bytes:
    return data[:at]


def _flip(data: bytes, at: int, length: int, extra: bytes) -> bytes:
    return (
        data[:at] + bytes(byte ^ (1 << length % 8) for byte in data[at : at + 1]) + data[at + 1 :]
    )


def _number(data: bytes, at: int, length: int, extra: bytes) -> bytes:
    return _replace(data, at, length, NUMBERS[length % len(NUMBERS)])


_CHANGES: tuple[Callable[[bytes, int, int, bytes], bytes], ...] = (
    *(_replace, _insert, _delete, _repeat, _cut, _flip, _number),
)


def mutated_json(seeds: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    """A document with other values in it, or bytes that are hardly one."""
    values = st.sampled_from([json.loads(seed) for seed in seeds])
    changes = st.lists(
        st.tuples(st.integers(0, 1 << 20), st.sampled_from(JUNK), st.integers(0, 5)),
        min_size=1,
        max_size=3,
    )
    documents = st.builds(_with_junk, values, changes)
    deep = st.sampled_from([b"[" * 100_000, b'{"a":' * 100_000, b'{"a":1,"a":2}', b"NaN", b""])
    return documents | mutated(seeds) | deep


def _with_junk(value: Any, changes: list[tuple[int, Any, int]]) -> bytes:
    value = copy.deepcopy(value)
    for number, junk, how in changes:
        paths = list(_paths(value))
        if not paths:
            break
        *above, last = paths[number % len(paths)]
        holder = value
        for key in above:
            holder = holder[key]
        if how == 0:
            del holder[last]
        elif how == 1 and isinstance(holder, dict):
            holder[str(junk)] = copy.deepcopy(holder[last])
        else:
            holder[last] = copy.deepcopy(junk)
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode("utf-8", "surrogatepass")


def _paths(value: Any, above: _Path = ()) -> Iterator[_Path]:
    if isinstance(value, _CONTAINERS):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, child in items:
            yield (*above, key)
            yield from _paths(child, (*above, key))
