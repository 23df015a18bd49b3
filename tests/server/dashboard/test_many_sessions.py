"""Pages of a person with more sessions than anybody has."""

import re
from datetime import timedelta

from server.dashboard import read
from server.session_data.models import SessionData
from tests.server.dashboard.browsing import measured, words_of


def test_a_page_reads_a_bounded_number_of_sessions(world, browser, monkeypatch):
    rows, made = 0, read._row

    def counted(*arguments):
        nonlocal rows
        rows += 1
        return made(*arguments)

    monkeypatch.setattr(read, "_row", counted)
    monkeypatch.setattr(read, "MOST_ROWS", 5)
    monkeypatch.setattr(read, "PAGE", 4)
    monkeypatch.setattr(read, "MOST_PRINTED", 5)
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


def test_a_print_has_the_whole_period_and_a_screen_a_page_of_it(world, browser):
    for n in range(40):
        measured(world.device, timedelta(days=n % 28, hours=n % 3))
    page = browser("carl").get("/people/anna/?days=30")
    table = page.content.decode().partition('class="history"')[2]
    assert table.count('<th scope="row">') == 40
    hidden = re.findall(r"<tbody class=.print-only.>|<tr class=.print-only.>", table)
    assert table.count('<tr class="print-only">') == 15
    assert len(hidden) > 15
    assert "printed here" not in words_of(page)


def test_a_print_that_leaves_sessions_out_says_so(world, browser, monkeypatch):
    monkeypatch.setattr(read, "PAGE", 4)
    monkeypatch.setattr(read, "MOST_PRINTED", 5)
    for n in range(12):
        measured(world.device, timedelta(days=1 + n))
    client = browser("carl")
    page = client.get("/people/anna/?days=30")
    assert page.content.decode().partition('class="history"')[2].count('<th scope="row">') == 9
    told = "Not all 12 sessions of this period are printed here."
    assert told in words_of(page)
    second = re.search(r'rel="next" href="([^"]*)"', page.content.decode())[1]
    assert told in words_of(client.get("/people/anna/" + second.replace("&amp;", "&")))
    assert told not in words_of(client.get("/people/anna/?days=30&all=1"))
