"""Set single keys in a person's TOML file and keep the rest of it: comments, order, blank lines.

tomlkit writes the edit. tomllib then reads the result, which must hold the same values but for the
changed keys.
"""

import tomllib
from collections.abc import Mapping, MutableMapping
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError

from agent.errors import ConfigError

Value = str | int | bool | None
Changes = Mapping[str, Mapping[str, Value]]
"""New values by section and key; None removes a key."""


def with_keys(text: str, changes: Changes) -> str:
    """Return `text` with `changes` applied.

    Raises ConfigError if `text` can't be edited safely.
    """
    expected = tomllib.loads(text)
    edited = _edited(text, changes)
    for section, keys in changes.items():
        _apply(expected.setdefault(section, {}), keys)
    if _without_empty(_parsed(edited)) != _without_empty(expected):
        raise ConfigError(
            f"can't edit {', '.join(f'[{each}]' for each in changes)} safely: write these sections"
            " with one key per line, or remove them"
        )
    return edited


def _edited(text: str, changes: Changes) -> str:
    if text and not text.endswith("\n"):
        text += "\n"
    try:
        document = tomlkit.parse(text)
        for name, keys in changes.items():
            if name not in document:
                if all(value is None for value in keys.values()):
                    continue
                document[name] = tomlkit.table()
            section = document[name]
            if not isinstance(section, MutableMapping):
                raise ConfigError(f"{name}: expected a section [{name}], found {section!r}")
            _apply(section, keys)
        return tomlkit.dumps(document)
    except TOMLKitError as error:
        raise ConfigError(f"can't edit the configuration: {error}") from error


def _apply(section: MutableMapping[str, Any], keys: Mapping[str, Value]) -> None:
    for key, value in keys.items():
        if value is None:
            section.pop(key, None)
        else:
            section[key] = value


def _parsed(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"can't edit the configuration safely: {error}") from error


def _without_empty(values: dict[str, Any]) -> dict[str, Any]:
    """Drop empty sections: they configure nothing."""
    return {name: each for name, each in values.items() if each != {}}
