"""Read QR codes in frames, as a phone shows them: blurred, tilted, dim, with reflections."""

import itertools
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from agent.records import Frame

Picture = NDArray[np.uint8]
"""Gray, uint8 (height, width)."""

LONGEST_BYTES = 2048  # more than the longest code that is understood; a QR code can hold 2,953


class CodeReader:
    """Finds one QR code in a frame, by OpenCV 4.8 or later. Keeps no picture.

    Each call looks at the frame as it is, and once more after one of several corrections, which
    take turns: a phone is held still for longer than they take. So a call takes two passes, and not
    one for each correction, which is seconds on a small board.
    """

    def __init__(self, *, flip: bool = False) -> None:
        """`flip`: the camera's picture is mirrored, which no code can be read in."""
        self._flip = flip
        # OpenCV's two locators: ArUco's finds tilted and turned codes, the other one blurred ones.
        self._tilted = cv2.QRCodeDetectorAruco()
        self._blurred = cv2.QRCodeDetector()
        self._contrast = cv2.createCLAHE(clipLimit=4.0, tileGridSize=(8, 8))
        corrections: tuple[Callable[[Picture], str | None], ...] = (
            lambda gray: _decoded(self._blurred, _sharpened(gray)),
            lambda gray: _decoded(self._tilted, _negative(gray)),  # white on black
            lambda gray: _decoded(self._blurred, gray),
            lambda gray: _decoded(self._tilted, _uint8(self._contrast.apply(gray))),
            lambda gray: _decoded(self._tilted, _half(gray)),  # close, and noisy or out of focus
            lambda gray: _decoded(self._tilted, _middle_enlarged(gray)),  # far away
        )
        self._corrections = itertools.cycle(corrections)

    def read(self, frame: Frame) -> str | None:
        """Return the text of the code in the frame, or None if none can be read."""
        gray = _gray(frame)
        if self._flip:
            gray = _uint8(cv2.flip(gray, 1))
        return _decoded(self._tilted, gray) or next(self._corrections)(gray)


def _decoded(detector: "cv2.QRCodeDetector | cv2.QRCodeDetectorAruco", gray: Picture) -> str | None:
    try:
        text, _, _ = detector.detectAndDecode(gray)
    except (cv2.error, UnicodeDecodeError):  # a shape it can't straighten; bytes that are no text
        return None
    return text if 0 < len(text) <= LONGEST_BYTES else None


def _uint8(picture: NDArray[Any]) -> Picture:
    return np.asarray(picture, np.uint8)


def _gray(frame: Frame) -> Picture:
    if frame.layout == "yuv420":
        return frame.pixels[: frame.height]
    return _uint8(cv2.cvtColor(frame.pixels, cv2.COLOR_BGR2GRAY))


def _negative(gray: Picture) -> Picture:
    return _uint8(cv2.bitwise_not(gray))


def _sharpened(gray: Picture) -> Picture:
    """Subtract what is coarser than a module: of a code that is out of focus, edges remain."""
    coarse = cv2.GaussianBlur(gray, (0, 0), 3)
    return _uint8(cv2.addWeighted(gray, 2.5, coarse, -1.5, 0))


def _half(gray: Picture) -> Picture:
    return _uint8(cv2.resize(gray, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA))


def _middle_enlarged(gray: Picture) -> Picture:
    height, width = gray.shape
    middle = gray[height // 4 : height - height // 4, width // 4 : width - width // 4]
    return _uint8(cv2.resize(middle, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC))
