"""bench.months: what grows is noticed, and the bench itself still runs."""

from dataclasses import replace

import pytest

from bench import months
from bench.months import Idle
from bench.soak import Sample
from scripts.portrait import Portrait
from tests.broker import needs_mosquitto

ALL_WELL = Idle(
    session=1,
    watch=Sample(0.0, 0.0, 90.0, 5, 10),
    sync=Sample(0.0, 0.0, 68.0, 4, 11),
    database=100_000,
    wal=4 << 20,
    rows=months.KEEP + 1,
    files=7,
    logged=0,
)


def after(sessions: int = 300, **growth: float) -> list[str]:
    """What is said of so many sessions, each of which left that much behind."""
    found = []
    for number in range(1, sessions + 1):
        left = {
            name: int(number * each) for name, each in growth.items() if hasattr(ALL_WELL, name)
        }
        grown = replace(
            ALL_WELL.sync,
            rss_mb=ALL_WELL.sync.rss_mb + number * growth.get("kb", 0) / 1024,
            threads=ALL_WELL.sync.threads + int(number * growth.get("threads", 0)),
            files=ALL_WELL.sync.files + int(number * growth.get("open_files", 0)),
        )
        changed = {name: getattr(ALL_WELL, name) + each for name, each in left.items()}
        found.append(replace(ALL_WELL, session=number, sync=grown, **changed))
    return months.report(found, 600.0).failures()


def test_what_is_left_behind_by_each_session_is_noticed() -> None:
    assert after() == []
    assert after(kb=5) == []
    assert after(kb=8) == ["memory of sync grows"]
    assert after(threads=0.1) == ["threads of sync grow"]
    assert after(open_files=0.1) == ["open files of sync grow"]
    assert after(database=1000) == ["the database grows"]
    assert after(rows=1) == ["rows of delivered sessions stay"]
    assert after(wal=4000) == ["the WAL grows"]
    assert after(files=0.1) == ["files grow"]
    assert after(logged=200) == []
    assert after(logged=2000) == ["much is logged"]


def test_a_year_is_told_by_the_second_half_when_buffers_have_their_size() -> None:
    memory = [90.0 + min(number, 100) * 0.01 for number in range(200)]
    watch = months._service(range(200), [replace(ALL_WELL.watch, rss_mb=each) for each in memory])
    assert watch.mb_per_year == pytest.approx(0.0)
    assert watch.last_mb - watch.warm_mb == pytest.approx(0.9)


@pytest.mark.slow
@pytest.mark.needs_broker
@needs_mosquitto
@pytest.mark.usefixtures("model_cache")
def test_sessions_are_made_and_delivered_while_broker_and_server_come_and_go(
    portrait: Portrait, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(months, "SESSION_S", 0.2)
    monkeypatch.setattr(months, "KEEP", 2)
    monkeypatch.setattr(months, "load_portrait", lambda: portrait)
    found = months.measure(9)
    assert found.sessions == 9
    assert 0 < found.rows <= 5  # of them two that could not be delivered, and the newest
    assert found.logged > 0
    settling = {"memory of watch grows", "memory of sync grows"}  # of so few it says nothing
    assert set(found.failures()) <= settling
