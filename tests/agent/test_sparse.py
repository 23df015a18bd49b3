"""bench.sparse: which frames would be inferred."""

from bench.sparse import chosen
from tests.agent.traces import Camera, Lids, sample


def test_open_eyes_are_looked_at_every_so_often() -> None:
    samples = Camera(30).see([], 10)
    assert chosen(samples, 1) == list(range(300))
    assert chosen(samples, 3) == list(range(0, 300, 3))


def test_a_blink_is_looked_at_in_every_frame_and_from_before_it_was_noticed() -> None:
    samples = Camera(30).see([Lids(5.0)], 10)
    taken = set(chosen(samples, 3))
    inside = {k for k, each in enumerate(samples) if 5.05 < each.time_s < 5.3}
    assert inside <= taken
    assert len(taken) < 130


def test_without_a_face_every_frame_is_looked_at() -> None:
    assert chosen([sample(k / 30, None) for k in range(30)], 3) == list(range(30))
