"""Another face is beside the tracked one, and about as near."""

import pytest

from agent.face.crops import Region
from agent.face.detector import Detector
from agent.face.others import BESIDE, OTHERS_S, OTHERS_SIZE, OtherFaces
from agent.records import Frame
from tests.agent.face.looks import EMPTY

TRACKED = Region(300, 200, 100)
WHOLE = Region(320, 240, 640)


class Found(Detector):
    """A detector that finds what a test puts there."""

    def __init__(self, *regions: Region) -> None:
        self.regions, self.seen_at, self.calls = list(regions), list[float](), list[str]()

    def see(self, frame: Frame, view: Region) -> None:
        assert view == WHOLE
        self.seen_at.append(frame.time_s)
        self.calls = ["see"]

    def run_stem(self) -> None:
        self.calls.append("stem")

    def run_head(self) -> None:
        self.calls.append("head")

    def found(self, view: Region) -> list[Region]:
        assert view == WHOLE
        assert self.calls == ["see", "stem", "head"]
        return self.regions


def seen(*regions: Region) -> bool | None:
    others = OtherFaces(Found(*regions))
    for n in range(3):
        assert others.look(Frame(n / 10, EMPTY), WHOLE, TRACKED) is None
    return others.look(Frame(0.3, EMPTY), WHOLE, TRACKED)


def test_the_tracked_face_alone_is_no_other() -> None:
    assert seen() is False
    assert seen(TRACKED, Region(310, 195, 110)) is False


@pytest.mark.parametrize(("size", "other"), [(41, True), (39, False)])
def test_a_far_smaller_face_is_far_away(size: float, other: bool) -> None:
    assert OTHERS_SIZE == 0.4
    assert seen(TRACKED, Region(500, 200, size)) is other


@pytest.mark.parametrize("size", [60, 100, 200])
def test_faces_that_touch_are_two(size: float) -> None:
    apart = (TRACKED.size + size) / 2 / 1.5
    assert seen(TRACKED, Region(300 - apart, 200, size)) is True


@pytest.mark.parametrize("size", [100, 250, 400])
def test_what_the_detector_finds_around_a_face_is_no_other(size: float) -> None:
    """As in an infrared picture: (338, 308), 416 wide, around a face at (322, 245)."""
    assert seen(Region(300 + (BESIDE - 0.01) * size, 200, size)) is False
    assert seen(Region(300 + (BESIDE + 0.01) * size, 200, size)) is True


def test_a_search_takes_four_frames_and_starts_every_few_seconds() -> None:
    detector = Found(Region(500, 200, 100))
    others = OtherFaces(detector)
    answers = {}
    for n in range(104):
        is_due = others.is_due(n / 10)
        assert is_due is (n % 50 < 4)
        answers[n] = others.look(Frame(n / 10, EMPTY), WHOLE, TRACKED)
    assert {n: answer for n, answer in answers.items() if answer is not None} == {
        3: True, 53: True, 103: True,
    }  # fmt: skip
    assert detector.seen_at == [0.0, OTHERS_S, 2 * OTHERS_S]


def test_output_of_another_run_of_the_detector_is_not_read() -> None:
    others = OtherFaces(Found(Region(500, 200, 100)))
    for n in range(3):
        others.look(Frame(n / 10, EMPTY), WHOLE, TRACKED)
    others.forget()
    assert others.look(Frame(0.3, EMPTY), WHOLE, TRACKED) is None
