"""Cut a TFLite model: turn the operators between named tensors into a model of their own.

The attention mesh contains custom operators that only MediaPipe can run. They connect parts without
custom operators; once cut out, each part runs on any TFLite runtime. BlazeFace is cut to spread its
cost over two frames.
"""

import struct
from collections.abc import Iterable, Sequence

from agent.errors import ModelError
from agent.face import flatbuffer
from agent.face.flatbuffer import Schema, Table

# TFLite's names, types and numbers: tensorflow/compiler/mlir/lite/schema/schema.fbs. Quantised and
# sparse tensors, control flow and other operators' options are not listed and therefore refused.

_OPTIONS: dict[int, Schema] = {
    1: dict(enumerate("biibiib")),  # Conv2D: padding, strides, activation, dilation, type of bias
    2: dict(enumerate("biiibii")),  # DepthwiseConv2D: a multiplier after the strides
    5: dict(enumerate("biiiib")),  # Pool2D: padding, strides, filter, activation
    10: dict(enumerate("ib")),  # Concatenation: axis, activation
    11: dict(enumerate("b?")),  # Add
    17: {"new_shape": "ints"},  # Reshape
    21: dict(enumerate("b")),  # Mul
    32: dict(enumerate("iiiii?")),  # StridedSlice
}
_CODE: Schema = {
    "deprecated_builtin_code": "b", "custom_code": "text", "version": "i", "builtin_code": "i",
}  # fmt: skip
_TENSOR: Schema = {
    "shape": "ints", "type": "b", "buffer": "I", "name": "text", "quantization": "refused",
    "is_variable": "?", "sparsity": "refused", "shape_signature": "ints", "has_rank": "?",
}  # fmt: skip
_OPERATOR: Schema = {
    "opcode_index": "I", "inputs": "ints", "outputs": "ints", "builtin_options_type": "B",
    "builtin_options": ("builtin_options_type", _OPTIONS), "custom_options": "data",
    "custom_options_format": "b",
}  # fmt: skip
_GRAPH: Schema = {
    "tensors": [_TENSOR], "inputs": "ints", "outputs": "ints", "operators": [_OPERATOR],
    "name": "text",
}  # fmt: skip
_MODEL: Schema = {
    "version": "I", "operator_codes": [_CODE], "subgraphs": [_GRAPH], "description": "text",
    "buffers": [{"data": "data"}], "metadata_buffer": "dropped", "metadata": "dropped",
    "signature_defs": "dropped",
}  # fmt: skip
_IDENTIFIER = b"TFL3"

_NO_TENSOR = -1
"""Marks an optional input that an operator does not use."""

_TENSOR_LISTS = "inputs", "outputs"


def cut(
    model: bytes, inputs: Sequence[str], outputs: Sequence[str], input_shape: Sequence[int]
) -> bytes:
    """Return a model that computes the tensors `outputs` from the tensors `inputs`.

    Operators, weights and names are unchanged; inputs and outputs are in the given order. Metadata
    and signatures are dropped. The same arguments always give the same bytes.

    `input_shape` is the shape of the first input, [1, height, width, channels]. If its height or
    width differ from the model's, all tensors computed from it are scaled in proportion. Raises
    ModelError if the model can't be read, or if the part needs a custom operator or another input.
    """
    try:
        if model[4:8] != _IDENTIFIER:
            raise ValueError(f"it begins with {model[:8]!r}")
        part = _part(flatbuffer.read(model, _MODEL), inputs, outputs)
        _resize(part["subgraphs"][0], input_shape)
        return flatbuffer.write(part, _MODEL, _IDENTIFIER)
    except (struct.error, LookupError, ValueError) as error:
        raise ModelError(f"expected a whole TFLite model of known tables: {error!r}") from error


def scaled(shape: Sequence[int], old: Sequence[int], new: Sequence[int]) -> tuple[int, ...]:
    """Return what `shape` becomes when the input shape changes from `old` to `new`.

    All are [1, height, width, channels]. Raises ModelError if anything but height and width would
    change, or if these would not be whole numbers.
    """
    if tuple(old) == tuple(new):
        return tuple(shape)
    sizes = list(zip(shape, old, new, strict=False))
    alike = len(shape) == len(old) == len(new) == 4 and (old[0], old[3]) == (new[0], new[3])
    if not alike or any(size * after % before for size, before, after in sizes[1:3]):
        raise ModelError(
            f"expected an input like {list(old)}, found {list(new)}: {list(shape)} can't follow"
        )
    height, width = (size * after // before for size, before, after in sizes[1:3])
    return shape[0], height, width, shape[3]


def _part(model: Table, inputs: Sequence[str], outputs: Sequence[str]) -> Table:
    (graph,) = model["subgraphs"]
    named = {each["name"].decode(): number for number, each in enumerate(graph["tensors"])}
    if missing := [name for name in (*inputs, *outputs) if name not in named]:
        raise ModelError(f"expected a model with a tensor {missing[0]}, found none")
    first, last = [named[name] for name in inputs], [named[name] for name in outputs]
    operators = _between(graph["operators"], first, last)
    part = {**graph, "operators": operators, "inputs": first, "outputs": last}
    linked = (number for each in operators for number in each["inputs"] + each["outputs"])
    used = sorted({*first, *last, *linked} - {_NO_TENSOR})
    _check(model, part, used)
    return _renumbered(model, part, used)


def _between(operators: list[Table], first: list[int], last: list[int]) -> list[Table]:
    """Return the operators that lead from the tensors `first` to the tensors `last`, in order."""
    makers = {made: number for number, each in enumerate(operators) for made in each["outputs"]}
    needed: set[int] = set()
    seen, todo = set(first), list(last)
    while todo:
        tensor = todo.pop()
        if tensor not in seen and tensor in makers:
            needed.add(makers[tensor])
            todo += operators[makers[tensor]]["inputs"]
        seen.add(tensor)
    return [operators[number] for number in sorted(needed)]


def _check(model: Table, part: Table, used: list[int]) -> None:
    """Raise ModelError for a custom operator or a tensor that nothing in the part computes."""
    for operator in part["operators"]:
        code = model["operator_codes"][operator.get("opcode_index", 0)]
        if "custom_code" in code:
            custom = code["custom_code"].decode()
            raise ModelError(f"expected standard operators, found the custom operator {custom}")
    made = {*part["inputs"], *(made for each in part["operators"] for made in each["outputs"])}
    for tensor in (part["tensors"][number] for number in used if number not in made):
        if not model["buffers"][tensor.get("buffer", 0)]:
            raise ModelError(f"expected {tensor['name'].decode()} among the inputs of the part")


def _renumbered(model: Table, part: Table, used: list[int]) -> Table:
    """Return the model with only the graph `part`, its tensors `used`, their buffers and its codes.

    Buffer 0 is kept: it is the empty buffer of all tensors without data.
    """
    tensors = [part["tensors"][number] for number in used]
    tensor = {_NO_TENSOR: _NO_TENSOR, **_places(used)}
    buffer = _places({0, *(each.get("buffer", 0) for each in tensors)})
    code = _places({each.get("opcode_index", 0) for each in part["operators"]})

    def moved(table: Table) -> Table:
        lists = {name: [tensor[number] for number in table[name]] for name in _TENSOR_LISTS}
        return {**table, **lists}

    graph = moved(part)
    graph["tensors"] = [{**each, "buffer": buffer[each.get("buffer", 0)]} for each in tensors]
    graph["operators"] = [
        {**moved(each), "opcode_index": code[each.get("opcode_index", 0)]}
        for each in part["operators"]
    ]
    return {
        **model,
        "operator_codes": [model["operator_codes"][number] for number in code],
        "subgraphs": [graph],
        "buffers": [model["buffers"][number] for number in buffer],
    }


def _places(numbers: Iterable[int]) -> dict[int, int]:
    """Map each number to its rank in ascending order."""
    return {number: place for place, number in enumerate(sorted(numbers))}


def _resize(graph: Table, shape: Sequence[int]) -> None:
    """Change height and width of the first input and of every tensor computed from it."""
    first, old = graph["inputs"][0], graph["tensors"][graph["inputs"][0]]["shape"]
    if old == list(shape):
        return
    moving = {first}
    for operator in graph["operators"]:
        if moving & set(operator["inputs"]):
            moving |= set(operator["outputs"])
    for number in moving:
        tensor = graph["tensors"][number]
        tensor["shape"] = list(scaled(tensor["shape"], old, list(shape)))
