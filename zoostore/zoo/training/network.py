"""Small feed-forward networks: what a layer computes, and the gradient of it.

Tensors follow the conventions PyTorch made common: images are (n, channels, height, width), dense
weights are (outputs, inputs), convolution weights are (outputs, inputs, 3, 3).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np

from .fixed import Array, Fixed, add, column_sums, matmul, snap

# Signals flowing backwards are rounded to this grid between layers, which keeps products exact.
SIGNAL_BITS = 24

Parameters: TypeAlias = dict[str, Array]
FixedParameters: TypeAlias = Mapping[str, Fixed]
Gradients: TypeAlias = dict[str, Fixed]


class Layer(Protocol):
    """A step of a network. ``forward`` gives the output and what ``backward`` will need."""

    def shapes(self) -> dict[str, tuple[int, ...]]: ...

    def forward(self, parameters: FixedParameters, inputs: Fixed) -> tuple[Fixed, Fixed]: ...

    def backward(
        self, parameters: FixedParameters, saved: Fixed, signal: Fixed
    ) -> tuple[Gradients, Fixed]: ...


class _Plain:
    """A layer without parameters."""

    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {}


@dataclass(frozen=True)
class Dense:
    """``inputs @ weight.T + bias``."""

    name: str
    inputs: int
    outputs: int

    def shapes(self) -> dict[str, tuple[int, ...]]:
        weight = (self.outputs, self.inputs)
        return {f"{self.name}.weight": weight, f"{self.name}.bias": (self.outputs,)}

    def forward(self, parameters: FixedParameters, inputs: Fixed) -> tuple[Fixed, Fixed]:
        weight = _transposed(parameters[f"{self.name}.weight"])
        return add(matmul(inputs, weight), parameters[f"{self.name}.bias"]), inputs

    def backward(
        self, parameters: FixedParameters, saved: Fixed, signal: Fixed
    ) -> tuple[Gradients, Fixed]:
        gradients = {
            f"{self.name}.weight": matmul(_transposed(signal), saved),
            f"{self.name}.bias": column_sums(signal),
        }
        return gradients, _signal(matmul(signal, parameters[f"{self.name}.weight"]))


@dataclass(frozen=True)
class Conv3x3:
    """A 3 by 3 convolution that keeps height and width (a border of zeros is added)."""

    name: str
    inputs: int
    outputs: int

    def shapes(self) -> dict[str, tuple[int, ...]]:
        weight = (self.outputs, self.inputs, 3, 3)
        return {f"{self.name}.weight": weight, f"{self.name}.bias": (self.outputs,)}

    def forward(self, parameters: FixedParameters, inputs: Fixed) -> tuple[Fixed, Fixed]:
        count, _, height, width = inputs.values.shape
        patches = _patches(inputs)
        product = matmul(patches, _transposed(self._matrix(parameters)))
        pixels = add(product, parameters[f"{self.name}.bias"])
        images = pixels.values.reshape(count, height, width, self.outputs)
        return Fixed(np.ascontiguousarray(images.transpose(0, 3, 1, 2)), pixels.bits), patches

    def backward(
        self, parameters: FixedParameters, saved: Fixed, signal: Fixed
    ) -> tuple[Gradients, Fixed]:
        count, _, height, width = signal.values.shape
        rows = Fixed(signal.values.transpose(0, 2, 3, 1).reshape(-1, self.outputs), signal.bits)
        weight = matmul(_transposed(rows), saved)
        gradients = {
            f"{self.name}.weight": Fixed(
                weight.values.reshape(self.outputs, self.inputs, 3, 3), weight.bits
            ),
            f"{self.name}.bias": column_sums(rows),
        }
        patches = _signal(matmul(rows, self._matrix(parameters)))
        return gradients, _overlapped(patches, (count, self.inputs, height, width))

    def _matrix(self, parameters: FixedParameters) -> Fixed:
        weight = parameters[f"{self.name}.weight"]
        return Fixed(weight.values.reshape(self.outputs, -1), weight.bits)


@dataclass(frozen=True)
class Relu(_Plain):
    """Negative values become zero."""

    def forward(self, parameters: FixedParameters, inputs: Fixed) -> tuple[Fixed, Fixed]:
        return Fixed(np.maximum(inputs.values, 0.0), inputs.bits), inputs

    def backward(
        self, parameters: FixedParameters, saved: Fixed, signal: Fixed
    ) -> tuple[Gradients, Fixed]:
        return {}, Fixed(signal.values * (saved.values > 0.0), signal.bits)


@dataclass(frozen=True)
class MaxPool2(_Plain):
    """The largest value of every 2 by 2 square; height and width are halved."""

    def forward(self, parameters: FixedParameters, inputs: Fixed) -> tuple[Fixed, Fixed]:
        return Fixed(_squares(inputs.values).max(axis=-1), inputs.bits), inputs

    def backward(
        self, parameters: FixedParameters, saved: Fixed, signal: Fixed
    ) -> tuple[Gradients, Fixed]:
        squares = _squares(saved.values)
        spread = np.zeros_like(squares)
        # argmax takes the first of equals, so that ties are settled in the same way everywhere.
        winners = squares.argmax(axis=-1)[..., None]
        np.put_along_axis(spread, winners, signal.values[..., None], axis=-1)
        return {}, Fixed(_unsquared(spread), signal.bits)


@dataclass(frozen=True)
class Flatten(_Plain):
    """(n, ...) becomes (n, everything else)."""

    def forward(self, parameters: FixedParameters, inputs: Fixed) -> tuple[Fixed, Fixed]:
        return Fixed(inputs.values.reshape(len(inputs.values), -1), inputs.bits), inputs

    def backward(
        self, parameters: FixedParameters, saved: Fixed, signal: Fixed
    ) -> tuple[Gradients, Fixed]:
        return {}, Fixed(signal.values.reshape(saved.values.shape), signal.bits)


@dataclass(frozen=True)
class Network:
    """Layers in order; the last one gives logits of shape (n, classes)."""

    layers: tuple[Layer, ...]

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of every parameter, in the order of the layers."""
        return {name: shape for layer in self.layers for name, shape in layer.shapes().items()}

    def logits(self, parameters: FixedParameters, inputs: Fixed) -> Fixed:
        """Exact logits of shape (n, classes)."""
        return self.run(parameters, inputs)[0]

    def run(self, parameters: FixedParameters, inputs: Fixed) -> tuple[Fixed, list[Fixed]]:
        """Logits, and for each layer what its ``backward`` needs."""
        saved = []
        for layer in self.layers:
            inputs, kept = layer.forward(parameters, inputs)
            saved.append(kept)
        return inputs, saved

    def gradients(
        self, parameters: FixedParameters, saved: list[Fixed], signal: Fixed
    ) -> Gradients:
        """The gradient of every parameter, given the one of the logits."""
        found: Gradients = {}
        for layer, kept in zip(reversed(self.layers), reversed(saved), strict=True):
            gradients, signal = layer.backward(parameters, kept, signal)
            found.update(gradients)
        return found


def initial_parameters(network: Network, seed: int) -> Parameters:
    """Weights drawn evenly from the range that keeps ReLU signals at one size; biases zero."""
    # RandomState's streams are frozen (NEP 19), and random_sample gives exact multiples of 2**-53.
    random = np.random.RandomState(seed)
    parameters = {}
    for name, shape in network.shapes().items():
        reach = math.sqrt(6.0 / math.prod(shape[1:])) if len(shape) > 1 else 0.0
        parameters[name] = (random.random_sample(shape) * 2.0 - 1.0) * reach
    return parameters


def _transposed(matrix: Fixed) -> Fixed:
    return Fixed(matrix.values.T, matrix.bits)


def _signal(values: Fixed) -> Fixed:
    return snap(values.values, SIGNAL_BITS)


def _patches(images: Fixed) -> Fixed:
    """One row per pixel: its 3 by 3 neighbourhood in all channels."""
    channels = images.values.shape[1]
    padded = np.pad(images.values, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
    rows = windows.transpose(0, 2, 3, 1, 4, 5).reshape(-1, channels * 9)
    return Fixed(rows, images.bits)


def _overlapped(patches: Fixed, shape: tuple[int, int, int, int]) -> Fixed:
    """The transpose of ``_patches``: what every pixel gets from the patches it is part of."""
    count, channels, height, width = shape
    parts = patches.values.reshape(count, height, width, channels, 3, 3)
    padded = np.zeros((count, channels, height + 2, width + 2))
    for down in range(3):
        for right in range(3):
            window = padded[:, :, down : down + height, right : right + width]
            window += parts[..., down, right].transpose(0, 3, 1, 2)
    return Fixed(padded[:, :, 1:-1, 1:-1], patches.bits)


def _squares(images: Array) -> Array:
    """(n, c, h, w) as (n, c, h / 2, w / 2, 4)."""
    count, channels, height, width = images.shape
    split = images.reshape(count, channels, height // 2, 2, width // 2, 2)
    return split.transpose(0, 1, 2, 4, 3, 5).reshape(count, channels, height // 2, width // 2, 4)


def _unsquared(squares: Array) -> Array:
    """The inverse of ``_squares``."""
    count, channels, height, width, _ = squares.shape
    split = squares.reshape(count, channels, height, width, 2, 2)
    return split.transpose(0, 1, 2, 4, 3, 5).reshape(count, channels, height * 2, width * 2)
