"""What a tracker says of pictures, and a tracker that counts its looks."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.face.tracker import FaceTracker
from agent.records import FaceLandmarks, Frame
from scripts.portrait import Portrait

FPS = 30
EMPTY = np.full((480, 640, 3), 90, np.uint8)
CORNERS = [33, 263, 133, 362]  # of the right and left eye: outer, then inner
Pixels = NDArray[np.uint8]


def frames(pictures: Iterable[Pixels], start_s: float = 0.0) -> list[Frame]:
    """Pictures as a camera would give them."""
    return [Frame(start_s + n / FPS, picture) for n, picture in enumerate(pictures)]


def last_face(tracker: FaceTracker, pictures: Iterable[Pixels]) -> FaceLandmarks | None:
    """What is seen in the last of some frames."""
    return [tracker.find(frame) for frame in frames(pictures)][-1]


def settled(tracker: FaceTracker, picture: Pixels) -> FaceLandmarks:
    """The face in a still picture."""
    face = last_face(tracker, [picture] * 3)
    assert face is not None
    return face


def two_faces(portrait: Portrait, left: float = 0.5, right: float = 0.5) -> Pixels:
    """A picture with the face twice, at these scales; 0 leaves it out."""
    picture = EMPTY.copy()
    for scale, columns in ((left, slice(0, 320)), (right, slice(320, 640))):
        if scale:
            picture[:, columns] = portrait.frame(1.0, scale=scale)[:, 160:480]
    return picture


class Watched:
    """An interpreter whose inferences are counted, and whose outputs may be changed after each."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self.runs = 0
        self.change: Callable[[list[Any]], None] | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def invoke(self) -> None:
        self.runs += 1
        self._model.invoke()
        if self.change:
            self.change([self._model.tensor(d["index"])() for d in self.get_output_details()])
