"""ONNX files of the networks.

The protocol buffers are filled in field by field. onnx.helper would do it in fewer lines, but it
adds what the installed version of onnx thinks best, and the bytes would change with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import onnx

from .fixed import Array
from .network import Conv3x3, Dense, FixedParameters, Flatten, Layer, MaxPool2, Network, Relu
from .quantization import Quantization, QuantizeActivation, integers

INPUT_NAME = "input"
OUTPUT_NAME = "logits"
BATCH = "batch"
# Old enough for any onnxruntime in use, new enough for everything needed here.
IR_VERSION = 7
OPSET = 13
PRODUCER = "zoostore"

ELEMENT_TYPES = {
    "float32": onnx.TensorProto.FLOAT,
    "int8": onnx.TensorProto.INT8,
    "uint8": onnx.TensorProto.UINT8,
    "int32": onnx.TensorProto.INT32,
}
PLAIN_OPERATORS: Mapping[type, tuple[str, Mapping[str, int | list[int]]]] = {
    Flatten: ("Flatten", {"axis": 1}),
    Relu: ("Relu", {}),
    MaxPool2: ("MaxPool", {"kernel_shape": [2, 2], "strides": [2, 2]}),
}


@dataclass
class _Graph:
    """Nodes in order, each fed by the one before it. ``tip`` names the value made last."""

    tip: str = INPUT_NAME
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    tensors: list[onnx.TensorProto] = field(default_factory=list)

    def tensor(self, name: str, values: Array, dtype: str) -> str:
        little_endian = values.astype(np.dtype(dtype).newbyteorder("<"))
        proto = onnx.TensorProto(name=name, data_type=ELEMENT_TYPES[dtype], dims=values.shape)
        proto.raw_data = little_endian.tobytes()
        self.tensors.append(proto)
        return name

    def node(
        self,
        operator: str,
        name: str,
        inputs: Sequence[str],
        attributes: Mapping[str, int | list[int]] | None = None,
    ) -> str:
        proto = onnx.NodeProto(op_type=operator, name=name, input=inputs, output=[f"{name}.out"])
        proto.attribute.extend(_attribute(*item) for item in (attributes or {}).items())
        self.nodes.append(proto)
        return f"{name}.out"

    def scale(self, name: str, bits: int, dtype: str) -> list[str]:
        """The last two inputs of (De)QuantizeLinear: scale ``2**-bits``, zero point 0."""
        scale = self.tensor(f"{name}_scale", np.array(2.0**-bits), "float32")
        return [scale, self.tensor(f"{name}_zero_point", np.array(0.0), dtype)]

    def dequantized(self, name: str, values: Array, bits: int, dtype: str) -> str:
        """Stored integers and the node that turns them into float32."""
        stored = self.tensor(f"{name}_quantized", values, dtype)
        scale = self.scale(name, bits, dtype)
        return self.node("DequantizeLinear", f"{name}.dequantize", [stored, *scale])


def onnx_model(
    name: str,
    network: Network,
    parameters: FixedParameters,
    input_shape: tuple[int, ...],
    classes: int,
    quantization: Quantization | None = None,
) -> bytes:
    """An ONNX file: float32 ``input`` (batch, *input_shape) to float32 ``logits`` (batch, classes).

    With ``quantization``, weights are stored as int8 and activations pass through uint8, written
    as the QuantizeLinear/DequantizeLinear pairs that runtimes turn into integer kernels.
    """
    graph = _Graph()
    for number, layer in enumerate(network.layers):
        _add_layer(graph, layer, number, parameters, quantization)
    graph.nodes[-1].output[0] = OUTPUT_NAME
    model = onnx.ModelProto(ir_version=IR_VERSION, producer_name=PRODUCER, model_version=1)
    model.opset_import.append(onnx.OperatorSetIdProto(version=OPSET))
    model.graph.name = name
    model.graph.node.extend(graph.nodes)
    model.graph.initializer.extend(graph.tensors)
    model.graph.input.append(_value(INPUT_NAME, input_shape))
    model.graph.output.append(_value(OUTPUT_NAME, (classes,)))
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString(deterministic=True))


def _add_layer(
    graph: _Graph,
    layer: Layer,
    number: int,
    parameters: FixedParameters,
    quantization: Quantization | None,
) -> None:
    if isinstance(layer, QuantizeActivation):
        _add_rounding(graph, layer, number)
    elif isinstance(layer, Dense):
        weights = _stored(graph, layer.name, parameters, quantization)
        graph.tip = graph.node("Gemm", layer.name, [graph.tip, *weights], {"transB": 1})
    elif isinstance(layer, Conv3x3):
        weights = _stored(graph, layer.name, parameters, quantization)
        window = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}
        graph.tip = graph.node("Conv", layer.name, [graph.tip, *weights], window)
    else:
        operator, attributes = PLAIN_OPERATORS[type(layer)]
        name = f"{operator.lower()}{number}"
        graph.tip = graph.node(operator, name, [graph.tip], attributes)


def _add_rounding(graph: _Graph, layer: QuantizeActivation, number: int) -> None:
    scale = graph.scale(f"activation{number}", layer.bits, "uint8")
    whole = graph.node("QuantizeLinear", f"quantize{number}", [graph.tip, *scale])
    graph.tip = graph.node("DequantizeLinear", f"dequantize{number}", [whole, *scale])


def _stored(
    graph: _Graph, layer: str, parameters: FixedParameters, quantization: Quantization | None
) -> list[str]:
    """The names of a layer's weight and bias, as values of type float32."""
    weight, bias = f"{layer}.weight", f"{layer}.bias"
    if quantization is None:
        return [graph.tensor(name, parameters[name].values, "float32") for name in (weight, bias)]
    whole = integers({name: parameters[name] for name in (weight, bias)})
    return [
        graph.dequantized(weight, whole[weight], quantization.weights[layer], "int8"),
        graph.dequantized(bias, whole[bias], quantization.bias_bits(layer), "int32"),
    ]


def _attribute(name: str, value: int | list[int]) -> onnx.AttributeProto:
    if isinstance(value, int):
        return onnx.AttributeProto(name=name, type=onnx.AttributeProto.INT, i=value)
    return onnx.AttributeProto(name=name, type=onnx.AttributeProto.INTS, ints=value)


def _value(name: str, shape: tuple[int, ...]) -> onnx.ValueInfoProto:
    info = onnx.ValueInfoProto(name=name)
    info.type.tensor_type.elem_type = onnx.TensorProto.FLOAT
    info.type.tensor_type.shape.dim.add(dim_param=BATCH)
    for size in shape:
        info.type.tensor_type.shape.dim.add(dim_value=size)
    return info
