"""Gradual magnitude pruning: the smallest weights of each layer go first, a few per epoch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from .fixed import Array, Fixed
from .network import Parameters
from .trainer import MaskRule, Masks


@dataclass(frozen=True)
class Pruning:
    """Sparsities are shares of zeros (0 to 1) in each weight tensor.

    The share rises from ``initial`` in the first epoch to ``final`` in epoch ``last_epoch``, fast
    at first and slowly at the end (a cubic), and stays there.
    """

    initial: float
    final: float
    last_epoch: int


def sparsity_at(pruning: Pruning, epoch: int) -> float:
    """The share of zeros asked for in ``epoch``."""
    left = 1.0 - min(1.0, epoch / pruning.last_epoch)
    return pruning.final + (pruning.initial - pruning.final) * left**3


def gradual(pruning: Pruning) -> MaskRule:
    """The mask rule that prunes as ``pruning`` says."""

    def masks(epoch: int, parameters: Parameters) -> Masks:
        share = sparsity_at(pruning, epoch)
        weights = {name: values for name, values in parameters.items() if _is_weight(values)}
        return {name: _mask(values, share) for name, values in weights.items()}

    return masks


def holding(parameters: Mapping[str, Fixed]) -> MaskRule:
    """The mask rule that keeps every weight at zero that is zero in ``parameters``."""
    fixed = {
        name: (tensor.values != 0.0).astype(np.float64)
        for name, tensor in parameters.items()
        if _is_weight(tensor.values)
    }
    return lambda _epoch, _parameters: fixed


def zeros(parameters: Mapping[str, Fixed]) -> tuple[int, int]:
    """(zero weights, all weights); biases are not counted."""
    weights = [tensor.values for tensor in parameters.values() if _is_weight(tensor.values)]
    return sum(int((weight == 0.0).sum()) for weight in weights), sum(map(np.size, weights))


def _is_weight(values: Array) -> bool:
    return values.ndim > 1


def _mask(values: Array, share: float) -> Array:
    """Zeros at the ``share`` of places with the smallest magnitude."""
    # Weights on a grid have equals; a stable sort settles which of them go first.
    order = np.argsort(np.abs(values), axis=None, kind="stable")
    mask = np.ones(values.size)
    mask[order[: round(share * values.size)]] = 0.0
    return mask.reshape(values.shape)
