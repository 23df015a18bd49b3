"""bench.traces: what is said of a poor trace goes with what it costs."""

import pytest

from bench import traces


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traces, "SECONDS", 60.0)
    monkeypatch.setattr(traces, "SEEDS", range(2))


def test_nothing_is_counted_where_losses_hide_a_tenth_of_the_blinks() -> None:
    few, many = traces.lost_row(15.0, 0.1), traces.lost_row(15.0, 0.4)
    assert few["missed"] < 0.1 < many["missed"]
    assert (few["counts"], many["counts"]) == ([True] * 2, [False] * 2)


def test_noise_hides_blinks_and_adds_none() -> None:
    row = traces.noise_row(0.25)
    assert row["10"]["found"] < row["30"]["found"] < 1.0
    assert all(row[rate]["false"] <= 0.02 for rate in ("30", "15", "10"))


def test_durations_are_finer_than_a_frame() -> None:
    row = traces.rate_row(10.0)
    assert abs(row["duration_error_ms"]) < row["frame_ms"] / 3
