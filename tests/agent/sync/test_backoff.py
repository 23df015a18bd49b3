"""How long delivery waits after a failure."""

from agent.sync import CAP_S, RETRY_AFTER_CAP_S, Backoff
from tests.agent.sync.scripted import Clock, longest


def test_each_failure_in_a_row_doubles_the_ceiling_up_to_the_cap(clock: Clock) -> None:
    backoff = Backoff(clock, longest)
    assert backoff.ready()
    delays = []
    for _ in range(12):
        backoff.failed()
        begun_s = clock.now_s
        while not backoff.ready():
            clock.now_s += 0.5
        delays.append(clock.now_s - begun_s)
    assert delays == [1, 2, 4, 8, 16, 32, 64, 128, 256, CAP_S, CAP_S, CAP_S]


def test_the_delay_is_drawn_from_the_whole_range_so_that_a_fleet_spreads(clock: Clock) -> None:
    asked = []
    backoff = Backoff(clock, lambda low, high: asked.append((low, high)) or low)  # type: ignore[func-returns-value]
    for _ in range(3):
        backoff.failed()
    assert asked == [(0, 1), (0, 2), (0, 4)]


def test_success_begins_anew_and_so_does_a_failure_long_after_the_last(clock: Clock) -> None:
    backoff = Backoff(clock, longest)
    for begin_anew in (backoff.succeeded, lambda: setattr(clock, "now_s", clock.now_s + 9999)):
        for _ in range(8):
            backoff.failed()
        begin_anew()
        assert backoff.ready()
        backoff.failed()
        clock.now_s += 1
        assert backoff.ready()
        backoff.succeeded()


def test_the_server_s_wish_is_the_least_of_the_delay_within_reason(clock: Clock) -> None:
    backoff = Backoff(clock, longest)
    backoff.failed(retry_after_s=120)
    clock.now_s += 120
    backoff.hurry()
    assert not backoff.ready(), "and not everybody comes at that very second"
    clock.now_s += 1
    assert backoff.ready()
    backoff.failed(retry_after_s=1e9)
    clock.now_s += RETRY_AFTER_CAP_S + 2
    assert backoff.ready()


def test_news_ends_a_delay_but_not_two_in_a_row(clock: Clock) -> None:
    backoff = Backoff(clock, longest)
    for _ in range(9):
        backoff.failed()
    assert not backoff.ready()
    backoff.hurry()
    assert backoff.ready()
    backoff.failed()
    backoff.hurry()
    assert not backoff.ready()
    clock.now_s += CAP_S
    assert backoff.ready()
    backoff.failed()
    backoff.hurry()
    assert backoff.ready()
