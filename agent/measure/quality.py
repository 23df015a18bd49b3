"""The quality flags of a session: problems that limit its numbers, for programs to read.

    flag             set if                                                  consequence
    ---------------  ------------------------------------------------------  -----------------------
    no_face          no valid time at all                                    nothing was measured
    short            less than `SHORT_S` of valid time                       the rate is uncertain
    low_coverage     less than `LOW_COVERAGE` of the session is valid time   unseen time may differ
    low_frame_rate   fewer frames per second than durations need             durations are null
                     fewer than counts need                                  counts are null too
    no_blink         none in `NO_BLINK_S` or more of valid time              perhaps none are seen
    frames_dropped   more than `DROPPED` of the frames were lost             blinks are missed
    noisy            noise above `NOISY` of the depth for `NOISY_TIME`       blinks are missed
                     above `VERY_NOISY` of the depth for `VERY_NOISY_TIME`   counts are null
    blurred          too soft, too dark or behind reflections: sharpness     blinks are missed
                     below `SOFT` for `BLURRED_TIME`
                     below `TOO_SOFT` for `BLURRED_TIME`                     counts, PERCLOS: null
    second_face      another face in over `OTHERS_TIME` of the looks         may be another person's
    turned           not upright in over `TURNED_TIME` of the frames         camera may be turned
    gaze_unknown     closed lids that may look down (see `gaze`)             PERCLOS may be too high

The noise of the EAR is measured in blocks of `BLOCK_S` and compared with the depth of this person's
blinks. White noise of 0.15 of the depth hides 6 % of complete blinks at 10 frames per second and
none at 30; 0.2 hides 24 % and 3 %; 0.25 hides 52 % and 19 %. Noise hides blinks because the
detector requires a dip to stand out of it; it adds none (bench.traces).
"""

import math
from typing import Literal

from agent.measure.dips import MAX_GAP_S, MIN_NOISE_SAMPLES, deviation

Flag = Literal[
    "no_face",
    "short",
    "low_coverage",
    "low_frame_rate",
    "no_blink",
    "frames_dropped",
    "noisy",
    "blurred",
    "second_face",
    "turned",
    "gaze_unknown",
]

SHORT_S = 180.0
"""A rate needs at least three minutes (Doughty 2002: intervals scatter and are skewed)."""

LOW_COVERAGE = 0.7
"""If the unseen time had no blinks, or twice as many, the rate would be off by 30 %."""

NO_BLINK_S = 20.0
"""Three usual intervals between blinks (6.4 s, Doughty 2002). In a blurred picture closing lids may
lower EAR by less than any blink does: nothing is then counted, and no other flag shows it."""

DROPPED = 0.1
"""Losing a tenth at random costs no blinks at 30 frames per second and 1 % at 15; losing three
tenths costs 0.3 % and 18 % (bench.traces)."""

BLOCK_S = 10.0
"""At 10 frames per second 4 s hold too few samples to tell noise of 0.10 of the depth from 0.15."""

NOISY, VERY_NOISY = 0.15, 0.2
"""Standard deviation of the EAR, as a share of its fall in a complete blink."""

NOISY_TIME, VERY_NOISY_TIME = 0.1, 0.25
"""Shares of valid time. A quarter in which a quarter of the blinks is lost costs 6 % of all."""

SOFT, TOO_SOFT = 0.15, 0.125
"""Sharpness as in `FaceLandmarks`. At these values the mesh sees the lids of the portrait fall by
0.85 and 0.75 of what it sees in focus; just below, by too little for a blink. Chosen on the
portrait."""

OTHERS_TIME, TURNED_TIME = 0.1, 0.1
"""Shares of looks and frames. A passer-by or a head laid down for a moment sets no flag."""

BLURRED_TIME = 0.25
"""Share of looks: a moving head is blurred for a moment."""


def flags(
    *,
    duration_s: float,
    valid_s: float,
    slow: bool,
    blinks: int | None,
    frames: int,
    frames_dropped: int,
    noisy: bool,
    blurred: bool,
    second_face: bool = False,
    turned: bool = False,
    gaze_unknown: bool = False,
) -> tuple[Flag, ...]:
    """Return the flags that are set, in the order of the table above.

    Without a face, `short` and `low_coverage` are not set. A session that has just begun is only
    `short`.
    """
    seen = valid_s > 0 or duration_s <= 0
    holds: dict[Flag, bool] = {
        "no_face": not seen,
        "short": seen and valid_s < SHORT_S,
        "low_coverage": seen and valid_s < LOW_COVERAGE * duration_s,
        "low_frame_rate": slow,
        "no_blink": blinks == 0 and valid_s >= NO_BLINK_S,
        "frames_dropped": frames_dropped > DROPPED * (frames + frames_dropped),
        "noisy": noisy,
        "blurred": blurred,
        "second_face": second_face,
        "turned": turned,
        "gaze_unknown": gaze_unknown,
    }
    return tuple(flag for flag, held in holds.items() if held)


class Noise:
    """The noise of the EAR over a session. Constant memory: one block of samples and three sums."""

    def __init__(self) -> None:
        self._ears: list[float] = []
        self._begins_s = self._last_s = -math.inf
        self._judged_s = self._noisy_s = self._too_noisy_s = 0.0

    @property
    def noisy(self) -> bool:
        """Whether noise is so frequent that blinks were probably missed."""
        return self._noisy_s > NOISY_TIME * self._judged_s

    @property
    def too_noisy(self) -> bool:
        """Whether noise is so frequent that a count would be wrong."""
        return self._too_noisy_s > VERY_NOISY_TIME * self._judged_s

    def add(self, time_s: float, ear: float, open_level: float, depth: float) -> None:
        """Add one trustworthy EAR, with the current open level and depth (0..1)."""
        if time_s - self._last_s > MAX_GAP_S or time_s - self._begins_s >= BLOCK_S:
            self._end_block(open_level * depth)
            self._begins_s = time_s
        self._ears.append(ear)
        self._last_s = time_s

    def _end_block(self, fall: float) -> None:
        """End a block of samples; `fall` is how much EAR falls in a complete blink."""
        if len(self._ears) >= MIN_NOISE_SAMPLES:
            length_s = self._last_s - self._begins_s
            share = deviation(self._ears) / fall
            self._judged_s += length_s
            self._noisy_s += length_s if share > NOISY else 0.0
            self._too_noisy_s += length_s if share > VERY_NOISY else 0.0
        self._ears.clear()


class Blur:
    """How often the picture was too soft in a session, from looks at regular intervals."""

    def __init__(self) -> None:
        self._looks = self._soft = self._too_soft = 0

    @property
    def blurred(self) -> bool:
        """Whether blur is so frequent that blinks were probably missed."""
        return self._soft > BLURRED_TIME * self._looks

    @property
    def too_blurred(self) -> bool:
        """Whether blur is so frequent that counts and the share of closed eyes are invalid."""
        return self._too_soft > BLURRED_TIME * self._looks

    def add(self, sharpness: float | None) -> None:
        """Add one look; None if this frame's sharpness was not measured."""
        if sharpness is not None:
            self._looks += 1
            self._soft += sharpness < SOFT
            self._too_soft += sharpness < TOO_SOFT


class Picture:
    """Whether other people were in the picture, and whether the face was upright in it."""

    def __init__(self) -> None:
        self._looks = self._others = self._frames = self._turned = 0

    @property
    def second_face(self) -> bool:
        """Whether the numbers may partly be another person's."""
        return self._others > OTHERS_TIME * self._looks

    @property
    def turned(self) -> bool:
        """Whether the camera is probably not mounted as configured."""
        return self._turned > TURNED_TIME * self._frames

    def add(self, others: bool | None, *, turned: bool) -> None:
        """Add one frame with a trustworthy face; `others` is None if other faces weren't looked
        for."""
        self._frames += 1
        self._turned += turned
        if others is not None:
            self._looks += 1
            self._others += others
