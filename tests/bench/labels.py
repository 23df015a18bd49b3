"""Label files as the public data sets have them."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from bench.scoring import Interval

HEADER = """\
#eye-blink annotation file version 1.1
#author:  somebody
#glasses: NO
#message start
what a person wrote: 1:2:3:4:5:6:7
#message end
#start
"""
CORNERS = "251:221:247:290:297:288:348:282:409:270:459:267"


def row(frame: int, blink: int = -1, flags: str = "X:X:X:X:X") -> str:
    """`flags` are NF:LE_FC:LE_NV:RE_FC:RE_NV."""
    return f"{frame}:{blink}:{flags}:{CORNERS}"


def rows(frames: int, blinks: Iterable[Interval] = ()) -> list[str]:
    """Of `frames` frames with blinks, the middle of each closed."""
    lines = [row(frame) for frame in range(frames)]
    for number, (first, last) in enumerate(blinks, start=1):
        for frame in range(first, last + 1):
            closed = "X:C:X:C:X" if frame == (first + last) // 2 else "X:X:X:X:X"
            lines[frame] = row(frame, number, closed)
    return lines


def write_tag(path: Path, lines: Sequence[str], end: str = "\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes((HEADER.replace("\n", end) + end.join([*lines, "#end", ""])).encode())
    return path


def write_times(path: Path, frames: int, step_s: float) -> None:
    path.write_text("".join(f"{frame} {frame * step_s:.6f}\n" for frame in range(frames)))


def write_vt(path: Path, states: Sequence[int]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes("".join(f"{state}\r\n" for state in states).encode())
    return path


def states(frames: int, blinks: Iterable[Interval]) -> list[int]:
    """Closed in the middle of each blink, in between at its ends."""
    labels = [0] * frames
    for first, last in blinks:
        labels[first : last + 1] = [1, *[2] * (last - first - 1), 1]
    return labels
