"""Checkpoints in the safetensors format.

The format: the length of the header (8 bytes, little endian), a JSON header, then the raw tensors.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping

import numpy as np

from .fixed import Fixed

# safetensors readers map tensors into memory, so the data should start on an 8-byte boundary.
ALIGNMENT = 8


def safetensors(parameters: Mapping[str, Fixed]) -> bytes:
    """The parameters as float32, sorted by name."""
    header: dict[str, dict[str, object]] = {}
    parts: list[bytes] = []
    end = 0
    for name in sorted(parameters):
        data = parameters[name].values.astype("<f4").tobytes()
        shape = list(np.shape(parameters[name].values))
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [end, end + len(data)]}
        parts.append(data)
        end += len(data)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % ALIGNMENT)
    return struct.pack("<Q", len(text)) + text + b"".join(parts)
