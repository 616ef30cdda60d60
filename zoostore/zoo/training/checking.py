"""The exported file must compute what was trained: a check in onnxruntime before anything ships."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import onnxruntime

from .fixed import Array
from .onnx_export import INPUT_NAME, OUTPUT_NAME

# float32 sums of a few hundred terms stay well within this of the exact logits.
FLOAT_TOLERANCE = 1e-4


class ModelMismatch(Exception):
    """An exported model does not compute what was trained."""


def run_onnx(model: bytes, inputs: Array) -> npt.NDArray[np.float32]:
    """The logits of shape (n, classes) that onnxruntime computes on the CPU."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    (logits,) = session.run([OUTPUT_NAME], {INPUT_NAME: inputs.astype(np.float32)})
    return np.asarray(logits, dtype=np.float32)


def check_onnx(model: bytes, inputs: Array, exact: Array, tolerance: float) -> None:
    """Raises ModelMismatch unless onnxruntime gives the ``exact`` logits within ``tolerance``.

    Also demands that no decision is closer than the tolerance, so that the accuracy stated for
    the model holds on every CPU, whatever its last bits.
    """
    found = run_onnx(model, inputs)
    worst = float(np.abs(found - exact).max())
    if worst > tolerance:
        raise ModelMismatch(
            f"onnxruntime's logits differ from the trained network's by up to {worst:.3g}, "
            f"expected at most {tolerance:.3g}"
        )
    runner_up, winner = np.sort(exact, axis=1)[:, -2:].T
    closest = float((winner - runner_up).min())
    if closest <= 2.0 * tolerance and tolerance > 0.0:
        raise ModelMismatch(
            f"an example is decided by a logit margin of {closest:.3g} only, which the "
            f"differences between CPUs (up to {tolerance:.3g}) could turn around"
        )
