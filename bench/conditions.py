"""The blinking portrait under conditions at the edge of what can be measured."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from agent.records import Frame
from scripts.portrait import LidMovement, Schedule, load_portrait, sway

SECONDS = 40.0
"""Of each condition of the portrait."""

LOWERED_S = 1.0
"""Movements of this length are looks down, half shut: to count them is false."""


@dataclass(frozen=True)
class Condition:
    """How the portrait is drawn."""

    name: str
    fps: float = 30.0
    look: tuple[tuple[str, float], ...] = ()
    partial: float = 0.65


CONDITIONS = (
    Condition("30 fps"),
    Condition("15 fps", 15.0),
    Condition("12 fps", 12.0),
    Condition("10 fps", 10.0),
    Condition("partial blinks of 0.4", partial=0.4),
    Condition("noise of 45", look=(("noise", 45.0),)),
    Condition("dark: gain 0.06", look=(("gain", 0.06), ("noise", 4.0))),
    Condition("blur of 7", look=(("blur", 7.0),)),
    Condition("small: scale 0.35, noise of 10", look=(("scale", 0.35), ("noise", 10.0))),
    Condition("10 fps, noise of 14", 10.0, (("noise", 14.0),)),
)
"""Most of them at the edge of what the mesh can follow."""


def hard_schedule(partial: float, seed: int = 3) -> Schedule:
    """Blinks of 120 to 350 ms; of six movements one is a `partial` blink and one a look down."""
    random = np.random.default_rng(seed)
    movements: list[LidMovement] = []
    start_s = 2.0
    while start_s < SECONDS - 3.0:
        count = len(movements)
        if count % 6 == 5:
            movement = LidMovement(start_s, float(random.uniform(LOWERED_S, 1.8)), 0.5)
        else:
            depth = partial if count % 3 == 2 else 1.0
            movement = LidMovement(start_s, float(random.uniform(0.12, 0.35)), depth)
        movements.append(movement)
        start_s = movement.end_s + float(random.uniform(0.9, 2.2))
    return Schedule(tuple(movements))


def drawn_frames(condition: Condition, schedule: Schedule) -> Iterator[Frame]:
    """The portrait, with its lids as in `schedule`."""
    portrait = load_portrait()
    for number in range(round(SECONDS * condition.fps)):
        time_s = number / condition.fps
        look = {**sway(time_s), **dict(condition.look)}
        yield Frame(time_s, portrait.frame(schedule.openness(time_s), **look))
