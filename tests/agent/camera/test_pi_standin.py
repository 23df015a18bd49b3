"""The stand-in of picamera2 has what picamera2 has, and agent/camera/pi.py calls it so.

picamera2 can't be imported without libcamera, so its source is read: two pinned versions of it.
"""

import ast
import inspect
from functools import cache
from inspect import Parameter, Signature
from pathlib import Path
from typing import Any

import pytest

from agent.errors import ModelError
from agent.face import model_files, models
from agent.face.model_files import PackagedFile
from tests.standins.picamera2 import CompletedRequest, Picamera2

ROOT = Path(__file__).parents[3]
HERE = Path(__file__).parent
UNKNOWN = "a default that is no literal"
Signatures = dict[str, Signature]


@cache
def source(version: str, file: str) -> ast.Module:
    """One file of picamera2, parsed."""
    wanted = model_files.read_files(HERE / "picamera2.toml", PackagedFile)[f"{version}_{file}"]
    try:
        (path,) = model_files.fetch_files([wanted], models.default_cache())
    except ModelError as error:
        pytest.skip(f"picamera2's source is not here and can't be fetched: {error}")
    return ast.parse(path.read_text())


def methods(module: ast.Module, name: str) -> Signatures:
    """The signatures of a class's methods; an overload is not yet one."""
    (found,) = [
        each for each in module.body if isinstance(each, ast.ClassDef) and each.name == name
    ]
    return {
        each.name: signature(each.args)
        for each in found.body
        if isinstance(each, ast.FunctionDef)
        and "overload" not in {ast.unparse(one) for one in each.decorator_list}
    }


def signature(arguments: ast.arguments) -> Signature:
    """As inspect would have it, without annotations."""
    assert not arguments.posonlyargs
    assert not arguments.kwonlyargs
    names = arguments.args
    defaults = [Parameter.empty] * (len(names) - len(arguments.defaults))
    defaults += [literal(each) for each in arguments.defaults]
    parameters = [
        Parameter(each.arg, Parameter.POSITIONAL_OR_KEYWORD, default=default)
        for each, default in zip(names, defaults, strict=True)
    ]
    if arguments.vararg:
        parameters.append(Parameter(arguments.vararg.arg, Parameter.VAR_POSITIONAL))
    if arguments.kwarg:
        parameters.append(Parameter(arguments.kwarg.arg, Parameter.VAR_KEYWORD))
    return Signature(parameters)


def literal(node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except ValueError:
        return UNKNOWN


def ours(kind: type) -> Signatures:
    """Those of the stand-in, without annotations."""
    return {
        name: Signature(
            [
                each.replace(annotation=Parameter.empty)
                for each in inspect.signature(function).parameters.values()
            ]
        )
        for name, function in inspect.getmembers(kind, inspect.isfunction)
        if name == "__init__" or not name.startswith("_")
    }


def same(one: Signature, other: Signature) -> bool:
    """Names, kinds and defaults; a default that is no literal agrees with any."""
    pairs = list(zip(one.parameters.values(), other.parameters.values(), strict=False))
    return len(one.parameters) == len(other.parameters) and all(
        (left.name, left.kind) == (right.name, right.kind)
        and (left.default is Parameter.empty) == (right.default is Parameter.empty)
        and (UNKNOWN in (left.default, right.default) or left.default == right.default)
        for left, right in pairs
    )


VERSIONS = pytest.mark.parametrize("version", ["old", "new"])
KINDS = pytest.mark.parametrize(
    ("kind", "file"), [(Picamera2, "camera"), (CompletedRequest, "request")]
)


@VERSIONS
@KINDS
def test_every_method_of_the_stand_in_is_picamera2_s_with_its_parameters_and_defaults(
    version: str, kind: type, file: str
) -> None:
    theirs = methods(source(version, file), kind.__name__)
    for name, signature in ours(kind).items():
        assert name in theirs, f"picamera2 has no {kind.__name__}.{name}"
        assert same(signature, theirs[name]), f"{name}{theirs[name]}, here {name}{signature}"


@VERSIONS
def test_every_call_of_ours_is_one_that_picamera2_takes(version: str) -> None:
    theirs = {
        "camera": methods(source(version, "camera"), "Picamera2"),
        "request": methods(source(version, "request"), "CompletedRequest"),
    }
    calls = list(calls_of_ours())
    assert {name for _, name, _ in calls} >= {
        "capture_request", "get_metadata", "make_array", "release", "start", "stop", "close",
        "configure", "create_video_configuration", "camera_configuration", "set_controls",
        "cancel_all_and_flush",
    }  # fmt: skip
    for whose, name, call in calls:
        assert name in theirs[whose], f"picamera2 has no {name}"
        named = {each.arg: None for each in call.keywords if each.arg} if call else {}
        theirs[whose][name].bind(None, *([None] * (len(call.args) if call else 0)), **named)


def calls_of_ours() -> Any:
    """Whose method, its name, and the call, or None where it is handed on to be called bare."""
    tree = ast.parse((ROOT / "agent" / "camera" / "pi.py").read_text())
    called = {id(each.func): each for each in ast.walk(tree) if isinstance(each, ast.Call)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            whose = ast.unparse(node.value)
            if whose in ("self._camera", "camera"):
                yield "camera", node.attr, called.get(id(node))
            elif whose == "request":
                yield "request", node.attr, called.get(id(node))


@VERSIONS
def test_a_wait_is_a_number_of_seconds_that_ends_in_a_timeout(version: str) -> None:
    """`capture_request(wait=…)` hands it on to a future's result, which raises TimeoutError."""
    text = ast.unparse(source(version, "camera"))
    assert "return self.dispatch_functions(functions, wait, signal_function)" in text
    assert "return job.get_result(timeout=timeout) if wait else job" in text


@VERSIONS
def test_controls_are_forgotten_with_each_start_and_have_to_be_said_again(version: str) -> None:
    starts = methods(source(version, "camera"), "Picamera2")
    assert "start_" in starts
    text = ast.unparse(source(version, "camera"))
    begin = text.index("def start_(self)")
    assert "self.controls = Controls(self)" in text[begin : text.index("def start(self", begin)]


def test_a_changed_parameter_would_be_noticed() -> None:
    changed = ast.parse("class Picamera2:\n    def stop(self, wait=True):\n        pass")
    assert not same(ours(Picamera2)["stop"], methods(changed, "Picamera2")["stop"])
