"""ONNX models that keep their tensors in other files, laid out so that every release reads them.

onnx refuses such a file if it has a second name or is a symbolic link (since 1.21), and
onnxruntime if a symbolic link leads out of the model's folder (since 1.24).
"""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from zoostore import Model, Store
from zoostore.onnx_data import external_data

STUB = "zoo:cv/classification/matmul-1/onnx/none/none/base-none"
MODES = ("auto", "copy", "hardlink", "symlink")


def matmul(*names: str) -> Any:
    """A model that multiplies by each of some matrices."""
    values = ["x", *(f"y_{name}" for name in names)]
    nodes = [
        helper.make_node("MatMul", [before, name], [after])
        for name, before, after in zip(names, values, values[1:], strict=False)
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, 8))],
        [helper.make_tensor_value_info(values[-1], TensorProto.FLOAT, (1, 8))],
        [numpy_helper.from_array(np.eye(8, dtype=np.float32), name) for name in names],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def save(path: Path, location: str | None = "model.data") -> Path:
    """A folder with a model whose tensors are elsewhere: in one file, or in one each."""
    (path / os.path.dirname(location or "")).mkdir(parents=True)
    onnx.save_model(
        matmul("a", "b"),
        path / "model.onnx",
        save_as_external_data=True,
        all_tensors_to_one_file=location is not None,
        location=location,
        size_threshold=0,
    )
    (path / "training").mkdir(exist_ok=True)
    (path / "training" / "model.bin").write_bytes(b"weights" * 100)
    return path


def require_readable(model: str | Path) -> None:
    """See that onnx and onnxruntime read a model with all its tensors."""
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"x": np.ones((1, 8), np.float32)})
    assert found.tolist() == [[1.0] * 8]
    onnx.checker.check_model(str(model))
    assert all(tensor.raw_data for tensor in onnx.load(str(model)).graph.initializer)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store in which small files are large, and are linked."""
    store = Store(tmp_path / "store")
    store.add_remote("none", str(tmp_path / "none"))
    store.remove_remote("none")
    (store.path / "config.toml").write_text('large_object = 16\nlink = "hardlink"\n')
    return Store(store.path)


@pytest.mark.parametrize("mode", MODES)
def test_a_checkout_of_every_link_mode_can_be_read(store: Store, tmp_path: Path, mode: str) -> None:
    store.add(save(tmp_path / "model"), STUB)

    done = store.checkout(STUB, tmp_path / "out", link=mode)

    require_readable(tmp_path / "out" / "model.onnx")
    assert done.linked["copy"] + done.linked["reflink"] >= 1
    if mode in ("hardlink", "symlink"):
        assert done.linked[mode] == 2, "the model itself, and what is no tensor of it"
    assert store.status(tmp_path / "out").is_clean


@pytest.mark.parametrize("location", ["model.data", "sub/w.bin", None])
def test_a_model_brings_its_tensors_along(
    store: Store, tmp_path: Path, location: str | None
) -> None:
    store.add(save(tmp_path / "model", location), STUB)

    onnx_model = Model(STUB, store=store).onnx_model

    assert onnx_model is not None
    require_readable(onnx_model.path)
    assert not (Path(onnx_model.parent_directory) / "training").exists()


def test_tensors_that_were_asked_for_first_are_no_obstacle(store: Store, tmp_path: Path) -> None:
    store.add(save(tmp_path / "model"), STUB)
    model = Model(STUB, store=store)
    data = Path(model["model.data"].path)
    assert data.stat().st_nlink == 2

    require_readable(Model(STUB, store=store)["model.onnx"].path)

    assert data.stat().st_nlink == 1


def test_tensors_that_come_with_an_update_are_files_of_their_own(
    store: Store, tmp_path: Path
) -> None:
    model = save(tmp_path / "model")
    store.add(model, STUB)
    store.checkout(STUB, tmp_path / "out", link="hardlink")
    changed = bytes(reversed((model / "model.data").read_bytes()))
    (model / "model.data").write_bytes(changed)
    store.add(model, STUB)

    store.checkout(STUB, tmp_path / "out", link="hardlink")

    assert (tmp_path / "out" / "model.data").read_bytes() == changed
    assert (tmp_path / "out" / "model.data").stat().st_nlink == 1


# Finding the files


def found_in(model: Any) -> set[str]:
    data = model.SerializeToString()
    return external_data(io.BytesIO(data), len(data))


def external(name: str, location: str) -> Any:
    tensor = helper.make_tensor(name, TensorProto.FLOAT, [1], [0.0])
    tensor.ClearField("float_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("offset", "0"), ("location", location)):
        tensor.external_data.add(key=key, value=value)
    return tensor


def test_tensors_are_found_wherever_they_stand() -> None:
    model = matmul("a")
    assert found_in(model) == set()
    model.graph.initializer.append(external("w", "w.bin"))
    model.graph.node.append(helper.make_node("Constant", [], ["c"], value=external("c", "c.bin")))
    branch = helper.make_graph([], "branch", [], [], [external("d", "sub/d.bin")])
    model.graph.node.append(helper.make_node("If", ["x"], ["i"], then_branch=branch))
    model.graph.sparse_initializer.add(values=external("e", "e.bin"))
    constant = helper.make_node("Constant", [], ["f"], value=external("f", "f.bin"))
    opsets = [helper.make_opsetid("", 13)]
    model.functions.append(helper.make_function("own", "F", [], ["f"], [constant], opsets))

    assert found_in(model) == {"w.bin", "c.bin", "sub/d.bin", "e.bin", "f.bin"}


@given(st.binary(max_size=200))
def test_junk_has_no_tensors_elsewhere_and_does_no_harm(data: bytes) -> None:
    external_data(io.BytesIO(data), len(data))


@given(st.integers(0, 400), st.integers(0, 255), st.integers(0, 400))
def test_a_damaged_model_does_no_harm(at: int, byte: int, length: int) -> None:
    model = matmul("a")
    model.graph.initializer.append(external("w", "w.bin"))
    data = bytearray(model.SerializeToString())
    data[at % len(data)] = byte

    assert external_data(io.BytesIO(data[:length]), length) <= {"w.bin"} or byte


def test_a_large_model_is_not_read_through() -> None:
    class Counted(io.BytesIO):
        count = 0

        def read(self, size: int | None = -1) -> bytes:
            data = super().read(size)
            self.count += len(data)
            return data

    model = matmul("a")
    model.graph.initializer.append(numpy_helper.from_array(np.zeros(5 << 20, np.int32), "big"))
    model.graph.initializer.append(external("w", "w.bin"))
    data = model.SerializeToString()
    file = Counted(data)

    assert external_data(file, len(data)) == {"w.bin"}
    assert file.count < 10_000 < len(data)
