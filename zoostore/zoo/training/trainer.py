"""Stochastic gradient descent that ends in the same bytes on every machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from .data import Examples
from .fixed import Array, Fixed, snap, softmax
from .network import FixedParameters, Gradients, Network, Parameters

# Released weights are multiples of 2**-12: fine enough to cost no accuracy, coarse enough for
# exact products, and exact in float32.
WEIGHT_BITS = 12
# Small updates must add up, so training itself keeps its weights and momentum on a finer grid.
STATE_BITS = 24

Masks: TypeAlias = Mapping[str, Array]
MaskRule: TypeAlias = Callable[[int, Parameters], Masks]
WeightRule: TypeAlias = Callable[[Parameters], FixedParameters]


@dataclass(frozen=True)
class Stage:
    """One run of training. The learning rate falls in a straight line to zero at the end."""

    epochs: int
    learning_rate: float
    weight_decay: float
    seed: int
    momentum: float = 0.9
    batch_size: int = 32


def released(parameters: Parameters) -> FixedParameters:
    """The parameters as they are published."""
    return {name: snap(values, WEIGHT_BITS) for name, values in parameters.items()}


def train(
    network: Network,
    start: Parameters,
    examples: Examples,
    stage: Stage,
    masks: MaskRule = lambda _epoch, _parameters: {},
    used: WeightRule = released,
) -> Parameters:
    """The parameters after ``stage``.

    ``masks`` gives, at the start of an epoch, an array of zeros and ones for every parameter that
    is held at zero in places. ``used`` gives what the network computes with; gradients taken there
    are applied to the parameters themselves (the straight-through estimator), so that rounding
    during training does not stop small updates from adding up.
    """
    random = np.random.RandomState(stage.seed)  # frozen streams, see NEP 19
    parameters = {name: snap(values, STATE_BITS).values for name, values in start.items()}
    momentum = {name: np.zeros_like(values) for name, values in parameters.items()}
    batches = len(examples) // stage.batch_size
    for epoch in range(stage.epochs):
        held = masks(epoch, parameters)
        parameters = _masked(parameters, held)
        order = random.permutation(len(examples)).astype(np.int64)
        for batch in range(batches):
            rows = order[batch * stage.batch_size : (batch + 1) * stage.batch_size]
            gradients = _gradients(network, used(parameters), examples.take(rows))
            left = 1.0 - (epoch * batches + batch) / (stage.epochs * batches)
            _step(parameters, momentum, gradients, stage, stage.learning_rate * left)
            parameters = _masked(parameters, held)
    return parameters


def correct(network: Network, parameters: FixedParameters, examples: Examples) -> int:
    """How many of ``examples`` are classified correctly."""
    guesses = network.logits(parameters, examples.inputs).values.argmax(axis=1)
    return int((guesses == examples.labels).sum())


def _gradients(network: Network, parameters: FixedParameters, examples: Examples) -> Gradients:
    """Gradients of the cross-entropy, summed over the examples."""
    logits, saved = network.run(parameters, examples.inputs)
    probabilities = softmax(logits)
    signal = probabilities.values.copy()
    signal[np.arange(len(examples)), examples.labels] -= 1.0
    return network.gradients(parameters, saved, Fixed(signal, probabilities.bits))


def _step(
    parameters: Parameters,
    momentum: Parameters,
    gradients: Gradients,
    stage: Stage,
    rate: float,
) -> None:
    """Updates ``parameters`` and ``momentum`` in place, by elementwise operations only."""
    for name, values in parameters.items():
        slope = gradients[name].values / stage.batch_size
        if values.ndim > 1:
            slope = slope + stage.weight_decay * values
        momentum[name] = snap(stage.momentum * momentum[name] + slope, STATE_BITS).values
        parameters[name] = snap(values - rate * momentum[name], STATE_BITS).values


def _masked(parameters: Parameters, masks: Masks) -> Parameters:
    return {
        name: values * masks[name] if name in masks else values
        for name, values in parameters.items()
    }
