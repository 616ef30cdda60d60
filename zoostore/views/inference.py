"""Inference: a model run on samples, and what came out compared with what was expected."""

from __future__ import annotations

import importlib
import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from zoostore.errors import MalformedObject, MissingExtra, UnknownChoice, UnknownPath, UsageError
from zoostore.views.arrays import Arrays, named
from zoostore.views.extras import extra, said

if TYPE_CHECKING:
    from numpy.typing import NDArray

ONNXRUNTIME = "onnxruntime"
DEEPSPARSE = "deepsparse"
ENGINES = (ONNXRUNTIME, DEEPSPARSE)

# In quotes, because NumPy is an extra and may be missing.
Outputs: TypeAlias = "list[NDArray[Any]]"
Run: TypeAlias = Callable[[Arrays], Outputs]
"""Gives a model's outputs for one sample."""

_SILENT = 4
"""The log level of onnxruntime that leaves out errors: each comes as an exception, too."""


# Running


def run_model(
    onnx_path: str | os.PathLike[str], items: Iterable[Arrays], engine: str = ONNXRUNTIME
) -> Iterator[Outputs]:
    """What a model gives for each sample, one run after the other.

    Samples have no batch dimension: each array gets a leading axis of 1, unless it has as
    many dimensions as the model's input already. Arrays go to the inputs of their names if
    all names are the inputs' own, else in their order. (deepsparse tells neither dimensions
    nor names: there it is always the leading axis, and the order.)

    Returns:
        For each sample its outputs, in the model's order, with the model's dimensions.

    Raises:
        UnknownChoice: there is no such engine.
        MissingExtra: the engine is not installed.
        UnknownPath: there is no such file.
        MalformedObject: the engine cannot load the model.
        UsageError: while iterating: a sample does not fit the model.
    """
    if engine not in ENGINES:
        raise UnknownChoice(
            f"There is no engine {engine!r}; there are {' and '.join(ENGINES)}.",
            engine=engine,
            engines=ENGINES,
        )
    load = _load_deepsparse if engine == DEEPSPARSE else _load_onnxruntime
    return _outputs(load(os.fspath(onnx_path)), items, engine)


def _outputs(run: Run, items: Iterable[Arrays], engine: str) -> Iterator[Outputs]:
    for index, item in enumerate(items):
        try:
            outputs = run(named(item))
        except UsageError as error:
            raise UsageError(f"Sample {index}: {error.message}", index=index) from error
        except Exception as error:  # an engine has many classes of errors, none in common
            raise UsageError(
                f"Sample {index}: {engine} cannot run the model on it: {said(error)}.", index=index
            ) from error
        yield outputs


def _loaded(engine: str, path: str, load: Callable[[], Any]) -> Any:
    if not os.path.isfile(path):
        raise UnknownPath(f"There is no file {path!r}.", path=path)
    try:
        return load()
    except Exception as error:  # as above
        raise MalformedObject(
            f"{engine} cannot load the model {path}: {said(error)}.", path=path, engine=engine
        ) from error


def _load_onnxruntime(path: str) -> Run:
    onnxruntime = extra(ONNXRUNTIME)
    numpy = extra("numpy")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _SILENT
    session = _loaded(
        ONNXRUNTIME,
        path,
        lambda: onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"]),
    )
    ranks = {value.name: len(value.shape) for value in session.get_inputs()}

    def run(item: Arrays) -> Outputs:
        feed = {}
        for name, value in _by_input(item, list(ranks)).items():
            array = numpy.asarray(value)
            feed[name] = array if array.ndim == ranks[name] else numpy.expand_dims(array, 0)
        outputs: Outputs = session.run(None, feed)
        return outputs

    return run


def _by_input(item: Arrays, inputs: Sequence[str]) -> Arrays:
    """A sample's arrays by the names of the model's inputs.

    Raises:
        UsageError: there are more or fewer arrays than inputs.
    """
    if item.keys() == set(inputs):
        return item
    if len(item) != len(inputs):
        raise UsageError(f"The model takes {list(inputs)}, and the sample has {list(item)}.")
    return dict(zip(inputs, item.values(), strict=True))


def _load_deepsparse(path: str) -> Run:
    try:
        deepsparse = importlib.import_module(DEEPSPARSE)
    except ImportError as error:
        raise MissingExtra(
            "deepsparse is needed for this and is not installed; it is no longer developed, and "
            "no extra of zoostore brings it.",
            module=DEEPSPARSE,
        ) from error
    numpy = extra("numpy")
    engine = _loaded(DEEPSPARSE, path, lambda: deepsparse.compile_model(path, batch_size=1))

    def run(item: Arrays) -> Outputs:
        outputs: Outputs = engine.run([numpy.expand_dims(value, 0) for value in item.values()])
        return outputs

    return run


# Comparing


@dataclass(frozen=True)
class Mismatch:
    """One output, or one whole sample, that is not what was expected.

    Attributes:
        index: the sample's number, from 0.
        output: the output's name, or its position if it has none; None: the whole sample.
        largest: the largest absolute difference of two values; infinite where only one of
            them is NaN, or both are different infinities. None if no values were compared.
        reason: why no values were compared; empty if they were.
    """

    index: int
    output: str | int | None
    largest: float | None = None
    reason: str = ""

    def __str__(self) -> str:
        where = f"sample {self.index}"
        if self.output is not None:
            where += f", output {self.output!r}"
        return f"{where}: {self.reason or f'values differ by up to {self.largest:.3g}'}"


def compare_outputs(
    expected: Iterable[Arrays],
    got: Iterable[Sequence[NDArray[Any]]],
    *,
    atol: float = 1e-5,
    rtol: float = 1e-5,
) -> list[Mismatch]:
    """Where a model's outputs are not those that were expected.

    Values agree if they differ by at most `atol + rtol * abs(expected)`; NaN agrees with
    NaN, and an infinity with itself. Outputs are compared in their order. Their dtypes do
    not matter.

    Args:
        expected: the samples' outputs, without a batch dimension.
        got: the same, where each array may have a leading axis of 1.

    Returns:
        All that disagrees, samples and outputs that only one side has included.
    """
    found: list[Mismatch] = []
    for index, (sample, outputs) in enumerate(itertools.zip_longest(expected, got)):
        if sample is None:
            found.append(Mismatch(index, None, reason="it was not expected"))
        elif outputs is None:
            found.append(Mismatch(index, None, reason="no outputs came for it"))
        else:
            found += _compare_sample(index, named(sample), outputs, atol, rtol)
    return found


def _compare_sample(
    index: int, expected: Arrays, got: Sequence[NDArray[Any]], atol: float, rtol: float
) -> Iterator[Mismatch]:
    pairs = itertools.zip_longest(expected.items(), got)
    for position, (wanted, came) in enumerate(pairs):
        if wanted is None:
            yield Mismatch(index, position, reason="it was not expected")
            continue
        name, array = wanted
        if came is None:
            yield Mismatch(index, name, reason="it did not come")
            continue
        largest, reason = _difference(array, came, atol, rtol)
        if reason or largest is not None:
            yield Mismatch(index, name, largest, reason)


def _difference(
    expected: NDArray[Any], got: NDArray[Any], atol: float, rtol: float
) -> tuple[float | None, str]:
    """What is wrong: the largest difference, or a reason; `(None, "")` if nothing is."""
    numpy = extra("numpy")
    expected, got = numpy.asarray(expected), numpy.asarray(got)
    shape = got.shape
    if got.ndim == expected.ndim + 1 and shape[0] == 1:
        got = got[0]
    if got.shape != expected.shape:
        return None, f"its shape is {shape}, expected {expected.shape}"
    same = expected == got
    if not (_is_numeric(expected) and _is_numeric(got)):
        return None, "" if numpy.all(same) else "its values differ"
    # As wide as there is: small integers wrap around, and halves overflow.
    wide = numpy.result_type(expected, got, numpy.float64)
    expected, got = expected.astype(wide), got.astype(wide)
    same |= numpy.isnan(expected) & numpy.isnan(got)
    with numpy.errstate(invalid="ignore", over="ignore"):
        difference = numpy.abs(expected - got)
        difference = numpy.where(numpy.isnan(difference), numpy.inf, difference)
        difference = numpy.where(same, 0.0, difference)
        # Finite, because anything is within an infinite tolerance.
        is_close = numpy.isfinite(difference) & (difference <= atol + rtol * numpy.abs(expected))
    if numpy.all(same | is_close):
        return None, ""
    return float(difference.max()), ""


def _is_numeric(array: NDArray[Any]) -> bool:
    return array.dtype.kind in "biufc"
