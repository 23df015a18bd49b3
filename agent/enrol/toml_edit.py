"""Sets single keys in a TOML file that a person wrote: every other line stays as it is.

No parser for writing is needed for that, and none is trusted: the result is read back, and has to
say the same as before but for the keys that were set.
"""

import json
import re
import tomllib
from collections.abc import Mapping
from typing import Any

from agent.errors import ConfigError

Value = str | int | bool | None
Changes = Mapping[str, Mapping[str, Value]]
"""By section and key; None takes a key out."""

_SIMPLE = r"""("[^"\\]*"|'[^']*'|[\w.+-]+)"""  # beyond those a comment can't be told from a value


def with_keys(text: str, changes: Changes) -> str:
    """`text` with `changes`. Raises ConfigError for what is written too unusually to be edited."""
    expected = tomllib.loads(text)
    lines = text.splitlines(keepends=True)
    for section, keys in changes.items():
        for key, value in keys.items():
            lines = _with_key(lines, section, key, value)
            _expect(expected, section, key, value)
    edited = "".join(lines)
    if _without_empty(_parsed(edited)) != _without_empty(expected):
        raise ConfigError(
            f"expected {', '.join(f'[{each}]' for each in changes)} to be written as sections with"
            " one key a line, found something that can't be edited safely: write it so, or remove"
            " it"
        )
    return edited


def _with_key(lines: list[str], section: str, key: str, value: Value) -> list[str]:
    begin, end = _section(lines, section)
    if begin is None:
        if value is None:
            return lines
        gap = ["\n"] if lines else []
        return [*_ended(lines), *gap, f"[{section}]\n", _line(key, value)]
    for number in range(begin + 1, end):
        if re.match(rf"\s*{key}\s*=", lines[number]):
            new = [] if value is None else [_replaced(lines[number], key, value)]
            return [*lines[:number], *new, *lines[number + 1 :]]
    if value is None:
        return lines
    while end > begin + 1 and not lines[end - 1].strip():
        end -= 1  # before the blank lines that part it from the next
    return [*_ended(lines[:end]), _line(key, value), *lines[end:]]


def _section(lines: list[str], name: str) -> tuple[int | None, int]:
    """The number of its heading, and of the line after its last."""
    heading = re.compile(rf"\s*\[\s*{name}\s*\]\s*(#.*)?$")
    begin = next((n for n, line in enumerate(lines) if heading.match(line)), None)
    if begin is None:
        return None, len(lines)
    rest = range(begin + 1, len(lines))
    return begin, next((n for n in rest if lines[n].lstrip().startswith("[")), len(lines))


def _replaced(line: str, key: str, value: Value) -> str:
    """Keeps indentation and comment."""
    simple = re.match(rf"(\s*{key}\s*=\s*){_SIMPLE}(\s*(#.*)?)$", line, re.DOTALL)
    if simple is None:
        return _line(key, value)
    return f"{simple[1]}{_written(value)}{simple[3].rstrip()}\n"


def _line(key: str, value: Value) -> str:
    return f"{key} = {_written(value)}\n"


def _written(value: Value) -> str:
    return json.dumps(value, ensure_ascii=False)  # texts, numbers and truths as TOML has them


def _ended(lines: list[str]) -> list[str]:
    """The last line may lack its end."""
    if lines and not lines[-1].endswith("\n"):
        return [*lines[:-1], lines[-1] + "\n"]
    return lines


def _expect(values: dict[str, Any], section: str, key: str, value: Value) -> None:
    found = values.setdefault(section, {})
    if not isinstance(found, dict):
        raise ConfigError(f"{section}: expected a section [{section}], found {found!r}")
    if value is None:
        found.pop(key, None)
    else:
        found[key] = value


def _parsed(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return {}  # which is never what was expected: there is at least one section


def _without_empty(values: dict[str, Any]) -> dict[str, Any]:
    """A section without keys says nothing."""
    return {name: each for name, each in values.items() if each != {}}
