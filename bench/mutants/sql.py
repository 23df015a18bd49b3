"""Mutants of the revision rule in SQL: a comparison of revisions, changed.

Cosmic Ray does not mutate strings. This is an operator in its style for strings that compare two
revisions, such as `excluded.revision > sessions.revision`.
"""

import re
from collections.abc import Iterator
from typing import Any

from cosmic_ray import plugins
from cosmic_ray.operators.operator import Example, Operator
from parso.python.tree import PythonLeaf

COMPARISON = re.compile(r"(?<=revision )(<=|>=|<|>)(?= )")

SWAPS = {
    "<": ("<=", ">="),
    "<=": ("<", ">"),
    ">": (">=", "<="),
    ">=": (">", "<"),
}
"""The same but for equal ones, and the opposite."""

Position = tuple[tuple[int, int], tuple[int, int]]


class RevisionComparison(Operator):
    """Replaces one comparison of a revision in a string."""

    def mutation_positions(self, node: Any) -> Iterator[Position]:
        """The leaf's own position, once for each mutant."""
        for _ in _mutants(node):
            yield node.start_pos, node.end_pos

    def mutate(self, node: Any, index: int) -> Any:
        """Change the text in place."""
        node.value = list(_mutants(node))[index]
        return node

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """As Cosmic Ray wants them."""
        return (Example("'new.revision > 1'", "'new.revision >= 1'"),)


def _mutants(node: Any) -> Iterator[str]:
    if isinstance(node, PythonLeaf) and node.type in ("string", "fstring_string"):
        for found in COMPARISON.finditer(node.value):
            for swapped in SWAPS[found[0]]:
                yield node.value[: found.start()] + swapped + node.value[found.end() :]


class Provider:
    """The operators of this module, by name."""

    def __iter__(self) -> Iterator[str]:
        return iter([RevisionComparison.__name__])

    def __getitem__(self, name: str) -> type[Operator]:
        return {RevisionComparison.__name__: RevisionComparison}[name]


def register() -> None:
    """Make them known to Cosmic Ray in this process."""
    plugins.OPERATOR_PROVIDERS["sql"] = Provider()
