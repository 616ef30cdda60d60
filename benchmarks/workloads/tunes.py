"""tunes: a base model of 250 MB in the safetensors format, and three fine-tunes of it.

A fine-tune trains some layers and leaves the others as they are, so it shares most of its
tensors with the base, and no whole file.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from benchmarks.workloads.seeded import seeded_chunks

_LAYERS = 24
_TENSOR_BYTES = {"attention": 4_000_000, "mlp": 6_000_000, "norm": 4_096}
_HEAD_BYTES = 10_000_000
_TRAINED = {"tune-head": 0, "tune-last": 4, "tune-half": 12}
"""How many of the last layers a fine-tune changes, beside the head."""

_ALIGNMENT = 8
_F16_BYTES = 2


class _Tensor(NamedTuple):
    name: str
    size: int
    seed: str


def write(folder: Path, scale: float) -> None:
    """Write the four files below a folder, each in a folder of its own."""
    for name, trained in {"base": None, **_TRAINED}.items():
        path = folder / name / "model.safetensors"
        path.parent.mkdir(parents=True)
        _write_safetensors(path, list(_tensors(name, trained, scale)))


def _tensors(name: str, trained: int | None, scale: float) -> Iterator[_Tensor]:
    for layer in range(_LAYERS):
        is_trained = trained is not None and layer >= _LAYERS - trained
        for part, size in _TENSOR_BYTES.items():
            seed = f"{name if is_trained else 'base'} {layer} {part}"
            yield _Tensor(f"layers.{layer}.{part}.weight", _whole(size * scale), seed)
    yield _Tensor("head.weight", _whole(_HEAD_BYTES * scale), f"{name} head")


def _whole(size: float) -> int:
    """A size that is a whole number of values, and at least one."""
    return max(_F16_BYTES, int(size) // _F16_BYTES * _F16_BYTES)


def _write_safetensors(path: Path, tensors: list[_Tensor]) -> None:
    """A little-endian u64 with the header's length, the header as JSON, and then the data."""
    described: dict[str, object] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for tensor in tensors:
        end = offset + tensor.size
        shape = [tensor.size // _F16_BYTES]
        described[tensor.name] = {"dtype": "F16", "shape": shape, "data_offsets": [offset, end]}
        offset = end
    header = json.dumps(described, separators=(",", ":")).encode()
    header += b" " * (-len(header) % _ALIGNMENT)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(header)) + header)
        for tensor in tensors:
            file.writelines(seeded_chunks(tensor.size, tensor.seed))
