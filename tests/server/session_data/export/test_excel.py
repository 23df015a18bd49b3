"""CSV that Excel opens right by a double click, in Germany and in Britain."""

from datetime import datetime

import pytest

from server.devices.models import Device
from tests.server.session_data.exports import exported, lines_of, session, store

MARK = "\ufeff"


def excel(client, decimal="comma", **query):
    """The lines by column, as Excel of that region sees them; and the last line."""
    file = exported(client, **{"as": "excel", "decimal": decimal, **query})
    text = file.decode()
    assert text.startswith(MARK)
    table, empty, last = text.removeprefix(MARK).rpartition("\r\n\r\n")
    assert empty
    return lines_of(table.encode(), ";" if decimal == "comma" else ","), last.strip()


def test_numbers_have_the_decimal_sign_and_cells_the_separator_of_the_region(world, api):
    store(world.anna, world.device, session())
    (line,), _ = excel(api("anna"))
    assert (line["perclos"], line["fps"], line["blink_count"]) == ("0,018", "29,8", "5")
    (line,), _ = excel(api("anna"), "point")
    assert (line["perclos"], line["fps"], line["blink_count"]) == ("0.018", "29.8", "5")


def test_the_decimal_sign_is_that_of_the_language_unless_asked_for(world, api):
    store(world.anna, world.device, session())
    client = api("anna").client
    for language, expected in (("de", b"id;local_day"), ("en", b"id,local_day")):
        headers = {"Accept-Language": language}
        file = b"".join(client.get("/api/session/export/?as=excel", headers=headers))
        assert file.startswith(MARK.encode() + expected)


def test_times_are_local_to_the_session(world, api):
    """In winter and in summer, and where the person was, not where their account is."""
    began = ("2026-01-10T10:15:30.123Z", "2026-07-10T10:15:30.123Z")
    for text in began:
        document = session(started_at=text, ended_at=text.replace("10:15", "10:20"))
        store(world.anna, world.device, document)
    away = session(started_at="2026-03-01T10:15:30Z", ended_at="2026-03-01T10:20:30Z")
    away["clock"] = {"synchronized": True, "timezone": "Asia/Tokyo", "utc_offset_minutes": 540}
    store(world.anna, world.device, away)
    lines, _ = excel(api("anna"))
    found = {line["started_at"]: line["timezone"] for line in lines}
    assert found == {
        "2026-07-10 12:15:30": "Europe/Berlin",
        "2026-03-01 19:15:30": "Asia/Tokyo",
        "2026-01-10 11:15:30": "Europe/Berlin",
    }
    blinks, _ = excel(api("anna"), of="blinks", **{"from": "2026-03-01", "to": "2026-03-01"})
    assert blinks[0]["at"] == "2026-03-01 19:15:32"
    assert datetime.fromisoformat(blinks[0]["at"])


@pytest.mark.parametrize("start", [*"=+-@\t\r", " =", "＝"])  # noqa: RUF001
def test_no_text_becomes_a_formula(world, api, start):
    label = f"{start}cmd|'/c calc'!A1"
    Device.objects.filter(pk=world.device.pk).update(label=label)
    store(world.anna, world.device, session(quality=[f"{start.strip() or '='}1+1"]))
    (line,), _ = excel(api("anna"))
    assert line["device"] == f"'{label}"
    assert line["quality"].startswith("'")


def test_separators_quotes_and_lines_in_a_text_stay_in_their_cell(world, api):
    label = 'Hall; "left",\nside é'
    Device.objects.filter(pk=world.device.pk).update(label=label)
    store(world.anna, world.device, session())
    for decimal in ("comma", "point"):
        (line,), _ = excel(api("anna"), decimal)
        assert line["device"] == label


def test_the_last_line_says_where_the_columns_are_explained(world, api):
    _, last = excel(api("anna"))
    address = "http://testserver/export/definitions/"
    assert last == f"Definitions of the columns: {address}"
