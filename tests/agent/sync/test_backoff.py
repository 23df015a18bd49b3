"""How long delivery waits after a failure."""

from agent.sync import CAP_S, Backoff
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
    assert delays == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]


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
    assert backoff.wait_s == 3600 + 2
    backoff.failed(retry_after_s=-5)
    assert backoff.wait_s == 4
    clock.now_s += 10
    assert backoff.wait_s == 0


def test_a_failure_within_five_minutes_of_the_last_delay_is_of_the_same_outage(
    clock: Clock,
) -> None:
    backoff = Backoff(clock, longest)
    for later_s, delay_s in ((0, 1), (300, 2), (300.5, 1), (0, 2)):
        clock.now_s += backoff.wait_s + later_s
        backoff.failed()
        assert backoff.wait_s == delay_s


def test_after_a_hurried_attempt_that_succeeds_delays_are_as_at_first(clock: Clock) -> None:
    backoff = Backoff(clock, longest)
    for _ in range(3):
        backoff.failed()
        backoff.hurry()
        backoff.succeeded()
        for delay_s in (1, 2, 4):
            backoff.failed()
            assert backoff.wait_s == delay_s
            clock.now_s += delay_s
        backoff.succeeded()


def test_news_while_nothing_is_delayed_changes_nothing(clock: Clock) -> None:
    backoff = Backoff(clock, longest)
    for delay_s in (1, 2, 4):
        backoff.hurry()
        backoff.failed()
        assert backoff.wait_s == delay_s
        clock.now_s += delay_s


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
