"""Checking the counting: the steps, and what is judged of what the session found."""

import math
import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.measure.check import (
    BEATS_S,
    PROMPTS,
    REACTION_S,
    SECONDS,
    SHUT_SURE_S,
    TRANSITIONS,
    TWIN_S,
    VALID,
    Asked,
    Check,
    Event,
    Step,
    Steps,
    doubt,
    judge,
    sentence,
)
from agent.measure.session import SessionBuilder
from agent.records import Blink, EyeSample
from bench.recordings import Recording, default_data, read_recordings
from tests.agent.measure.lids_seen import CLOSED, DOWN, OPEN_LID
from tests.agent.traces import OPEN, Camera, Lids

FPS = 30.0
RECORDINGS = read_recordings(default_data())


def walked(fps: float = FPS) -> list[Asked]:
    """The steps as frames of `fps` go by."""
    steps, frame = Steps(0.0), 0
    while steps.step != "done":
        frame += 1
        steps.at(frame / fps)
    return steps.asked


ASKED = walked()
MOMENTS = [each.time_s for each in ASKED if each.step == "blink"]
BEGUN = {each.step: each.time_s for each in ASKED}


def blink(start_s: float, duration_s: float = 0.2, *, long: bool = False) -> Blink:
    return Blink(start_s, start_s + duration_s, duration_s, 1.0, True, long)


def as_asked(reaction_s: float = 0.35) -> list[Blink]:
    """What a device finds that counts well, of a person who does what they are asked."""
    shut = blink(BEGUN["shut"] + 1.8, 3.0, long=True)
    return [*(blink(moment + reaction_s) for moment in MOMENTS), shut]


DOWNS = [(BEGUN["down"] + 1.0, BEGUN["down"] + 4.0)]


# The steps


def test_every_step_is_spelled_as_declared_and_can_be_reached() -> None:
    assert set(TRANSITIONS) == set(get_args(Step))
    reached = {after for row in TRANSITIONS.values() for after in row.values()}
    assert reached | {"settle"} == set(TRANSITIONS)
    for row in TRANSITIONS.values():
        assert set(row) <= set(get_args(Event))


def test_it_takes_about_a_minute_and_asks_for_ten_blinks() -> None:
    assert 50 < ASKED[-1].time_s < 65
    assert len(MOMENTS) == PROMPTS == 10
    assert [each.step for each in ASKED if each.step != "blink"] == [
        "settle", "rest", "down", "up", "shut", "open", "done",
    ]  # fmt: skip


@given(st.floats(1.0, 120.0))
def test_at_any_frame_rate_no_step_is_shorter_than_its_time(fps: float) -> None:
    asked = walked(fps)
    assert [each.step for each in asked] == [each.step for each in ASKED]
    beats = iter(BEATS_S)
    for each, after in pairwise(asked):
        least = next(beats) if each.step == "blink" else SECONDS[each.step]
        assert least - 1e-6 <= after.time_s - each.time_s <= least + 1 / fps + 1e-6


def test_windows_of_two_moments_do_not_meet() -> None:
    assert min(BEATS_S) > REACTION_S[1] - REACTION_S[0] + TWIN_S


# What is judged


def test_a_device_that_counts_well_passes() -> None:
    check = judge(ASKED, as_asked(), DOWNS)
    assert check == Check(10, 10, 0, "told_apart", 3.0)
    assert check.passed
    assert (
        sentence(check.as_json())
        == "10 of 10 blinks found, none false, looking down recognised, eyes shut for 3 s"
    )


@given(st.lists(st.floats(*REACTION_S), min_size=10, max_size=10))
def test_any_reaction_within_the_window_is_an_answer(reactions: list[float]) -> None:
    events = [blink(at + r) for at, r in zip(MOMENTS, reactions, strict=True)]
    assert judge(ASKED, events, DOWNS).found == 10


@given(st.sets(st.integers(0, 9)))
def test_each_moment_without_a_blink_is_missed(missed: set[int]) -> None:
    events = [each for number, each in enumerate(as_asked()) if number not in missed]
    check = judge(ASKED, events, DOWNS)
    assert (check.found, check.false) == (10 - len(missed), 0)
    assert check.passed is (len(missed) <= 1)


@given(st.lists(st.floats(0.0, 60.0), max_size=40))
def test_blinks_of_ones_own_are_not_false_and_take_nothing_away(own: list[float]) -> None:
    """Unless they are where nobody can have blinked."""
    sure = (BEGUN["shut"] + SHUT_SURE_S[0], BEGUN["shut"] + SHUT_SURE_S[1])
    answers = [each.start_s for each in as_asked()]
    own = [
        at
        for at in own
        if not sure[0] <= at <= sure[1] and all(abs(at - each) >= 2 * TWIN_S for each in answers)
    ]
    check = judge(ASKED, [*as_asked(), *map(blink, own)], DOWNS)
    # One in a window before the answer takes its place: still one, not two.
    assert (check.found, check.passed) == (10, True)


def test_a_blink_that_is_counted_twice_is_false() -> None:
    twins = [blink(MOMENTS[at] + 0.35 + TWIN_S - 0.01) for at in (3, 5)]
    check = judge(ASKED, [*as_asked(), twins[0]], DOWNS)
    assert (check.found, check.false, check.passed) == (10, 1, True), "people blink twice, too"
    assert sentence(check.as_json()).startswith("10 of 10 blinks found, 1 false,")
    assert not judge(ASKED, [*as_asked(), *twins], DOWNS).passed
    later = [replace(each, start_s=each.start_s + 0.02) for each in twins]
    assert judge(ASKED, [*as_asked(), *later], DOWNS).false == 0


def test_a_blink_of_shut_eyes_is_false() -> None:
    assert judge(ASKED, [*as_asked(), blink(BEGUN["shut"] + 3.0)], DOWNS).false == 1


def test_eyes_that_are_shut_late_are_not_false() -> None:
    late = blink(BEGUN["shut"] + SHUT_SURE_S[0] + 0.1, 3.0, long=True)
    check = judge(ASKED, [*as_asked()[:-1], late], DOWNS)
    assert (check.false, check.shut_s) == (0, 3.0)


def test_a_look_down_that_is_taken_for_shut_eyes_fails() -> None:
    taken = blink(BEGUN["down"] + 1.0, 3.0, long=True)
    check = judge(ASKED, [*as_asked(), taken], [])
    assert (check.look_down, check.passed) == ("taken_for_shut", False)


def test_lids_that_stay_up_in_a_look_down_fail_nothing() -> None:
    """Where the camera stands low they are never taken for shut."""
    check = judge(ASKED, as_asked(), [(MOMENTS[0], MOMENTS[0] + 1)])
    assert (check.look_down, check.passed) == ("not_found", True)


@pytest.mark.parametrize("shut_s", [None, 1.4])
def test_eyes_that_were_not_found_shut_fail(shut_s: float | None) -> None:
    events = as_asked()[:-1]
    if shut_s is not None:
        events.append(blink(BEGUN["shut"] + 1.8, shut_s, long=True))
    check = judge(ASKED, events, DOWNS)
    assert (check.shut_s, check.passed) == (None, False)


def test_of_a_device_that_finds_nothing_nothing_is_found() -> None:
    assert judge(ASKED, [], []) == Check(10, 0, 0, "not_found", None)


@pytest.mark.parametrize(("rate", "most"), [(15.0, 3e-5), (30.0, 3e-3)])
def test_chance_does_not_pass(rate: float, most: float) -> None:
    """Blinks at random, as docs/measuring.md says: the chance of nine of ten or more."""
    hit = 1 - math.exp(-rate / 60 * (REACTION_S[1] - REACTION_S[0]))
    assert hit**10 + 10 * hit**9 * (1 - hit) < most


DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("passed", "age", "model_now", "expected"),
    [
        (True, VALID, "a", None),
        (True, VALID + DAY, "a", "old"),
        (True, DAY, "b", "models"),
        (False, DAY, "a", "failed"),
        (False, VALID + DAY, "b", "failed"),
        (True, -DAY, "a", None),  # the clock was set back
    ],
)
def test_a_check_counts_until_it_is_old_or_the_models_are_others(
    passed: bool, age: timedelta, model_now: str, expected: str | None
) -> None:
    assert doubt(passed, age, "a", model_now) == expected


# With what a session finds


def followed(chance: random.Random, seen: tuple[float, float] = DOWN) -> list[EyeSample]:
    """A minute of lids that do what is asked, with blinks of their own between."""
    lids = [Lids(at + chance.uniform(0.25, 0.6), chance.uniform(0.12, 0.25)) for at in MOMENTS]
    lids += [Lids(at + 1.9, 0.15) for at in MOMENTS if chance.random() < 0.5]
    down = Lids(BEGUN["down"] + 1.0, 2.5, closing_s=0.1, opening_s=0.1)
    shut = Lids(BEGUN["shut"] + 1.8, 3.0)
    samples = Camera(seed=chance.randrange(1000)).see([*lids, down, shut], ASKED[-1].time_s)

    def eyes(each: EyeSample) -> tuple[float, float]:
        if (each.ear or 0.0) >= 0.5 * OPEN:
            return -0.06, OPEN_LID
        return seen if down.at_s <= each.time_s <= down.end_s else CLOSED

    return [replace(each, iris=eyes(each)[0], lower_lid=eyes(each)[1]) for each in samples]


def checked(samples: Sequence[EyeSample], asked: Sequence[Asked] = ASKED) -> Check:
    downs: list[tuple[float, float]] = []
    builder = SessionBuilder(samples[0].time_s, lambda *stretch: downs.append(stretch))
    for each in samples:
        builder.add(each)
    builder.finish(samples[-1].time_s, 0)
    return judge(asked, builder.events, downs)


@pytest.mark.parametrize("seed", range(8))
def test_lids_that_do_what_is_asked_pass(seed: int) -> None:
    check = checked(followed(random.Random(seed)))
    assert (check.found, check.false, check.look_down) == (10, 0, "told_apart")
    assert check.shut_s == pytest.approx(3.0, abs=0.2)


def test_irises_that_cannot_tell_fail() -> None:
    assert checked(followed(random.Random(0), CLOSED)).look_down == "taken_for_shut"


@pytest.mark.skipif(not RECORDINGS, reason="the recordings are not here")
@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda each: each.name)
def test_labelled_blinks_of_real_people_are_found_at_their_moments(recording: Recording) -> None:
    """As if each had been asked for 0.35 s before: those that are 2.6 s apart or more."""
    times = [each.time_s for each in recording.samples]
    moments: list[float] = []
    for first, _ in recording.labelled:
        at_s = times[first] - 0.35
        if at_s > times[0] + SECONDS["settle"] and at_s - max(moments, default=0.0) >= min(BEATS_S):
            moments.append(at_s)
    end_s = times[-1] + 100.0
    asked = [Asked("blink", at) for at in moments]
    asked += [Asked(step, end_s) for step in ("down", "up", "shut", "open")]
    check = checked(recording.samples, asked)
    assert check.asked >= 15
    assert check.found >= 0.9 * check.asked
    assert check.false <= 0.04 * check.asked, "some blink twice"
