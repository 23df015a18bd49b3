"""The blink rule at each of its limits: exactly enough counts, slightly less does not."""

from dataclasses import replace
from typing import Any

import pytest

from agent.measure.blinks import BlinkDetector
from agent.measure.dips import LOOK_AHEAD_S, Dip, Recent, measure_dip
from agent.measure.levels import USUAL_DEPTH
from agent.records import Blink, EyeSample
from tests.agent.traces import Camera, Lids, sample

HAIR = 1e-9

BLINK = Camera(noise=0.0).see([Lids(5.0)], 9.0)


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the one blink of `BLINK` measures instead of what it would."""
    instead: dict[str, Any] = {}

    def told(recent: Recent, deepest_s: float) -> Dip | None:
        dip = measure_dip(recent, deepest_s)
        return None if dip is None else replace(dip, **instead)

    monkeypatch.setattr("agent.measure.blinks.measure_dip", told)
    return instead


def found(samples: list[EyeSample], detector: BlinkDetector | None = None) -> list[Blink]:
    detector = detector or BlinkDetector()
    events = [event for each in samples for event in detector.add(each)]
    return events + detector.finish()


def of_depth(depth: float) -> BlinkDetector:
    """A detector that knows how deeply this person blinks."""
    detector = BlinkDetector()
    for _ in range(8):
        detector.levels.learn_depth(depth)
    assert detector.levels.depth == depth
    return detector


WIDE = 0.75 * USUAL_DEPTH


@pytest.mark.parametrize(
    ("enough", "hair"),
    [
        ({"recovery": 0.3}, {"recovery": -HAIR}),
        ({"depth": WIDE, "width_s": 0.8}, {"width_s": HAIR}),
        ({"depth": WIDE, "width_s": 0.42 + HAIR}, {"depth": -HAIR}),
        ({"depth": WIDE - HAIR, "width_s": 0.42}, {"width_s": HAIR}),
        ({"depth": 0.51 * USUAL_DEPTH}, {"depth": -HAIR}),
        ({"depth": 0.625, "noise": 0.625 / 4}, {"noise": HAIR}),
    ],
    ids=["recovery", "width", "deep", "droop", "depth", "noise"],
)
def test_just_enough_counts_and_a_hair_less_does_not(
    measured: dict[str, Any], enough: dict[str, float], hair: dict[str, float]
) -> None:
    measured.update(enough)
    assert len(found(BLINK)) == 1
    measured.update({name: enough[name] + less for name, less in hair.items()})
    assert found(BLINK) == []


@pytest.mark.parametrize("less", [0.0, HAIR])
def test_it_is_complete_from_a_share_of_the_usual_depth_on(
    measured: dict[str, Any], less: float
) -> None:
    measured["depth"] = 0.5 * 0.85 - less
    (blink,) = found(BLINK, of_depth(0.5))
    assert blink.complete == (not less)
    assert blink.amplitude == pytest.approx(0.85)


def test_it_is_no_deeper_than_shut(measured: dict[str, Any]) -> None:
    measured["depth"] = 0.9
    (blink,) = found(BLINK)
    assert blink.amplitude == 1.0


@pytest.mark.parametrize("less", [0.0, HAIR])
def test_it_is_long_from_half_a_second_shut_on(measured: dict[str, Any], less: float) -> None:
    measured["shut_s"] = 0.5 - less
    (blink,) = found(BLINK)
    assert blink.long == (not less)


@pytest.mark.parametrize(("more", "learned"), [(0.0, True), (HAIR, False)])
def test_a_dip_above_the_noise_updates_the_depth(
    measured: dict[str, Any], more: float, learned: bool
) -> None:
    measured.update(depth=0.75, noise=0.75 / 6 + more)
    detector = BlinkDetector()
    detector.levels.learn_depth(0.75)
    detector.levels.learn_depth(0.75)
    assert detector.levels.depth == USUAL_DEPTH, "the third moves it"
    found(BLINK, detector)
    assert (detector.levels.depth > USUAL_DEPTH) == learned


def test_a_blink_is_reported_as_soon_as_its_look_ahead_is_complete() -> None:
    deepest_s = 5.0
    times = [k / 32 for k in range(160 + 20)] + [deepest_s + LOOK_AHEAD_S]
    ears = [0.125 if 160 <= k < 164 else 0.5 for k in range(len(times))]
    detector = BlinkDetector()
    told = [detector.add(sample(*each)) for each in zip(times, ears, strict=True)]
    assert [len(events) for events in told] == [0] * 180 + [1]


def both_eyes(closed: float) -> list[EyeSample]:
    """Eyes that close by that share for a fifth of a second."""
    ears = [0.5] * 150 + [0.5 * (1 - closed)] * 6 + [0.5] * 150
    return [sample(k / 30, ear) for k, ear in enumerate(ears)]


def test_one_eye_at_least_closes_by_half() -> None:
    assert len(found(both_eyes(0.5), of_depth(0.8))) == 1
    assert found(both_eyes(0.5 - HAIR), of_depth(0.8)) == []


def test_shallow_blinkers_need_a_quarter_more_than_the_least_depth() -> None:
    least = 0.51 * 0.6
    assert len(found(both_eyes(1.25 * least + HAIR), of_depth(0.6))) == 1
    assert found(both_eyes(1.25 * least - HAIR), of_depth(0.6)) == []
