"""The attacks that anybody can make: what held is said, and what did not fails the run."""

import pytest

from bench.attack import main
from bench.attack.outsiders import a_last_revision, images_of_links
from bench.attack.target import Attack, Target


def succeeds(_: Target) -> str | None:
    """Something that must not happen"""
    return "it happened"


@pytest.mark.parametrize(
    ("attacks", "status", "last"),
    [
        (
            (images_of_links, a_last_revision),
            0,
            "held    A device can't shut out",
        ),
        (
            (images_of_links, succeeds),
            1,
            "BROKEN  Something that must not happen: it hap",
        ),
    ],
)
def test_what_held_is_printed_and_what_did_not_fails_the_run(
    attacks: tuple[Attack, ...],
    status: int,
    last: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(main, "ATTACKS", attacks)
    monkeypatch.setattr("sys.argv", ["bench.attack"])
    assert main.main() == status
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("held    Links to wrong codes")
    assert lines[-1].startswith(last)
