"""Convert the value of a setting to its type. TOML has types; the environment has only text."""

import typing
from pathlib import Path
from typing import Any, Literal

from agent.errors import ConfigError


def value_of(name: str, kind: Any, value: Any) -> Any:
    """Return `value` converted to `kind`, the type of the setting `name`. Raises ConfigError."""
    if type(None) in typing.get_args(kind):  # an optional setting, which was given
        kind = next(each for each in typing.get_args(kind) if each is not type(None))
    if typing.get_origin(kind) is Literal:
        return _choice(name, typing.get_args(kind), value)
    try:
        return _CONVERT[kind](value)
    except (KeyError, TypeError, ValueError):
        raise ConfigError(f"{name}: expected {_SAY[kind]}, found {value!r}") from None


def _choice(name: str, choices: tuple[Any, ...], value: Any) -> Any:
    """Return `value` as one of `choices`, which have one type."""
    try:
        chosen = _CONVERT[type(choices[0])](value)
    except (TypeError, ValueError):
        chosen = None
    if chosen in choices:
        return chosen
    raise ConfigError(f"{name}: expected one of {', '.join(map(str, choices))}, found {value!r}")


_TRUTHS = {"true": True, "1": True, "false": False, "0": False}


def _bool(value: object) -> bool:
    if isinstance(value, bool):
        return value
    return _TRUTHS[_text(value).lower()]


def _int(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise TypeError
    return int(value)


def _float(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise TypeError
    return float(value)


def _text(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise TypeError
    return value


def _path(value: object) -> Path:
    try:
        return Path(_text(value)).expanduser()
    except RuntimeError as error:  # ~user for an unknown user
        raise ValueError(str(error)) from error


_CONVERT: dict[Any, Any] = {bool: _bool, int: _int, float: _float, str: _text, Path: _path}
_SAY = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    Path: "a path",
}
