"""What the light shows can be told apart by its rhythm alone."""

import math
import time
from collections.abc import Iterator
from itertools import groupby

import pytest

from agent.controls.light import LIGHT, Light, LightState, Pattern, lit_share

Step = tuple[bool, float]  # lit or dark, and for how many seconds


class Led:
    """Remembers what it was told, and when."""

    def __init__(self) -> None:
        self.told: list[tuple[float, bool]] = []

    def __call__(self, lit: bool) -> None:
        self.told.append((time.monotonic(), lit))

    def steps(self) -> list[Step]:
        ends = [moment for moment, _ in self.told[1:]]
        return [(lit, end - moment) for (moment, lit), end in zip(self.told, ends, strict=False)]


@pytest.fixture
def led() -> Led:
    return Led()


@pytest.fixture
def light(led: Led) -> Iterator[Light]:
    light = Light(led)
    yield light
    light.close()


def test_no_two_states_share_a_pattern_but_those_that_both_ask_to_wait() -> None:
    same = {frozenset(state for state in LIGHT if LIGHT[state] == each) for each in LIGHT.values()}
    assert [set(each) for each in same if len(each) > 1] == [{"starting", "finishing"}]


def test_patterns_differ_in_what_a_person_counts_or_in_three_times_the_pace() -> None:
    rhythms = {each: rhythm(each) for each in LIGHT.values()}
    for one, (flashes, pace_s) in rhythms.items():
        for other, (their_flashes, their_pace_s) in rhythms.items():
            if one != other and flashes == their_flashes:
                assert max(pace_s, their_pace_s) >= 3 * min(pace_s, their_pace_s), (one, other)


def rhythm(pattern: Pattern) -> tuple[int, float]:
    """How many flashes come together, and how long one of them and what follows lasts.

    As many as there are between two rests; flashes without a rest count as without end, and short
    gaps in the light as flashes of their own kind.
    """
    if len(pattern) < 2 or math.inf in pattern:
        return (2000 + len(pattern), 1.0)  # steadily dark or lit
    if max(pattern[::2]) > 3 * max(pattern[1::2]):
        return (-len(pattern) // 2, sum(pattern))
    lit, dark = pattern[0], max(pattern[1::2])
    return (len(pattern) // 2 if dark > 3 * lit else 1000, lit + dark)


@pytest.mark.parametrize("state", LIGHT)
def test_no_pattern_hurts_the_eyes(state: LightState) -> None:
    """More than three flashes a second can bring on a seizure (WCAG 2.3.1), but for what lasts a
    moment, of a light too small to."""
    pattern = LIGHT[state]
    if state not in ("starting", "finishing") and len(pattern) > 1:
        assert all(sum(pair) >= 0.3 for pair in zip(pattern[::2], pattern[1::2], strict=True))


@pytest.mark.parametrize("state", ["ready", "unsent", "fault", "finishing", "unseen"])
def test_the_light_plays_what_the_table_says(light: Light, led: Led, state: LightState) -> None:
    light.show(state)
    pattern = LIGHT[state]
    while len(led.told) < len(pattern):
        time.sleep(0.01)
    for (lit, seconds), (number, expected) in zip(led.steps(), enumerate(pattern), strict=False):
        assert lit is (number % 2 == 0)
        assert seconds >= expected - 0.005, "never shorter; longer where the machine is busy"


def test_a_steady_light_is_lit_once_and_a_dark_one_never(light: Light, led: Led) -> None:
    light.show("measuring")
    light.show("measuring")
    time.sleep(0.2)
    light.close()
    assert [lit for _, lit in led.told] == [True, False]


def test_a_new_state_is_shown_in_the_middle_of_the_old_one(light: Light, led: Led) -> None:
    light.show("ready")
    while len(led.told) < 2:  # the wink is over, three seconds of darkness lie ahead
        time.sleep(0.005)
    told_s = time.monotonic()
    light.show("measuring")
    while len(led.told) < 3:
        time.sleep(0.001)
    assert led.told[2][0] - told_s < LIGHT["ready"][1] / 2


def test_a_press_turns_over_even_a_wink(light: Light, led: Led) -> None:
    light.show("unseen")
    while not led.told:
        time.sleep(0.001)
    light.feedback(True)
    while len(led.told) < 2:
        time.sleep(0.001)
    light.feedback(False)
    while len(led.told) < 3:
        time.sleep(0.001)
    assert [lit for lit, _ in groupby(lit for _, lit in led.told[:3])] == [True, False, True]
    assert led.steps()[0][1] < LIGHT["unseen"][0]


def test_a_light_that_breaks_is_said_once_and_tried_again(
    led: Led, caplog: pytest.LogCaptureFixture
) -> None:
    breaks = [OSError("no such line"), OSError("no such line")]

    def write(lit: bool) -> None:
        led(lit)
        if breaks:
            raise breaks.pop()

    light = Light(write)
    light.show("unseen")
    while len(led.told) < 3:
        time.sleep(0.001)
    light.close()
    assert caplog.text.count("the light can't be set: no such line") == 1


def test_how_much_of_the_time_a_state_is_lit() -> None:
    assert lit_share("measuring") == 1
    assert lit_share("off") == 0
    assert lit_share("unseen") == pytest.approx(0.5)
    assert lit_share("ready") < 0.05
