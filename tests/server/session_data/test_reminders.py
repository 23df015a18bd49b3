"""Sessions in which the device's light asked for blinks."""

import csv
import io

import pytest
from django.test import Client

from server.session_data.accept import accept_session
from server.session_data.models import SessionData
from tests.server.conftest import golden
from tests.server.session_data.exports import EXPORT

REMINDERS = {
    "at_s": [181.0, 497.0],
    "rate_before_per_min": [4.0, 5.0],
    "rate_after_per_min": [12.0, None],
}
LINE = (
    "The light asked for blinks 2 times. Median blink rate in the three minutes before: "
    "4.5 a minute; after: 12.0."
)


def document(**changes):
    return golden("final") | {"reminders": {**REMINDERS, **changes}}


def test_they_are_stored_and_told_in_the_api(world, api):
    given = document()
    assert accept_session(world.device, given).outcome == "stored"
    row = SessionData.objects.get()
    assert row.document == given
    assert api("anna").get(f"/api/session/{row.pk}/").json()["reminders"] == REMINDERS


def test_without_them_there_are_none(world, api):
    accept_session(world.device, golden("final"))
    pk = SessionData.objects.get().pk
    assert api("anna").get(f"/api/session/{pk}/").json()["reminders"] is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"at_s": [181.0]},
        {"at_s": [181.0, -1]},
        {"rate_before_per_min": [4.0, None]},
        {"rate_after_per_min": [4.0, "5"]},
        {"at_s": None},
        dict.fromkeys(REMINDERS, [1.0] * 1442),
    ],
)
def test_columns_that_do_not_fit_are_rejected(world, wrong):
    told = accept_session(world.device, document(**wrong))
    assert told.outcome == "rejected"
    assert "reminders" in told.reason


def test_an_export_says_how_often_and_how_the_rate_was_after(world, api):
    accept_session(world.device, document())
    answer = api("anna").get(EXPORT, of="sessions", **{"as": "csv"})
    text = b"".join(answer.streaming_content).decode()
    (row,) = csv.DictReader(io.StringIO(text))
    assert (row["reminders"], row["reminder_rate_after_per_min"]) == ("2", "12.0")


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({}, LINE),
        (
            {"rate_after_per_min": [None, None]},
            "The light asked for blinks 2 times. Median blink rate in the three minutes before: "
            "4.5 a minute; after: unknown.",
        ),
    ],
)
def test_the_sessions_page_has_a_line_about_them(world, changes, line):
    accept_session(world.device, document(**changes))
    browser = Client()
    browser.force_login(world.anna)
    page = browser.get(f"/sessions/{SessionData.objects.get().pk}/")
    assert line in page.content.decode()


def test_a_session_without_them_has_no_line(world):
    accept_session(world.device, golden("final"))
    browser = Client()
    browser.force_login(world.anna)
    page = browser.get(f"/sessions/{SessionData.objects.get().pk}/")
    assert page.status_code == 200
    assert "The light asked" not in page.content.decode()
