"""Codes that people type."""

import pytest

from server.common.codes import HashedCode


def all_kinds(base: type[HashedCode] = HashedCode) -> list[type[HashedCode]]:
    own = base.__subclasses__()
    return own + [each for kind in own for each in all_kinds(kind)]


@pytest.mark.parametrize("kind", [each for each in all_kinds() if not each._meta.abstract])
def test_the_usual_life_of_a_code_is_not_cut_by_its_longest(kind: type[HashedCode]) -> None:
    assert kind.LIFE <= kind.LONGEST_LIFE
