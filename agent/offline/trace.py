"""Recorded traces: CSV files with one row per frame. EAR is empty without a face.

Columns read: `time_s` (seconds) or `frame` (0-based; needs a frame rate), and `ear`; optionally
`ear_left`, `ear_right`, `face_score`, `iris` and `lower_lid` (see `records.EyeSample`). Other
columns are ignored. Missing frame numbers are dropped frames. Times in a unit other than seconds
are refused.
"""

import csv
import math
import statistics
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, NoReturn, TextIO

from agent.errors import TraceError
from agent.files import atomic_file
from agent.measure.session import LONGEST_S
from agent.records import Blink, EyeSample

COLUMNS = (
    "frame", "time_s", "ear_left", "ear_right", "ear", "face_score", "iris", "lower_lid"
)  # fmt: skip
"""The columns written, in this order."""

SLOWEST_S, FASTEST_S = 1.0, 0.0005
"""Longest and shortest plausible time between frames. Other times are in another unit."""

JUDGED = 10
"""Number of intervals used to detect the unit."""

FRAME_DIGITS = 15
"""Most digits of a frame number: a float, such as a time, distinguishes all of these."""


@dataclass(frozen=True, slots=True)
class Trace:
    """The samples of a recording, and the frame number of each.

    `timed` is whether the file had times; otherwise a frame rate was given.
    """

    samples: tuple[EyeSample, ...]
    frames: tuple[int, ...]
    timed: bool = True


def read_trace(path: Path, fps: float) -> Trace:
    """Read the CSV file `path`; `fps` gives the times if there is no column `time_s`.

    Raises TraceError with the line, what was expected and what was found.
    """
    if not (math.isfinite(fps) and fps > 0):
        raise TraceError(f"expected a positive frame rate, found {fps}")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise TraceError(f"{path}: can't be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise TraceError(f"{path}: expected a CSV file in UTF-8, found other bytes") from error
    if not text.strip():
        raise TraceError(f"{path}: expected a header and rows, found an empty file")
    try:
        return _Reader(str(path), fps).read(text)
    except csv.Error as error:
        raise TraceError(f"{path}: expected a CSV file, found something else: {error}") from error


def blink_rows(
    blinks: Iterable[Blink], samples: Sequence[EyeSample], frames: Sequence[int] | None = None
) -> list[dict[str, Any]]:
    """Return the blinks (not the long closures) as rows for people and scripts.

    `first_frame` and `last_frame` are inclusive numbers from `frames` (by default 0, 1, 2, ... for
    `samples`), `at_s` is the time of the first frame on the samples' clock, `duration_ms` is as in
    `Blink`.
    """
    times = [sample.time_s for sample in samples]
    numbers = range(len(times)) if frames is None else frames
    return [
        {
            "first_frame": numbers[bisect_left(times, blink.start_s)],
            "last_frame": numbers[bisect_left(times, blink.end_s)],
            "at_s": round(blink.start_s, 3),
            "duration_ms": round(1000 * blink.duration_s),
            "complete": blink.complete,
        }
        for blink in blinks
        if not blink.long
    ]


class TraceWriter:
    """Writes one row per frame to an open text file (opened with `newline=""`)."""

    def __init__(self, file: TextIO) -> None:
        self._writer = csv.writer(file, lineterminator="\n")
        self._writer.writerow(COLUMNS)

    def write(self, frame: int, sample: EyeSample) -> None:
        """Write one sample; `frame` is its frame's 0-based number in the video."""
        eyes = (sample.ear_left, sample.ear_right, sample.ear, sample.score)
        numbers = (*eyes, sample.iris, sample.lower_lid)
        cells = ("" if number is None else f"{number:.5f}" for number in numbers)
        self._writer.writerow((frame, f"{sample.time_s:.6f}", *cells))


@contextmanager
def new_trace(path: Path | None, video: Path) -> Iterator[TraceWriter | None]:
    """Write the trace of `video` to `path`. The file appears when the block ends without an error.

    Yield None if there is no path. Raises AgentError if the file can't be written.
    """
    if path is None:
        yield None
        return
    with atomic_file(path, ".csv", source=video) as new, new.open("w", newline="") as file:
        yield TraceWriter(file)


class _Reader:
    """Reads one file, and keeps the line number for error messages."""

    def __init__(self, name: str, fps: float) -> None:
        self._name = name
        self._fps = fps
        self._line = 1

    def read(self, text: str) -> Trace:
        rows = csv.reader(text.rstrip().splitlines())
        header = self._header(next(rows))
        samples: list[EyeSample] = []
        frames: list[int] = []
        for self._line, cells in enumerate(rows, start=2):
            if len(cells) != len(header):
                self._refuse(f"{len(header)} columns", f"{len(cells)} (is the file truncated?)")
            row = dict(zip(header, cells, strict=True))
            sample = self._sample(row)
            if samples and sample.time_s <= samples[-1].time_s:
                self._refuse(f"a time after {samples[-1].time_s:.6f} s", f"{sample.time_s:.6f} s")
            if "time_s" in row and len(samples) == JUDGED:
                self._check_unit([each.time_s for each in (*samples, sample)])
            if samples and sample.time_s - samples[0].time_s >= LONGEST_S:
                last_s = samples[0].time_s + LONGEST_S
                unit = " (is time_s in seconds?)" if "time_s" in row else ""
                self._refuse(
                    f"at most a day: a time below {last_s:.0f} s", f"{sample.time_s:.0f} s{unit}"
                )
            frames.append(self._frame(row) if "frame" in row else len(samples))
            samples.append(sample)
        if not samples:
            raise TraceError(f"{self._name}: expected rows below the header, found none")
        return Trace(tuple(samples), tuple(frames), timed="time_s" in header)

    def _check_unit(self, times: Sequence[float]) -> None:
        usual_s = statistics.median(later - time for time, later in pairwise(times))
        if not FASTEST_S <= usual_s < SLOWEST_S:
            hint = "milliseconds or frame numbers" if usual_s >= SLOWEST_S else "minutes"
            self._refuse(
                "times in seconds in time_s",
                f"rows {usual_s:g} apart: are these {hint}?",
            )

    def _header(self, cells: list[str]) -> list[str]:
        names = [cell.strip() for cell in cells]
        if "ear" not in names or not {"frame", "time_s"} & set(names):
            self._refuse("the columns ear and frame or time_s", ", ".join(names)[:80] or "none")
        if len(set(names)) < len(names):
            self._refuse("every column once", ", ".join(names)[:80])
        return names

    def _sample(self, row: Mapping[str, str]) -> EyeSample:
        time_s = self._number(row, "time_s") if "time_s" in row else self._frame(row) / self._fps
        if time_s is None:
            self._refuse("a time in seconds", "an empty time_s")
        if not math.isfinite(time_s):
            self._refuse("a frame number that gives a finite time at this rate", row["frame"])
        return EyeSample(
            time_s=time_s,
            ear_left=self._number(row, "ear_left"),
            ear_right=self._number(row, "ear_right"),
            ear=self._number(row, "ear"),
            score=self._number(row, "face_score"),
            iris=self._number(row, "iris"),
            lower_lid=self._number(row, "lower_lid"),
        )

    def _frame(self, row: Mapping[str, str]) -> int:
        cell = row["frame"].strip()
        if not cell.isdecimal() or len(cell) > FRAME_DIGITS:
            self._refuse(f"a frame number from 0 with up to {FRAME_DIGITS} digits", f"{cell!r:.40}")
        return int(cell)

    def _number(self, row: Mapping[str, str], column: str) -> float | None:
        cell = row.get(column, "").strip()
        if cell.lower() in ("", "nan"):
            return None
        try:
            number = float(cell)
        except ValueError:
            number = math.inf
        if not math.isfinite(number):
            self._refuse(f"a number or nothing in {column}", f"{cell!r:.40}")
        if column.startswith("ear") and number < 0:
            self._refuse(f"an EAR of 0 or more in {column}", repr(cell))
        return number

    def _refuse(self, expected: str, found: str) -> NoReturn:
        raise TraceError(f"{self._name}, line {self._line}: expected {expected}, found {found}")
