"""Pages of a person with more sessions than anybody has."""

from datetime import timedelta

from server.dashboard import read
from server.session_data.models import SessionData
from tests.server.dashboard.browsing import measured


def test_a_page_reads_a_bounded_number_of_sessions(world, browser, monkeypatch):
    rows, made = 0, read._row

    def counted(*arguments):
        nonlocal rows
        rows += 1
        return made(*arguments)

    monkeypatch.setattr(read, "_row", counted)
    monkeypatch.setattr(read, "MOST_ROWS", 5)
    monkeypatch.setattr(read, "PAGE", 4)
    for minutes in range(30):
        measured(world.device, timedelta(days=1, minutes=minutes))
    for address in ("/", "/people/anna/", "/people/anna/?days=90", "/people/anna/?all"):
        rows = 0
        assert browser("carl").get(address).status_code == 200
        assert 1 <= rows < 22
    day = SessionData.objects.first().local_day
    assert len(read.rows_between(world.anna, day, day)) == 5
    assert len(read.measured_between(world.anna, day, day)) == 5
    assert len(read.recent([world.anna, world.otto], day)[world.anna.pk]) == 5
