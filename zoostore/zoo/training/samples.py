"""A few test examples with the model's answers, as SparseZoo ships them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from .archives import npz, tar_gz
from .data import one_of_each
from .fixed import snap
from .onnx_export import INPUT_NAME, OUTPUT_NAME
from .release import Release

SAMPLES = 10
LABEL_NAME = "label"
# Fine enough to stay within 1e-5 of what float32 gives, and exact in float32 up to 64.
OUTPUT_BITS = 18


def sample_archives(release: Release) -> dict[str, bytes]:
    """``sample_{inputs,outputs,labels}.tar.gz`` by name, for the same ``SAMPLES`` test examples.

    Each archive holds one npz file per example; its arrays have no batch dimension. The outputs
    are the exact logits, rounded: onnxruntime's own differ between CPUs in their last bits.
    """
    examples = release.dataset.test.take(one_of_each(release.dataset.test, SAMPLES))
    exact = release.network.logits(release.parameters, examples.inputs)
    logits = snap(exact.values, OUTPUT_BITS).values.astype(np.float32)
    inputs = examples.inputs.values.astype(np.float32)
    return {
        "sample_inputs.tar.gz": _archive("sample_inputs", "inp", INPUT_NAME, inputs),
        "sample_outputs.tar.gz": _archive("sample_outputs", "out", OUTPUT_NAME, logits),
        "sample_labels.tar.gz": _archive("sample_labels", "lab", LABEL_NAME, examples.labels),
    }


def _archive(folder: str, prefix: str, key: str, rows: npt.NDArray[np.generic]) -> bytes:
    files: Mapping[str, bytes] = {
        f"{folder}/{prefix}-{number:04d}.npz": npz({key: np.asarray(row)})
        for number, row in enumerate(rows)
    }
    return tar_gz(files)
