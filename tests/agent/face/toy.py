"""A model that is small enough to be made in a test."""

import numpy as np

from agent.face import flatbuffer, model_cut

CONTENT = b"not a model, but the very bytes that were pinned"


def toy_model() -> bytes:
    """A model: the picture x and a half gives `open`, and that twice gives `wide`."""
    numbers = [np.array([value], "<f4").tobytes() for value in (0.5, 2.0)]
    shapes = {
        "x": [1, 2, 2, 1],
        "half": [1],
        "open": [1, 2, 2, 1],
        "two": [1],
        "wide": [1, 2, 2, 1],
    }
    buffers = {"half": 1, "two": 2}
    tensors = [
        {"shape": shape, "type": 0, "buffer": buffers.get(name, 0), "name": name.encode()}
        for name, shape in shapes.items()
    ]
    add = {"opcode_index": 0, "inputs": [0, 1], "outputs": [2]}
    multiply = {"opcode_index": 1, "inputs": [2, 3], "outputs": [4]}
    add |= {"builtin_options_type": 11, "builtin_options": {0: 0}}
    multiply |= {"builtin_options_type": 21, "builtin_options": {0: 0}}
    graph = {"tensors": tensors, "inputs": [0], "outputs": [4], "operators": [add, multiply]}
    codes = [{"deprecated_builtin_code": number, "builtin_code": number} for number in (0, 18)]
    model = {"version": 3, "operator_codes": codes, "subgraphs": [graph]}
    model["buffers"] = [{}, *({"data": each} for each in numbers)]
    return flatbuffer.write(model, model_cut._MODEL, b"TFL3")


TOY = toy_model()
