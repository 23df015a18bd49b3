"""Check the counting: what a person is asked to do, and whether the device found it.

The person blinks ten times at given moments, looks down and up, and shuts the eyes for three
seconds. The moments are compared with the blinks, the long closures and the looks down that the
session found. Times are seconds on the frames' clock.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any, Literal

from agent.records import Blink

Step = Literal["settle", "blink", "rest", "down", "up", "shut", "open", "done"]
Event = Literal["time", "last"]

BEATS_S = (3.0, 2.6, 3.4, 2.8, 3.2, 2.6, 3.6, 2.8, 3.2, 3.0)
"""Seconds from each moment to the next. They are irregular, so that nobody blinks in advance."""

PROMPTS = len(BEATS_S)

TRANSITIONS: Mapping[Step, Mapping[Event, Step]] = {
    "settle": {"time": "blink"},
    "blink": {"time": "blink", "last": "rest"},
    "rest": {"time": "down"},
    "down": {"time": "up"},
    "up": {"time": "shut"},
    "shut": {"time": "open"},
    "open": {"time": "done"},
    "done": {},
}
"""The next step after each event. `time`: the step's seconds have passed. `last`: they have passed,
and it was the last blink. "blink" is entered once for each moment. "done" has no end."""

SECONDS: Mapping[Step, float] = {
    "settle": 6.0,  # to learn the open eyes, and for the person to get ready
    "rest": 1.0,
    "down": 3.0,
    "up": 4.0,  # the lids must have been open again, so that the stretch has ended
    "shut": 3.0,
    "open": 4.0,  # who counts to three slowly
}
"""How long each step lasts; a blink lasts until the next moment."""

REACTION_S = (0.1, 1.2)
"""A blink that starts this long after a moment answers it. Nobody reacts within a tenth of a second
(the limit for a false start in athletics). People react to a light in 0.2 to 0.4 s, old and ill
people more slowly, and a frame can be 0.15 s old when the light comes on."""

TWIN_S = 0.5
"""A blink that starts this soon after one that answers is the same blink, counted twice: of 202
intervals between labelled blinks of EyeBlink8, one is shorter."""

SHUT_SURE_S = (2.7, 3.3)
"""After three flashes, of 1.5 s, and `REACTION_S` the eyes are shut; who then counts to three, even
in two seconds and from the third flash on, has not opened them yet."""

SHUT_LEAST_S = 1.5
"""Half of the three seconds. People count them in their head."""

FOUND_LEAST = PROMPTS - 1
"""People miss a moment, too."""

FALSE_MOST = 1
"""People sometimes blink twice: after 3 of 164 blinks of EyeBlink8
(tests/agent/measure/test_check.py)."""

VALID = timedelta(days=90)
"""A camera is moved, spectacles and light change. As the server's `checks.VALID`."""

LookDown = Literal["told_apart", "taken_for_shut", "not_found"]


@dataclass(frozen=True, slots=True)
class Asked:
    """A step, and when it began."""

    step: Step
    time_s: float


class Steps:
    """Goes through the steps by the frames' times."""

    def __init__(self, start_s: float) -> None:
        self.asked: list[Asked] = []
        self._begin("settle", start_s)

    @property
    def step(self) -> Step:
        """The current step."""
        return self.asked[-1].step

    @property
    def number(self) -> int:
        """How many blinks were asked for."""
        return sum(each.step == "blink" for each in self.asked)

    def at(self, time_s: float) -> Step | None:
        """Go to the next step if it is due at `time_s`; return it, or None if it is not.

        A frame that is late delays all later steps: they begin when the person is asked.
        """
        if self.step == "done" or time_s < self._until_s:
            return None
        event: Event = "last" if self.step == "blink" and self.number == PROMPTS else "time"
        self._begin(TRANSITIONS[self.step][event], time_s)
        return self.step

    def _begin(self, step: Step, time_s: float) -> None:
        self.asked.append(Asked(step, time_s))
        seconds = BEATS_S[self.number - 1] if step == "blink" else SECONDS.get(step, 0.0)
        self._until_s = time_s + seconds


@dataclass(frozen=True, slots=True)
class Check:
    """What was found.

    `found` of the `asked` blinks were found. `false` is how many blinks were counted that cannot
    have been: see `judge`. `shut_s` is the long closure in which the eyes were kept shut, in
    seconds; None if it was not found.
    """

    asked: int
    found: int
    false: int
    look_down: LookDown
    shut_s: float | None

    @property
    def passed(self) -> bool:
        """Whether the device counts well here."""
        return (
            self.found >= self.asked - PROMPTS + FOUND_LEAST
            and self.false <= FALSE_MOST
            and self.look_down != "taken_for_shut"
            and self.shut_s is not None
        )

    def as_json(self) -> dict[str, Any]:
        """Return the document's `check`."""
        shut_s = None if self.shut_s is None else round(self.shut_s, 1)
        return {**asdict(self), "shut_s": shut_s, "passed": self.passed}


def judge(
    asked: Sequence[Asked], events: Sequence[Blink], downs: Sequence[tuple[float, float]]
) -> Check:
    """Compare what was asked with the blinks and long closures, and with the looks down.

    A moment is answered by the first closure that starts within `REACTION_S` of it. Other blinks
    are the person's own: everybody blinks between the moments, and nothing tells such a blink from
    a false one. False is what cannot have been a blink: a second one within `TWIN_S` of one that
    answers, and one that starts while the eyes are shut.
    """
    moments = [each.time_s for each in asked if each.step == "blink"]
    ordered = sorted(events, key=lambda each: each.start_s)
    answers = [each for each in (_answer(moment, ordered) for moment in moments) if each]
    twins = sum(_is_twin(each, answers) for each in ordered)
    shut_from_s, shut_until_s = _part(asked, "shut", "open")
    impossible = sum(
        shut_from_s + SHUT_SURE_S[0] <= each.start_s <= shut_from_s + SHUT_SURE_S[1]
        for each in ordered
        if not each.long
    )
    return Check(
        asked=len(moments),
        found=len(answers),
        false=twins + impossible,
        look_down=_look_down(*_part(asked, "down", "up"), ordered, downs),
        shut_s=_shut_s(shut_from_s, shut_until_s, ordered),
    )


def sentence(check: Mapping[str, Any]) -> str:
    """Return a document's `check` in a sentence."""
    false = "none false" if not check["false"] else f"{check['false']} false"
    down = {
        "told_apart": "looking down recognised",
        "taken_for_shut": "looking down taken for shut eyes",
        "not_found": "looking down not noticed",
    }[check["look_down"]]
    shut_s = check["shut_s"]
    shut = "shut eyes not found" if shut_s is None else f"eyes shut for {shut_s:g} s"
    return f"{check['found']} of {check['asked']} blinks found, {false}, {down}, {shut}"


Doubt = Literal["failed", "old", "models"]


def doubt(passed: bool, age: timedelta, model: str, model_now: str) -> Doubt | None:
    """Return why a check does not show how well the device counts now; None if it does.

    failed: it was not passed. old: it is older than `VALID`. models: the models are others now.
    """
    if not passed:
        return "failed"
    if model != model_now:
        return "models"
    return "old" if age > VALID else None


def _answer(moment_s: float, ordered: Sequence[Blink]) -> Blink | None:
    first_s, last_s = moment_s + REACTION_S[0], moment_s + REACTION_S[1]
    return next((each for each in ordered if first_s <= each.start_s <= last_s), None)


def _is_twin(blink: Blink, answers: Sequence[Blink]) -> bool:
    return any(0 < blink.start_s - each.start_s < TWIN_S for each in answers)


def _part(asked: Sequence[Asked], first: Step, last: Step) -> tuple[float, float]:
    """Return when step `first` began and step `last` ended."""
    begun = {each.step: each.time_s for each in asked}
    return begun[first], begun[last] + SECONDS[last]


def _look_down(
    from_s: float, until_s: float, events: Sequence[Blink], downs: Sequence[tuple[float, float]]
) -> LookDown:
    if any(each.long and from_s <= each.start_s < until_s for each in events):
        return "taken_for_shut"
    found = any(from_s <= start_s < until_s for start_s, _ in downs)
    return "told_apart" if found else "not_found"


def _shut_s(from_s: float, until_s: float, events: Sequence[Blink]) -> float | None:
    """Return the longest closure that began in the part, if it is long enough."""
    lengths = (each.duration_s for each in events if each.long and from_s <= each.start_s < until_s)
    longest_s = max(lengths, default=0.0)
    return longest_s if longest_s >= SHUT_LEAST_S else None
