"""How often a session says that the eyes differ, by simulated sessions: `python -m bench.eyes`.

Each simulated person closes both eyes alike but for a true difference of the medians, and is
measured with noise. Up to a difference of 0.2, each session that says so is a false alarm.
"""

import random
from collections.abc import Callable, Iterator

from server.session_data.summary.eyes import compared

# How far an eye seems to close beside the truth, blink by blink.
Noise = Callable[[random.Random, int], Iterator[float]]
SEED = 7


def steady(chance: random.Random, blinks: int) -> Iterator[float]:
    """Scatter alike in every blink, by 0.05, as between the eyes of a drawn face."""
    return (chance.gauss(0, 0.05) for _ in range(blinks))


def noisy(chance: random.Random, blinks: int) -> Iterator[float]:
    """Scatter three times as much."""
    return (chance.gauss(0, 0.15) for _ in range(blinks))


def with_wild_blinks(chance: random.Random, blinks: int) -> Iterator[float]:
    """Have one blink in ten in which the eye is measured quite wrong."""
    for _ in range(blinks):
        yield chance.uniform(-0.8, 0) if chance.random() < 0.1 else chance.gauss(0, 0.05)


def drifting(chance: random.Random, blinks: int) -> Iterator[float]:
    """Take nine tenths of the blink before into each blink."""
    value = chance.gauss(0, 0.1)
    for _ in range(blinks):
        yield value
        value = 0.9 * value + 0.19**0.5 * chance.gauss(0, 0.1)


def turned_for_a_third(chance: random.Random, blinks: int) -> Iterator[float]:
    """For a third of the session the head is turned, and the eye seems to close by 0.3 less."""
    return (chance.gauss(-0.3 if 3 * n < blinks else 0, 0.05) for n in range(blinks))


NOISES = (steady, noisy, with_wild_blinks, drifting, turned_for_a_third)


def share_differing(noise: Noise, blinks: int, difference: float, sessions: int) -> float:
    """Return the share of simulated sessions that say that the eyes differ."""
    chance = random.Random(SEED)
    told = 0
    for _ in range(sessions):
        depths = [chance.gauss(0.85, 0.08) for _ in range(blinks)]
        left = (depth + chance.gauss(0, 0.05) for depth in depths)
        right = (
            depth - difference + wrong
            for depth, wrong in zip(depths, noise(chance, blinks), strict=True)
        )
        eyes = compared(list(zip(left, right, strict=True)))
        told += eyes is not None and eyes.differ
    return told / sessions


def main() -> None:
    """Print the tables."""
    differences = (0, 0.1, 0.2, 0.3, 0.4, 0.8)
    for blinks in (20, 100, 500):
        print(f"{f'{blinks} blinks, by true difference':32}", *(f"{d:6}" for d in differences))
        for noise in NOISES:
            shares = (share_differing(noise, blinks, d, 2000) for d in differences)
            print(f"{noise.__name__.replace('_', ' '):32}", *(f"{share:6.1%}" for share in shares))
