"""8-bit weights and activations, with scales that are powers of two.

Power-of-two scales make every step exact: quantizing, the integer products and the conversion back
to float32 give the same bits on every CPU, so a quantized model has one answer, not one per CPU.
Training with the rounding in place (quantization-aware training) makes up for the coarser scales.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from .fixed import Array, Fixed, magnitude
from .network import Dense, FixedParameters, Gradients, Layer, Network, Parameters
from .trainer import WeightRule

# Weights use 7 of the 8 bits: CPUs without VNNI add pairs of (uint8 x int8) products in 16 bits,
# and 2 * 255 * 63 fits there while 2 * 255 * 127 would saturate.
WEIGHT_LIMIT = 63
ACTIVATION_LIMIT = 255


@dataclass(frozen=True)
class Quantization:
    """Scales by layer name, as exponents: a stored integer n means ``n * 2**-bits``.

    ``inputs`` scales what flows into a layer (uint8, zero point 0) and ``weights`` its weight
    (int8); the bias (int32) is scaled by the product of both.
    """

    inputs: Mapping[str, int]
    weights: Mapping[str, int]

    def bias_bits(self, layer: str) -> int:
        """The exponent of the scale of a layer's bias and of its integer sums."""
        return self.inputs[layer] + self.weights[layer]


@dataclass(frozen=True)
class QuantizeActivation:
    """Rounds to multiples of ``2**-bits`` from 0 to ``255 * 2**-bits``.

    Gradients pass through unchanged wherever nothing was cut off.
    """

    bits: int

    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {}

    def forward(self, parameters: FixedParameters, inputs: Fixed) -> tuple[Fixed, Fixed]:
        return _rounded(inputs.values, self.bits, 0, ACTIVATION_LIMIT), inputs

    def backward(
        self, parameters: FixedParameters, saved: Fixed, signal: Fixed
    ) -> tuple[Gradients, Fixed]:
        passed = saved.values <= ACTIVATION_LIMIT * 2.0**-self.bits
        return {}, Fixed(signal.values * passed, signal.bits)


def calibrate(network: Network, parameters: FixedParameters, inputs: Fixed) -> Quantization:
    """The finest scales that cut nothing off: of the weights, and of activations on ``inputs``.

    Raises ValueError if a layer is fed negative values, which uint8 with zero point 0 cannot hold.
    """
    input_bits, weight_bits = {}, {}
    _, saved = network.run(parameters, inputs)
    for layer, fed in zip(network.layers, saved, strict=True):
        if isinstance(layer, Dense):
            if fed.values.min() < 0.0:
                raise ValueError(f"layer {layer.name} is fed negative values")
            weight = parameters[f"{layer.name}.weight"].values
            input_bits[layer.name] = min(_finest(fed.values, ACTIVATION_LIMIT), fed.bits)
            weight_bits[layer.name] = _finest(weight, WEIGHT_LIMIT)
    return Quantization(input_bits, weight_bits)


def with_rounding(network: Network, quantization: Quantization) -> Network:
    """``network``, whose parameters all belong to dense layers, with rounded inputs to these."""
    layers: list[Layer] = []
    for layer in network.layers:
        if isinstance(layer, Dense):
            layers.append(QuantizeActivation(quantization.inputs[layer.name]))
        layers.append(layer)
    return Network(tuple(layers))


def rounding(quantization: Quantization) -> WeightRule:
    """The weight rule that rounds parameters to what the stored integers can express."""

    def quantized(parameters: Parameters) -> FixedParameters:
        return {
            name: _rounded(values, *_range(quantization, name))
            for name, values in parameters.items()
        }

    return quantized


def integers(parameters: FixedParameters) -> dict[str, Array]:
    """The stored integers of quantized parameters (as float64 values)."""
    return {name: tensor.values * 2.0**tensor.bits for name, tensor in parameters.items()}


def _range(quantization: Quantization, name: str) -> tuple[int, int, int]:
    """(bits, lowest integer, highest integer) of a parameter."""
    layer, kind = name.split(".")
    if kind == "bias":
        return quantization.bias_bits(layer), -(2**31) + 1, 2**31 - 1
    return quantization.weights[layer], -WEIGHT_LIMIT, WEIGHT_LIMIT


def _finest(values: Array, limit: int) -> int:
    """The largest ``bits`` with ``magnitude <= limit * 2**-bits``."""
    # frexp splits exactly where log2 might round over an edge: ratio = f * 2**e, 0.5 <= f < 1.
    _, exponent = math.frexp(limit / magnitude(values))
    return exponent - 1


def _rounded(values: Array, bits: int, lowest: int, highest: int) -> Fixed:
    """Ties go to the even integer, as ONNX's QuantizeLinear does it."""
    whole = np.clip(np.rint(values * 2.0**bits), lowest, highest)
    return Fixed(whole * 2.0**-bits, bits)
