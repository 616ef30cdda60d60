"""family: eight models of 290 MiB and ten small files each, five of which share a checkpoint."""

from __future__ import annotations

from pathlib import Path

from benchmarks.workloads.seeded import write_seeded

_MODELS = 8
_SHARING = 5
_SMALL_FILES = 10
_CHECKPOINT_BYTES = 200 << 20
_ONNX_BYTES = 90 << 20


def write(folder: Path, scale: float) -> None:
    """Write the eight models below a folder: 2.44 GB, of which 1.60 GB are unique."""
    for number in range(_MODELS):
        model = folder / f"m{number}"
        shared = "shared" if number < _SHARING else f"own {number}"
        write_seeded(model / "training" / "checkpoint.bin", int(scale * _CHECKPOINT_BYTES), shared)
        write_seeded(model / "model.onnx", int(scale * _ONNX_BYTES), f"onnx {number}")
        for small in range(_SMALL_FILES):
            path = model / "recipe" / f"{small}.md"
            write_seeded(path, 2000 + 1000 * small, f"{number} {small}")
