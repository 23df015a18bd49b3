"""A video with the measurement drawn into it, to show why each blink was counted.

On the face: the contour of each lid with the six landmarks of the EAR. At the bottom, or at the top
if the eyes are low in the picture: the count so far, EAR, the open level, the time, and a chart of
the last `CHART_S` seconds with a line per second. Blinks are known only after they end, so the
video is measured first and drawn in a second pass.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from agent.camera.video_name import ffmpeg_name
from agent.ear import CONTOUR
from agent.offline.canvas import Colour, Image, draw_text, fill, text_width
from agent.offline.chart import (
    BACKGROUND,
    GRID,
    INK,
    LEVEL,
    Axes,
    draw,
    kind_colour,
    mark_size,
)
from agent.offline.evidence import Evidence, blink_summary, clock, ear_range
from agent.records import Blink, Frame

CHART_S = 5.0
"""Long enough for two blinks, short enough to see each."""

AROUND = [*range(9), *range(15, 8, -1)]
"""The points of a contour in their order around the eye."""

Lids = NDArray[np.float32]
"""The contours of both eyes, float32 (2, 16, 2), as in `FaceLandmarks.lids`."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Position of the panel and sizes in pixels, the same for a whole video."""

    width: int
    top: int
    height: int
    size: float  # of capitals
    stroke: float
    low: float
    high: float

    @property
    def margin(self) -> int:
        """Margin around text and chart."""
        return round(0.8 * self.size)


def layout_for(width: int, height: int, evidence: Evidence, lids: Sequence[Lids | None]) -> Layout:
    """Choose the layout. Capitals are 1/42 of the shorter side, at least 8 pixels; less for long
    text."""
    size = max(8.0, min(width, height) / 42)
    last = len(evidence.times) - 1
    room = width - 2 * size
    for left, right in ((blink_summary(evidence), "partial blink"), _numbers(evidence, last)):
        wide = text_width(f"{left}  {right}", size, bold=True)
        size = max(4.0, size * min(1.0, room / wide))
    panel = min(height, round(5.2 * size + max(36, 0.15 * height)))
    middles = [float(each[..., 1].mean()) for each in lids if each is not None]
    low_eyes = bool(middles) and float(np.median(middles)) > height - panel
    top = 0 if low_eyes else height - panel
    return Layout(width, top, panel, size, max(1.0, size / 7), *ear_range(evidence))


def draw_overlay(
    image: Image, number: int, evidence: Evidence, lids: Lids | None, layout: Layout
) -> None:
    """Draw into frame `number` (from 0) of the recording."""
    now_s = float(evidence.times[number])
    current = next(iter(evidence.blinks_between(now_s, now_s)), None)
    if lids is not None:
        paint = LEVEL if current is None else kind_colour(current)
        for eye in lids:
            _draw_eye(image, eye, paint, layout.stroke)
    panel = image[layout.top : layout.top + layout.height]
    fill(panel, 0, layout.width, BACKGROUND, 0.75)
    _write(panel, number, evidence, current, layout)
    _draw_trace(panel[round(4.6 * layout.size) : -layout.margin], now_s, evidence, layout)


def _draw_eye(image: Image, eye: Lids, paint: Colour, stroke: float) -> None:
    """Draw a lid contour. Strokes are thin relative to the eye, whatever the picture's size."""
    width = float(np.linalg.norm(eye[0] - eye[8]))
    points = np.round(eye * 16).astype(np.int32)
    line = max(1, round(min(stroke, width / 50)))
    cv2.polylines(image, [points[AROUND]], True, paint, line, cv2.LINE_AA, 4)
    radius = round(16 * max(0.5, min(1.5 * stroke, width / 32)))
    for x, y in points[list(CONTOUR)].tolist():
        cv2.circle(image, (x, y), radius, INK, -1, cv2.LINE_AA, 4)


def _write(
    panel: Image, number: int, evidence: Evidence, current: Blink | None, layout: Layout
) -> None:
    left, right, size = layout.margin, layout.width - layout.margin, layout.size
    upper, lower = 1.8 * size, 3.7 * size
    so_far = blink_summary(evidence, float(evidence.times[number]))
    draw_text(panel, so_far, left, upper, size, INK, bold=True)
    state, paint = _state(number, evidence, current)
    draw_text(panel, state, right, upper, size, paint, align="right", bold=True)
    ear, time = _numbers(evidence, number)
    draw_text(panel, ear, left, lower, size, INK)
    draw_text(panel, time, right, lower, size, INK, align="right")


def _numbers(evidence: Evidence, number: int) -> tuple[str, str]:
    """Format EAR and the open level, and the time and frame."""
    ear, opened = (f"{of[number]:.3f}".replace("nan", "-") for of in (evidence.ear, evidence.open))
    return f"EAR {ear}  open {opened}", f"{clock(evidence.times[number], 0.01)}  frame {number}"


def _state(number: int, evidence: Evidence, current: Blink | None) -> tuple[str, Colour]:
    """Return a label for this frame with its colour: the event or `no face`; usually empty."""
    if current is not None:
        kind = "long closure" if current.long else "blink" if current.complete else "partial blink"
        return kind, kind_colour(current)
    return ("" if math.isfinite(evidence.ear[number]) else "no face"), INK


def _draw_trace(area: Image, now_s: float, evidence: Evidence, layout: Layout) -> None:
    """Draw the chart, with the current time at the right."""
    area = area[:, layout.margin : layout.width - layout.margin]
    height, width = area.shape[:2]
    lane = round(mark_size(layout.stroke) + 2)
    start_s = now_s - CHART_S
    axes = Axes(start_s, CHART_S, layout.low, layout.high, width - 1, height, lane)
    for second in range(max(0, math.ceil(start_s)), math.floor(now_s) + 1):
        x = round(axes.column(second))
        fill(area, x, x, GRID)
    draw(area, evidence, axes, layout.stroke)


def write_overlay(
    path: Path,
    frames: Iterable[Frame],
    fps: float,
    evidence: Evidence,
    lids: Sequence[Lids | None],
) -> None:
    """Write the frames that `evidence` and `lids` describe as MPEG-4 at `fps`, without sound.

    An odd width or height loses a pixel, because the format halves both. Raises OSError if not all
    frames are in the file.
    """
    video: cv2.VideoWriter | None = None
    try:
        for number, (frame, eyes) in enumerate(zip(frames, lids, strict=False)):
            if video is None:
                layout = layout_for(frame.width, frame.height, evidence, lids)
                video = _open(path, fps, frame)
            image = frame.pixels.copy()
            draw_overlay(image, number, evidence, eyes, layout)
            video.write(image)
    finally:
        if video is not None:
            video.release()
    _check(path, len(lids))


def _open(path: Path, fps: float, frame: Frame) -> cv2.VideoWriter:
    # MPEG-4 divides a second into at most 65535 parts: two decimals suit every camera.
    rate = fps if fps < 60 else round(fps, 2)
    code = cv2.VideoWriter.fourcc(*"mp4v")
    size = (frame.width, frame.height)
    video = cv2.VideoWriter(ffmpeg_name(path), cv2.CAP_FFMPEG, code, rate, size)
    if not video.isOpened():
        pixels = f"{frame.width}x{frame.height}"
        raise OSError(f"OpenCV can't write MPEG-4 of {pixels} pixels at {rate:g} frames per second")
    return video


def _check(path: Path, expected: int) -> None:
    """Count the frames in the file: OpenCV does not report a full disk."""
    video = cv2.VideoCapture(ffmpeg_name(path), cv2.CAP_FFMPEG)
    found = int(video.get(cv2.CAP_PROP_FRAME_COUNT)) if video.isOpened() else 0
    video.release()
    if found != expected:
        raise OSError(f"expected {expected} frames in it, found {found}: is the disk full?")
