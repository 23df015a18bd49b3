"""The records of a session: its metrics, minutes and blinks."""

from dataclasses import dataclass

from agent.measure.quality import Flag

PERCLOS_CLOSED = 0.8
"""At least 80 % closed between the person's open and closed levels (Abe 2023, PMC10108649). The
server names it too: `metrics.py` and `formulas.py` in `server/dashboard/`, `fhir.py` and
`codebook.py` in `server/session_data/export/`. `SHUT` in `dips` has the same value, because a
closure counts as shut in PERCLOS and in blinks alike."""


@dataclass(frozen=True, slots=True)
class Metrics:
    """The document's `metrics`, unrounded. None means "not measured", never 0.

    duration_s: from the start of the session to its end, in seconds.
    valid_s: valid time, in seconds. coverage: valid_s / duration_s, 0..1.
    frames: frames that arrived. frames_dropped: frames that the camera gave but nobody read.
    blink_count: blinks, complete and partial; long closures are counted separately.
    partial_blink_count: how many of these were partial.
    blink_rate_per_min: blink_count per minute of valid time.
    inter_blink_interval_median_s: median time from one blink's start to the next one's. A pair is
        skipped if the face was unseen for longer than `gaps.UNSEEN_S` between them.
    blink_duration_median_ms, blink_duration_p90_ms: of `Blink.duration_s`, in milliseconds.
    ear_mean: mean EAR over valid time. ear_open: mean open level over valid time.
    perclos: share of valid time with the eyes at least 80 % closed, without looking down.
    long_closure_count: closures of 500 ms or more. longest_closure_s: the longest of them, in
        seconds.
    ear_open_left, ear_open_right: mean open level of each eye over the valid time in which it was
        seen.
    blink_closure_left_median, blink_closure_right_median: median of `Blink.closure_left` and
        `closure_right`, 0..1.
    looking_down: share of valid time spent looking down, 0..1; None if it can't be told from shut
        lids.
    """

    duration_s: float
    valid_s: float
    coverage: float | None
    frames: int
    frames_dropped: int
    blink_count: int | None
    partial_blink_count: int | None
    blink_rate_per_min: float | None
    inter_blink_interval_median_s: float | None
    blink_duration_median_ms: float | None
    blink_duration_p90_ms: float | None
    ear_mean: float | None
    ear_open: float | None
    perclos: float | None
    long_closure_count: int | None
    longest_closure_s: float | None
    ear_open_left: float | None = None
    ear_open_right: float | None = None
    blink_closure_left_median: float | None = None
    blink_closure_right_median: float | None = None
    looking_down: float | None = None


@dataclass(frozen=True, slots=True)
class Minute:
    """One minute of the session, counted from 0. Without valid time its numbers are None."""

    minute: int
    valid_s: float
    blinks: int | None
    ear_mean: float | None
    perclos: float | None


@dataclass(frozen=True, slots=True)
class BlinkColumns:
    """The blinks, one column per property. `at_s` is a blink's start since the session's."""

    at_s: tuple[float, ...]
    duration_ms: tuple[float | None, ...]
    amplitude: tuple[float, ...]
    complete: tuple[bool, ...]
    closure_left: tuple[float | None, ...] = ()
    closure_right: tuple[float | None, ...] = ()


@dataclass(frozen=True, slots=True)
class Session:
    """The result of a session. `blinks` is None until the session is finished.

    `quality` lists the problems that limit the numbers, if any. `fps` is the delivered rate: frames
    per second in the time without stalls.
    """

    metrics: Metrics
    quality: tuple[Flag, ...]
    minutes: tuple[Minute, ...]
    blinks: BlinkColumns | None
    fps: float | None
