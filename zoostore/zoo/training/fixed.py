"""Arithmetic that gives the same bits on every machine.

A matrix product in float64 normally depends on the order in which its terms are added, and that
order depends on the BLAS, the width of the SIMD unit and the number of threads. It stops depending
on it when no addition rounds: if all terms are multiples of ``2**-bits`` and no partial sum needs
more than 53 bits, every order gives the one exact result. So arrays here carry the grid they live
on, and a product checks that it fits. What is left are elementwise operations (add, multiply,
divide, round), which IEEE 754 defines to the last bit; ``exp`` is not among them and is built from
them below.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[np.float64]

SIGNIFICAND = 2.0**53
SOFTMAX_BITS = 16
EXP_BITS = 40
LN2 = 0.6931471805599453
# Beyond 16 terms of the series nothing changes for arguments within +-ln(2)/2.
EXP_TERMS = 16


@dataclass(frozen=True)
class Fixed:
    """float64 ``values``, all of them integer multiples of ``2**-bits``."""

    values: Array
    bits: int


def snap(values: Array, bits: int) -> Fixed:
    """The nearest multiples of ``2**-bits``; ties go to the even one."""
    return Fixed(np.rint(values * 2.0**bits) * 2.0**-bits, bits)


def magnitude(values: Array) -> float:
    """The largest absolute value."""
    return float(max(values.max(), -values.min()))


def matmul(left: Fixed, right: Fixed) -> Fixed:
    """The exact product of (n, k) and (k, m).

    Raises ArithmeticError if a sum of k terms could need more than 53 bits.
    """
    bits = left.bits + right.bits
    largest_term = magnitude(left.values) * magnitude(right.values)
    _require_exact(left.values.shape[-1], largest_term, bits)
    return Fixed(left.values @ right.values, bits)


def add(left: Fixed, right: Fixed) -> Fixed:
    """The exact sum, on the finer of the two grids. Raises ArithmeticError like ``matmul``."""
    bits = max(left.bits, right.bits)
    _require_exact(2, max(magnitude(left.values), magnitude(right.values)), bits)
    return Fixed(left.values + right.values, bits)


def column_sums(rows: Fixed) -> Fixed:
    """The exact sums over the first axis. Raises ArithmeticError like ``matmul``."""
    _require_exact(len(rows.values), magnitude(rows.values), rows.bits)
    return Fixed(rows.values.sum(axis=0), rows.bits)


def exp(values: Array) -> Array:
    """e to the power of ``values`` (each in [-700, 700]), to twelve digits.

    It takes correctly rounded operations only; np.exp is a different program on different CPUs
    and may differ in the last bit.
    """
    doublings = np.rint(values / LN2)
    rest = values - doublings * LN2
    series = np.ones_like(rest)
    for term in range(EXP_TERMS, 0, -1):
        series = 1.0 + series * rest / term
    return np.ldexp(series, doublings.astype(np.int32))


def softmax(logits: Fixed) -> Fixed:
    """Probabilities of shape (n, classes) from logits of the same shape."""
    centred = logits.values - logits.values.max(axis=1, keepdims=True)
    # On a grid, the sum over the classes is exact and its order does not matter.
    powers = snap(exp(np.maximum(centred, -700.0)), EXP_BITS).values
    return snap(powers / powers.sum(axis=1, keepdims=True), SOFTMAX_BITS)


def _require_exact(terms: int, largest_term: float, bits: int) -> None:
    bound = terms * largest_term * 2.0**bits
    if bound > SIGNIFICAND:
        raise ArithmeticError(
            f"a sum of {terms} terms on a grid of 2**-{bits} may reach {bound:.3g} grid units, "
            f"but only sums up to 2**53 are exact: use fewer bits"
        )
