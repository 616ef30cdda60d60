"""Inference: real models on real samples, and outputs that are told apart."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeAlias

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import TensorProto, helper

from zoostore import Store
from zoostore.errors import MalformedObject, MissingExtra, UnknownChoice, UnknownPath, UsageError
from zoostore.views.arrays import Arrays, load_numpy_list
from zoostore.views.inference import ENGINES, Mismatch, compare_outputs, run_model

Array: TypeAlias = NDArray[Any]
Shape: TypeAlias = Sequence[int | str | None] | None

TABULAR = "zoo:tabular/classification/mlp-32/numpy/zoostore/breast_cancer/base-none"


def value(name: str, shape: Shape, kind: int = TensorProto.FLOAT) -> Any:
    return helper.make_tensor_value_info(name, kind, shape)


def tensor(name: str, array: Array) -> Any:
    return onnx.numpy_helper.from_array(array, name)


def f32(*values: float) -> Array:
    return np.array(values, np.float32)


class Save:
    """Writes models of few nodes below a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(
        self,
        nodes: Sequence[tuple[str, list[str], list[str]]],
        inputs: Sequence[Any],
        outputs: Sequence[Any],
        weights: Sequence[Any] = (),
    ) -> Path:
        graph = helper.make_graph(
            [helper.make_node(*node) for node in nodes], "g", inputs, outputs, weights
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
        path = self._folder / "model.onnx"
        onnx.save(model, path)
        return path


@pytest.fixture
def save(tmp_path: Path) -> Save:
    return Save(tmp_path)


@pytest.fixture
def difference(save: Save) -> Path:
    """`y = a - b`, for batches of pairs."""
    pairs: Shape = ["n", 2]
    return save(
        [("Sub", ["a", "b"], ["y"])], [value("a", pairs), value("b", pairs)], [value("y", pairs)]
    )


# Running


def test_each_sample_is_run_as_a_batch_of_one(difference: Path) -> None:
    samples = [{"a": f32(n, 5), "b": f32(1, 1)} for n in range(3)]

    outputs = list(run_model(str(difference), samples))

    assert [[array.tolist() for array in sample] for sample in outputs] == [
        [[[n - 1, 4]]] for n in range(3)
    ]


def test_all_outputs_come_in_the_models_order(save: Save) -> None:
    path = save(
        [("Neg", ["x"], ["z"]), ("Relu", ["x"], ["a"])],
        [value("x", ["n", 2])],
        [value("z", ["n", 2]), value("a", ["n", 2])],
    )

    (outputs,) = run_model(path, [{"x": f32(-1, 1)}])

    assert [array.tolist() for array in outputs] == [[[1, -1]], [[0, 1]]]


def test_arrays_go_to_the_inputs_of_their_names(difference: Path) -> None:
    (outputs,) = run_model(difference, [{"b": f32(1, 1), "a": f32(5, 6)}])

    assert outputs[0].tolist() == [[4, 5]]


def test_arrays_of_other_names_go_to_the_inputs_in_their_order(difference: Path) -> None:
    (outputs,) = run_model(difference, [{"z": f32(5, 6), "c": f32(1, 1)}])

    assert outputs[0].tolist() == [[4, 5]]


def test_a_lone_array_goes_to_the_only_input(save: Save) -> None:
    path = save([("Neg", ["x"], ["y"])], [value("x", ["n", 2])], [value("y", ["n", 2])])
    lone: Any = f32(1, 2)

    assert [outputs[0].tolist() for outputs in run_model(path, [lone])] == [[[-1, -2]]]


def test_weights_that_are_listed_as_inputs_need_no_arrays(save: Save) -> None:
    path = save(
        [("Sub", ["x", "w"], ["y"])],
        [value("w", [2]), value("x", ["n", 2])],
        [value("y", ["n", 2])],
        [tensor("w", f32(1, 2))],
    )

    (outputs,) = run_model(path, [{"any": f32(5, 5)}])

    assert outputs[0].tolist() == [[4, 3]]


@pytest.mark.parametrize(
    ("declared", "given_", "came"),
    [
        (["n", 2], (2,), (1, 2)),
        (["n", 2], (3, 2), (3, 2)),
        ([2], (2,), (2,)),
        (["n"], (), (1,)),
        ([], (), ()),
        (None, (2, 2), (1, 2, 2)),
    ],
)
def test_an_array_of_the_inputs_rank_gets_no_further_axis(
    declared: Shape, given_: tuple[int, ...], came: tuple[int, ...], save: Save
) -> None:
    path = save([("Neg", ["x"], ["y"])], [value("x", declared)], [value("y", declared)])

    (outputs,) = run_model(path, [{"x": np.zeros(given_, np.float32)}])

    assert outputs[0].shape == came


def test_samples_are_taken_one_at_a_time(difference: Path) -> None:
    taken = []

    def endless() -> Any:
        for n in itertools.count():
            taken.append(n)
            yield {"a": f32(n, n), "b": f32(0, 0)}

    outputs = list(itertools.islice(run_model(difference, endless()), 3))

    assert [sample[0][0, 0] for sample in outputs] == [0, 1, 2]
    assert taken == [0, 1, 2]


@pytest.mark.parametrize("names", [["a"], ["a", "b", "c"], []])
def test_a_sample_of_more_or_fewer_arrays_is_refused(names: list[str], difference: Path) -> None:
    fits = {"a": f32(1, 1), "b": f32(1, 1)}
    running = run_model(difference, [fits, dict.fromkeys(names, f32(1, 1))])
    next(running)

    with pytest.raises(UsageError) as caught:
        next(running)

    assert (
        caught.value.message == f"Sample 1: The model takes ['a', 'b'], and the sample has {names}."
    )


@pytest.mark.parametrize("array", [f32(1, 2, 3), np.zeros(2), np.zeros((1, 1, 2), np.float32)])
def test_a_sample_that_does_not_fit_is_refused_and_nothing_printed(
    array: Array, difference: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UsageError, match="Sample 0: onnxruntime cannot"):
        list(run_model(difference, [{"a": array, "b": array}]))

    assert capfd.readouterr() == ("", "")


def test_a_model_that_fails_while_it_runs_is_said_and_nothing_printed(
    save: Save, capfd: pytest.CaptureFixture[str]
) -> None:
    path = save(
        [("Reshape", ["x", "s"], ["y"])],
        [value("x", ["n", 2]), value("s", [1], TensorProto.INT64)],
        [value("y", None)],
    )

    with pytest.raises(UsageError, match="Sample 0: onnxruntime cannot"):
        list(run_model(path, [{"x": f32(1, 2), "s": np.array([7])}]))

    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("data", [b"", b"junk", b"<!DOCTYPE html>", bytes(100)])
def test_a_file_that_is_no_model_is_refused_before_anything_is_run(
    data: bytes, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(data)

    with pytest.raises(MalformedObject, match=r"onnxruntime cannot load .*model\.onnx"):
        run_model(path, [])

    assert capfd.readouterr() == ("", "")


def test_a_model_cut_off_anywhere_is_refused(difference: Path) -> None:
    data = difference.read_bytes()

    for size in range(0, len(data), 7):
        difference.write_bytes(data[:size])
        with pytest.raises(MalformedObject):
            run_model(difference, [])


@pytest.mark.parametrize("engine", ENGINES)
def test_a_missing_model_is_said(
    engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "deepsparse", SimpleNamespace())

    for path in (tmp_path / "none.onnx", tmp_path):
        with pytest.raises(UnknownPath):
            run_model(path, [], engine)


def test_an_unknown_engine_is_refused_with_those_that_there_are(difference: Path) -> None:
    with pytest.raises(UnknownChoice, match=r"'tensorrt'.*onnxruntime and deepsparse"):
        run_model(difference, [], "tensorrt")


@pytest.mark.parametrize("engine", ENGINES)
def test_an_engine_that_is_not_installed_is_said(
    engine: str, difference: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, engine, None)

    with pytest.raises(MissingExtra, match=engine) as caught:
        run_model(difference, [], engine)

    assert ("zoostore[onnx]" in caught.value.message) == (engine == "onnxruntime")


def with_deepsparse(
    monkeypatch: pytest.MonkeyPatch, run: Callable[[list[Array]], list[Array]]
) -> list[tuple[object, ...]]:
    """Stand in for deepsparse, which no longer can be installed; what it was called with."""
    calls: list[tuple[object, ...]] = []

    def compile_model(path: str, batch_size: int) -> SimpleNamespace:
        calls.append((path, batch_size))
        if not Path(path).read_bytes():
            raise RuntimeError("no model")
        return SimpleNamespace(run=run)

    monkeypatch.setitem(sys.modules, "deepsparse", SimpleNamespace(compile_model=compile_model))
    return calls


def test_deepsparse_is_used_where_it_is_installed(
    difference: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = with_deepsparse(monkeypatch, lambda arrays: [arrays[0] - arrays[1]])

    (outputs,) = run_model(difference, [{"a": f32(5, 6), "b": f32(1, 1)}], "deepsparse")

    assert outputs[0].tolist() == [[4, 5]]
    assert calls == [(str(difference), 1)]


def test_what_deepsparse_refuses_is_said(difference: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_deepsparse(monkeypatch, lambda arrays: [arrays[7]])

    with pytest.raises(UsageError, match="Sample 0: deepsparse cannot"):
        list(run_model(difference, [{"a": f32(5, 6)}], "deepsparse"))
    difference.write_bytes(b"")
    with pytest.raises(MalformedObject, match=r"deepsparse cannot load .*: no model\."):
        run_model(difference, [], "deepsparse")


def test_the_built_in_model_gives_the_outputs_that_come_with_it(store: Store) -> None:
    store.pull(TABULAR)
    model = store.checkout(TABULAR, store.path.parent / "model").directory
    inputs: Any = load_numpy_list(model / "sample_inputs.tar.gz")
    expected: Any = load_numpy_list(model / "sample_outputs.tar.gz")

    assert len(inputs) == 10
    assert compare_outputs(expected, run_model(model / "model.onnx", inputs)) == []
    turned = compare_outputs(reversed(expected), run_model(model / "model.onnx", inputs))
    assert [mismatch.index for mismatch in turned] == list(range(10))


def test_nothing_of_the_extra_is_imported_before_it_is_used() -> None:
    program = "import sys, zoostore.views.inference; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)

    assert not {b"numpy", b"onnx", b"onnxruntime"} & set(done.stdout.split())


# Comparing


def compared(expected: Array, got: Array, **tolerance: float) -> list[Mismatch]:
    return compare_outputs([{"y": expected}], [[got]], **tolerance)


@given(
    st.lists(st.floats(width=32), max_size=5),
    st.sampled_from(["float32", "float64", "complex64"]),
    st.booleans(),
)
def test_outputs_agree_with_themselves(values: list[float], kind: str, batched: bool) -> None:
    array = np.array(values, kind)

    assert compared(array, array[None] if batched else array) == []


@given(
    st.lists(st.tuples(st.floats(), st.floats()), min_size=1, max_size=5),
    st.floats(0, 1e300),
    st.floats(0, 1),
)
def test_outputs_agree_where_numpy_says_so(
    pairs: list[tuple[float, float]], atol: float, rtol: float
) -> None:
    expected, got = np.array(pairs).T
    with np.errstate(all="ignore"):
        agree = np.allclose(got, expected, atol=atol, rtol=rtol, equal_nan=True)

    found = compared(expected, got, atol=atol, rtol=rtol)

    assert (found == []) == agree
    assert all(mismatch.largest is not None and mismatch.largest > 0 for mismatch in found)


@pytest.mark.parametrize(
    ("expected", "got", "largest"),
    [
        (f32(1, 2, 3), f32(1, 2.5, 3), 0.5),
        (f32(1), f32(1.001), pytest.approx(0.001, rel=1e-3)),
        (f32(0), f32(np.nan), np.inf),
        (f32(np.nan), f32(0), np.inf),
        (f32(np.inf), f32(0), np.inf),
        (f32(0), f32(np.inf), np.inf),
        (f32(np.inf), f32(-np.inf), np.inf),
        (f32(np.nan, 1), f32(np.nan, 3), 2),
        (f32(np.inf, 1), f32(np.inf, 3), 2),
        (np.array([3], np.uint8), np.array([5], np.uint8), 2),
        (np.array([-128], np.int8), np.array([127], np.int8), 255),
        (np.array([60000], np.float16), np.array([-60000], np.float16), 120_000),
        (np.array([True]), np.array([False]), 1),
        (np.array([3 + 4j]), np.array([0j]), 5),
        (np.array(1.0), np.array(3.0), 2),
        (np.array([1]), f32(3), 2),
    ],
)
def test_the_largest_difference_is_given(expected: Array, got: Array, largest: float) -> None:
    assert compared(expected, got) == [Mismatch(0, "y", largest)]


@pytest.mark.parametrize(
    ("expected", "got"),
    [
        (f32(1000), f32(1000.005)),
        (f32(0), f32(0.000009)),
        (f32(np.nan, np.inf, -np.inf), f32(np.nan, np.inf, -np.inf)),
        (np.zeros((0, 3)), np.zeros((1, 0, 3))),
        (np.array(1.0), f32(1)),
        (np.array([1]), f32(1)),
        (np.array(["a", "b"]), np.array(["a", "b"], object)),
    ],
)
def test_outputs_within_the_tolerance_agree(expected: Array, got: Array) -> None:
    assert compared(expected, got) == []


@pytest.mark.parametrize(
    ("expected", "got"),
    [
        ((2,), (3,)),
        ((2,), (2, 1)),
        ((2,), (2, 2)),
        ((1, 2), (2,)),
        ((2,), (1, 1, 2)),
        ((2, 3), (3, 2)),
        ((), (2,)),
        ((0,), (1,)),
    ],
)
def test_shapes_that_differ_are_named(expected: tuple[int, ...], got: tuple[int, ...]) -> None:
    assert compared(np.zeros(expected), np.zeros(got)) == [
        Mismatch(0, "y", reason=f"its shape is {got}, expected {expected}")
    ]


@pytest.mark.parametrize(
    ("expected", "got"),
    [
        (np.array(["a"]), np.array(["b"])),
        (np.array(["1"]), f32(1)),
        (f32(1), np.array([{"a": 1}])),
    ],
)
def test_values_that_are_no_numbers_are_compared_as_they_are(expected: Array, got: Array) -> None:
    assert compared(expected, got) == [Mismatch(0, "y", reason="its values differ")]


def test_every_output_that_differs_is_named() -> None:
    expected = [{"a": f32(1), "b": f32(2)}, {"a": f32(3), "b": f32(4)}]

    found = compare_outputs(expected, [[f32(1), f32(0)], [f32(4), f32(4)]])

    assert found == [Mismatch(0, "b", 2.0), Mismatch(1, "a", 1.0)]


def test_samples_and_outputs_of_one_side_are_mismatches() -> None:
    one: Arrays = {"a": f32(1)}
    two: Arrays = {"a": f32(1), "b": f32(2)}

    assert compare_outputs([one, one, one], [[f32(1)]]) == [
        Mismatch(1, None, reason="no outputs came for it"),
        Mismatch(2, None, reason="no outputs came for it"),
    ]
    assert compare_outputs([], [[f32(1)]]) == [Mismatch(0, None, reason="it was not expected")]
    assert compare_outputs([two], [[f32(1)]]) == [Mismatch(0, "b", reason="it did not come")]
    assert compare_outputs([one], [[f32(1), f32(2)]]) == [
        Mismatch(0, 1, reason="it was not expected")
    ]
    assert compare_outputs([], []) == []


def test_a_lone_array_is_compared_as_the_output_ndarray() -> None:
    lone: Any = f32(1)

    assert compare_outputs([lone], [[f32(1)]]) == []
    assert compare_outputs([lone], [[f32(2)]]) == [Mismatch(0, "ndarray", 1.0)]


@pytest.mark.parametrize(
    ("mismatch", "text"),
    [
        (Mismatch(3, "y", 0.25), "sample 3, output 'y': values differ by up to 0.25"),
        (Mismatch(0, 1, reason="it was not expected"), "sample 0, output 1: it was not expected"),
        (Mismatch(2, None, reason="no outputs came for it"), "sample 2: no outputs came for it"),
    ],
)
def test_a_mismatch_says_what_it_is(mismatch: Mismatch, text: str) -> None:
    assert str(mismatch) == text
