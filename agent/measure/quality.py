"""What speaks against a session's numbers, in a few words that programs can read.

    word             said when                                               what it means
    ---------------  ------------------------------------------------------  -----------------------
    no_face          no valid time at all                                    nothing was measured
    short            less than `SHORT_S` of valid time                       a rate means little yet
    low_coverage     less than `LOW_COVERAGE` of the session is valid time   the unseen may differ
    low_frame_rate   fewer frames a second than durations need               durations are null
                     fewer than counts need                                  counts are null too
    no_blink         none in `NO_BLINK_S` of valid time and more             perhaps none are seen
    frames_dropped   more than `DROPPED` of the frames were lost             blinks are missed
    noisy            noise above `NOISY` of the depth for `NOISY_TIME`       blinks are missed
                     above `DROWNED` of the depth for `DROWNED_TIME`         counts are null
    blurred          sharpness below `SOFT` for `BLURRED_TIME`               blinks are missed
                     below `TOO_SOFT` for `BLURRED_TIME`                     counts, PERCLOS: null
    second_face      another face in over `OTHERS_TIME` of the looks         may be another's
    turned           not upright in over `TURNED_TIME` of the frames         so the camera hangs
    gaze_unknown     closed lids that may look down (see `gaze`)             PERCLOS may be too high

The EAR's own noise is measured in blocks of `BLOCK_S`, and compared with the depth of this person's
blinks: white noise of 0.15 of the depth hides up to a tenth of complete blinks, of 0.2 a tenth at
30 frames a second and a third at 10, of 0.25 a quarter to a half. It hides blinks, for the detector
asks a dip to stand out of the noise; it adds next to none (bench.grid).
"""

import math
from typing import Literal

from agent.measure.dips import MAX_GAP_S, MIN_NOISE_SAMPLES, deviation

Word = Literal[
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
"""Three minutes at least make a rate (Doughty 2002: intervals scatter and are skewed)."""

LOW_COVERAGE = 0.7
"""Had the unseen time no blinks, or twice as many, the rate would be off by 30 %."""

NO_BLINK_S = 20.0
"""Three usual intervals between blinks (6.4 s, Doughty 2002). In a blurred picture lids that close
may lower EAR by less than any blink does: nothing is counted, and nothing else shows it."""

DROPPED = 0.1
"""At random, a tenth costs no blinks at 30 frames a second and 2 % at 15; three tenths 2 and 22."""

BLOCK_S = 10.0
"""At 10 frames a second 4 s hold too few to tell noise of 0.10 from 0.15 of the depth."""

NOISY, DROWNED = 0.15, 0.2
"""Standard deviation of the EAR, as a share of how far it falls in a complete blink."""

NOISY_TIME, DROWNED_TIME = 0.1, 0.25
"""Shares of valid time: a quarter in which a third of the blinks is lost costs 8 % of all."""

SOFT, TOO_SOFT = 0.15, 0.125
"""Sharpness as of `FaceLandmarks`. The mesh then sees the lids of the portrait fall by 0.85 of what
it sees in focus, and by 0.75; soon below that by too little for a blink. Chosen on the portrait."""

OTHERS_TIME, TURNED_TIME = 0.1, 0.1
"""Somebody who walks past, or a head that is laid down for a moment, speaks against nothing."""

BLURRED_TIME = 0.25
"""Of the looks at it: a head that moves is blurred for a moment."""


def words(
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
) -> tuple[Word, ...]:
    """The words that hold, in the order of the table above; none when nothing is wrong.

    Without a face there is nothing to call short or little covered. A session that has just begun
    is only short.
    """
    seen = valid_s > 0 or duration_s <= 0
    holds: dict[Word, bool] = {
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
    return tuple(word for word, held in holds.items() if held)


class Noise:
    """The EAR's own noise over a session. Constant memory: one block of samples, and two sums."""

    def __init__(self) -> None:
        self._ears: list[float] = []
        self._begins_s = self._last_s = -math.inf
        self._judged_s = self._noisy_s = self._drowned_s = 0.0

    @property
    def noisy(self) -> bool:
        """So much of the time that blinks will have been missed."""
        return self._noisy_s > NOISY_TIME * self._judged_s

    @property
    def drowned(self) -> bool:
        """So much of the time that a count would be wrong."""
        return self._drowned_s > DROWNED_TIME * self._judged_s

    def add(self, time_s: float, ear: float, open_level: float, depth: float) -> None:
        """One trustworthy EAR, with the level and the depth (0..1) believed at the time."""
        if time_s - self._last_s > MAX_GAP_S or time_s - self._begins_s >= BLOCK_S:
            self._end_block(open_level * depth)
            self._begins_s = time_s
        self._ears.append(ear)
        self._last_s = time_s

    def _end_block(self, fall: float) -> None:
        """`fall` is how much EAR falls in a complete blink."""
        if len(self._ears) >= MIN_NOISE_SAMPLES:
            length_s = self._last_s - self._begins_s
            share = deviation(self._ears) / fall
            self._judged_s += length_s
            self._noisy_s += length_s if share > NOISY else 0.0
            self._drowned_s += length_s if share > DROWNED else 0.0
        self._ears.clear()


class Blur:
    """How often the picture was too soft in a session, by looks at regular times."""

    def __init__(self) -> None:
        self._looks = self._soft = self._too_soft = 0

    @property
    def blurred(self) -> bool:
        """So often that blinks will have been missed."""
        return self._soft > BLURRED_TIME * self._looks

    @property
    def blind(self) -> bool:
        """So often that neither a count nor a share of closed eyes means anything."""
        return self._too_soft > BLURRED_TIME * self._looks

    def add(self, sharpness: float | None) -> None:
        """One look, if this frame was looked at."""
        if sharpness is not None:
            self._looks += 1
            self._soft += sharpness < SOFT
            self._too_soft += sharpness < TOO_SOFT


class Picture:
    """Who else was in the picture, and whether the face stood upright in it."""

    def __init__(self) -> None:
        self._looks = self._others = self._frames = self._turned = 0

    @property
    def second_face(self) -> bool:
        """So often that the numbers may be partly another person's."""
        return self._others > OTHERS_TIME * self._looks

    @property
    def turned(self) -> bool:
        """So often that the camera is not mounted as it is configured."""
        return self._turned > TURNED_TIME * self._frames

    def add(self, others: bool | None, *, turned: bool) -> None:
        """One frame with a trustworthy face; `others` if other faces were looked for in it."""
        self._frames += 1
        self._turned += turned
        if others is not None:
            self._looks += 1
            self._others += others
