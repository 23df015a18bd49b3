"""The conditions under which the models see the blinking portrait: the rows of `bench.grid`.

Every row is half a minute of irregular blinks on a swaying head with the usual camera grain, at 30
frames per second unless stated otherwise.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from scripts.portrait import WIDTH, LidMovement, Portrait, Schedule, sway

SECONDS = 30.0

PARTIAL_DEPTHS = (0.3, 0.4, 0.5, 0.6, 0.7)
"""How far lids close in a partial blink; in a complete one they close by 1."""

Pixels = NDArray[np.uint8]
Look = Callable[[float], dict[str, Any]]
Camera = Callable[[Pixels, float, Portrait], Pixels]
"""What a camera makes of a frame at a time, in seconds."""


def closure(start_s: float, half_s: float, depth: float = 1.0) -> LidMovement:
    """A movement of the lids that is `half_s` long at half of its depth."""
    return LidMovement(start_s, min(half_s * 12 / 7, (half_s + 0.06) / 0.75, half_s + 0.16), depth)


def schedule(
    per_min: float = 20.0,
    half_s: tuple[float, float] = (0.12, 0.25),
    depths: Sequence[float] = (1.0,),
    seed: int = 1,
    seconds: float = SECONDS,
) -> Schedule:
    """Irregular blinks from 2 s on, `depths` in turn, their lengths between the two of `half_s`."""
    chance = np.random.default_rng(seed)
    mean_s, start_s = 60 / per_min, 2.0
    movements: list[LidMovement] = []
    while start_s < seconds - 1.5:
        length_s = float(chance.uniform(half_s[0], half_s[1]))
        movements.append(closure(start_s, length_s, depths[len(movements) % len(depths)]))
        start_s = max(
            start_s + mean_s * float(chance.uniform(0.7, 1.3)), movements[-1].end_s + 0.15
        )
    return Schedule(tuple(movements))


def as_it_is(pixels: Pixels, _time_s: float, _portrait: Portrait) -> Pixels:
    """A colour camera that is mounted as it should be."""
    return pixels


@dataclass(frozen=True)
class Condition:
    """One row: what lids and gaze do, how the head is seen, at what rate, what share is lost.

    `gaze` is closed where the person looks down. `eyes` is the share of each movement that the
    person's right and left lids make.
    """

    name: str
    lids: Schedule = field(default_factory=schedule)
    look: Look = sway
    fps: float = 30.0
    dropped: float = 0.0
    seconds: float = SECONDS
    gaze: Schedule = field(default_factory=lambda: Schedule(()))
    eyes: tuple[float, float] = (1.0, 1.0)
    camera: Camera = as_it_is

    def frame(self, time_s: float, portrait: Portrait) -> Pixels:
        """What the camera gives at that time, uint8 (480, 640, 3), BGR."""
        closed = 1.0 - self.lids.openness(time_s)
        openness = (1.0 - self.eyes[0] * closed, 1.0 - self.eyes[1] * closed)
        gaze_down = 1.0 - self.gaze.openness(time_s)
        pixels = portrait.frame(openness, gaze_down=gaze_down, **self.look(time_s))
        return self.camera(pixels, time_s, portrait)


def still(**constant: Any) -> Look:
    """The head sways as always, and the picture is as told."""
    return lambda time_s: sway(time_s) | constant


def moved(
    shift: float = 0.0, rotation_deg: float = 0.0, scale: float = 0.0, hertz: float = 0.25
) -> Look:
    """The head goes to and fro: by pixels, by degrees, by a share of its size."""

    def look(time_s: float) -> dict[str, Any]:
        wave = math.sin(2 * math.pi * hertz * time_s)
        return sway(time_s) | {
            "shift": (shift * wave, 0.0),
            "rotation_deg": rotation_deg * wave,
            "scale": 1 + scale * wave,
        }

    return look


def away(time_s: float) -> dict[str, Any]:
    """Nobody is there for the half of every ten seconds."""
    return sway(time_s) | ({"shift": (600.0, 0.0)} if time_s % 10 >= 5 else {})


def flashing(time_s: float) -> dict[str, Any]:
    """Spectacles that reflect a light for a fifth of every two seconds."""
    return sway(time_s) | {"glare": 0.7 if time_s % 2 >= 1.6 else 0.0}


def beside(time_s: float) -> dict[str, Any]:
    """The head is on the right of the picture, with room for another one."""
    x, y = sway(time_s)["shift"]
    return sway(time_s) | {"shift": (x + 130, y)}


def grey(pixels: Pixels, _time_s: float, _portrait: Portrait) -> Pixels:
    """A camera that sees no colours."""
    return np.repeat(np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY))[..., None], 3, axis=2)


def turned(quarters: int) -> Camera:
    """A camera that is mounted so many quarter turns off."""
    return lambda pixels, _time_s, _portrait: np.ascontiguousarray(np.rot90(pixels, quarters))


def with_a_second(scale: float) -> Camera:
    """Somebody else looks into the camera, too, and blinks as she likes."""
    lids = schedule(15, seed=9)

    def camera(pixels: Pixels, time_s: float, portrait: Portrait) -> Pixels:
        other = portrait.frame(lids.openness(time_s), scale=scale, noise=2.0)
        half = round(150 * scale)
        shown = pixels.copy()
        shown[:, : 2 * half] = other[:, WIDTH // 2 - half : WIDTH // 2 + half]
        return shown

    return camera


def looks_down(times: Sequence[tuple[float, float]]) -> Schedule:
    """The gaze is down from each of these times for so long, in seconds."""
    return Schedule(tuple(LidMovement(start_s, length_s) for start_s, length_s in times))


def conditions() -> list[Condition]:
    """The rows of the table."""
    return [*_of_lids(), *_of_heads(), *_of_pictures(), *_of_cameras()]


def _of_lids() -> list[Condition]:
    long = [closure(20.0, 0.7), closure(23.0, 1.5), closure(26.5, 2.0)]
    before = [each for each in schedule(30) if each.end_s < 19]
    glances = looks_down([(20.0, 1.0), (22.5, 2.0), (26.0, 2.5)])
    reading = looks_down([(10.5, 18.0)])
    until_ten = Schedule(tuple(each for each in schedule(30) if each.end_s < 9.5))
    return [
        Condition("as usual"),
        Condition("no blinks", Schedule(())),
        *(Condition(f"{rate} blinks a minute", schedule(rate)) for rate in (6, 40)),
        *(
            Condition(f"blinks of {ms} ms", schedule(half_s=(ms / 1000, ms / 1000)))
            for ms in (50, 80, 200, 300, 400)
        ),
        *(
            Condition(f"every third closes by {depth}", schedule(30, depths=(1, 1, depth)))
            for depth in (0.8, 0.6, 0.4)
        ),
        Condition("three long closures", Schedule((*before, *long))),
        Condition("three looks down", Schedule(tuple(before)), gaze=glances),
        Condition("looks half down", Schedule(tuple(before)), gaze=_halved(glances)),
        Condition("reads for 18 s", until_ten, gaze=reading),
        *(
            Condition(f"right eye closes by {share:g}", eyes=(share, 1.0))
            for share in (0.6, 0.3, 0.0)
        ),
    ]  # fmt: skip


def _of_heads() -> list[Condition]:
    return [
        Condition("head moves 100 px", look=moved(shift=100)),
        Condition("head tilts 40 degrees", look=moved(rotation_deg=40)),
        Condition("nearer and farther by 0.3", look=moved(scale=0.3)),
        *(
            Condition(f"face {190 * s:.0f} px wide", look=still(scale=s))
            for s in (0.5, 0.4, 0.3, 0.2)
        ),
        Condition("away half of the time", look=away),
        *(
            Condition(f"second face, {s:g} as large", look=beside, camera=with_a_second(s))
            for s in (1.0, 0.6, 0.3)
        ),
    ]


def _of_pictures() -> list[Condition]:
    return [
        *(Condition(f"pixel noise of {n}", look=still(noise=n)) for n in (20, 40, 50, 60)),
        *(Condition(f"blur of {b} px", look=still(blur=b)) for b in (4, 5, 6, 7, 8, 10)),
        *(Condition(f"light of {g:g}", look=still(gain=g)) for g in (0.08, 0.04, 0.02)),
        Condition("grey", camera=grey),
        *(
            Condition(f"infrared, noise of {n}", look=still(grey=True, noise=n))
            for n in (2, 4, 8, 16)
        ),
        Condition("infrared, 95 px wide", look=still(grey=True, noise=4.0, scale=0.5)),
        *(
            Condition(f"spectacles, glare of {g:g}", look=still(glare=g))
            for g in (0.0, 0.3, 0.5, 0.7, 0.9)
        ),
        Condition("spectacles that flash", look=flashing),
    ]  # fmt: skip


def _of_cameras() -> list[Condition]:
    return [
        *(Condition(f"{fps:g} frames a second", fps=fps) for fps in (15, 12, 10, 7.5, 5)),
        *(
            Condition(f"infrared at {fps:g} a second", look=still(grey=True, noise=4.0), fps=fps)
            for fps in (15, 10)
        ),
        *(Condition(f"{d:.0%} of frames lost", dropped=d) for d in (0.1, 0.3, 0.5)),
        *(Condition(f"{d:.0%} lost of 15 a second", fps=15, dropped=d) for d in (0.1, 0.3)),
        Condition("camera head down", camera=turned(2)),
        Condition("camera on its side", camera=turned(1)),
    ]


def _halved(gaze: Schedule) -> Schedule:
    return Schedule(tuple(LidMovement(m.start_s, m.duration_s, 0.5) for m in gaze))


def depth_conditions() -> list[Condition]:
    """A minute and a half each: every second blink is complete, the others are partial."""
    looks: dict[str, dict[str, Any]] = {
        "as usual": {},
        "noise of 20": {"noise": 20.0},
        "light of 0.08": {"gain": 0.08},
        "blur of 3": {"blur": 3.0},
        "95 px wide": {"scale": 0.5},
        "infrared": {"grey": True, "noise": 4.0},
        "spectacles": {"glare": 0.2},
    }
    rows = [(name, still(**look), 30.0) for name, look in looks.items()]
    rows += [("15 a second", sway, 15.0), ("10 a second", sway, 10.0)]
    depths = [depth for partial in PARTIAL_DEPTHS for depth in (1.0, partial)]
    return [
        Condition(name, schedule(40, depths=depths, seed=seed, seconds=90), look, fps, seconds=90)
        for seed, (name, look, fps) in enumerate(rows)
    ]


def beginnings() -> list[tuple[Condition, float]]:
    """Sessions that begin in different ways, and when the eyes are first open in each, in s."""
    blinks = tuple(schedule(20, seconds=20))
    later = tuple(each for each in blinks if each.start_s > 4)
    before = LidMovement(-1.0, 4.0)
    half = replace(before, depth=0.5)
    ways = [
        ("open eyes", blinks, (), 0.0),
        ("the end of a blink", (LidMovement(-0.1, 0.3), *later), (), 0.2),
        ("eyes shut for 3 s", (before, *later), (), 3.0),
        ("eyes half open for 3 s", (half, *later), (), 3.0),
        ("a look down of 3 s", later, (before,), 3.0),
    ]
    return [
        (
            Condition(
                f"{name}, {fps:g} a second",
                Schedule(lids),
                fps=fps,
                seconds=20.0,
                gaze=Schedule(gaze),
            ),
            opened_s,
        )
        for fps in (30.0, 10.0)
        for name, lids, gaze, opened_s in ways
    ]
