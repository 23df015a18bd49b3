"""The export page: choose, and get the file; and what its columns mean."""

import re

import pytest

from server.care.models import CareLink, Person
from server.devices.models import Device
from server.session_data.accept import accept_own
from server.session_data.export import parquet
from server.session_data.export.codebook import TABLES
from tests.server.dashboard.browsing import measured, words_of
from tests.server.session_data.exports import lines_of, session, store
from tests.server.session_data.test_checks import check

PAGE = "/export/"
CHOSEN = {
    "user": "anna", "of": "sessions", "form": "excel", "decimal": "comma", "first": "", "last": "",
    "device": "",
}  # fmt: skip


def file_of(client, **choice):
    answer = client.get(PAGE, CHOSEN | choice, follow=True)
    assert answer.status_code == 200, words_of(answer)
    return b"".join(answer), answer


def test_the_devices_are_grouped_by_person_where_there_are_several(world, browser):
    Device.objects.filter(pk=world.device.pk).update(label="Bedroom")
    Device.objects.create(person=world.carl, label="Attic")
    Device.objects.create(person=world.anna, label="Office")
    page = browser("carl").get(PAGE).content.decode()
    options = re.findall(r'<optgroup label="(.*?)">|<option value="[^"]{36}">(.*?)<', page)
    shown = [name or device for name, device in options]
    assert shown == [world.carl.label, "Attic", world.anna.label, "Bedroom", "Office"]
    assert "<optgroup" not in browser("anna").get(PAGE).content.decode()


@pytest.mark.parametrize(
    ("form", "begins"),
    [
        ("csv", b"id,local_day"),
        ("excel", b"\xef\xbb\xbfid;local_day"),
        ("json", b'{"user": "anna"'),
        ("parquet", b"PAR1"),
        ("fhir", b'{"resourceType": "Bundle"'),
    ],
)
def test_every_format_can_be_chosen(world, browser, form, begins):
    measured(world.device)
    file, answer = file_of(browser("carl"), form=form)
    assert file.startswith(begins)
    assert answer["Content-Disposition"].startswith('attachment; filename="blinklog-anna-sessions')


@pytest.mark.parametrize("part", TABLES)
def test_every_table_can_be_chosen(world, browser, part):
    measured(world.device)
    store(world.anna, world.device, check())
    file, _ = file_of(browser("carl"), of=part, form="csv")
    assert len(lines_of(file)) > 0


def test_any_days_everybody_a_device_and_pseudonyms_can_be_chosen(world, browser):
    accept_own(world.carl, session())
    kitchen = measured(world.device)
    client = browser("carl")
    everybody = {"user": "*", "form": "csv"}
    assert {line["user"] for line in lines_of(file_of(client, **everybody)[0])} == {"anna", "carl"}
    of_device, _ = file_of(client, device=str(world.device.pk), **everybody)
    assert [line["id"] for line in lines_of(of_device)] == [kitchen]
    none, _ = file_of(client, first="2024-02-29", last="2025-03-01", **everybody)
    assert lines_of(none) == []
    hidden, _ = file_of(client, pseudonyms="on", **everybody)
    assert b"anna" not in hidden
    assert b"Kitchen" not in hidden


def test_the_page_begins_with_the_person_and_the_days_it_was_opened_for(world, browser):
    measured(world.device)
    page = browser("carl").get("/people/anna/?days=7").content.decode()
    (link,) = re.findall(r'href="(/export/\?[^"]*)"', page)
    form = browser("carl").get(link.replace("&amp;", "&")).content.decode()
    assert '<option value="anna" selected>' in form
    first, last = re.findall(r'<input type="date".*? value="([-\d]+)"', form)
    assert f"from={first}&amp;to={last}" in link


def test_the_page_offers_only_whom_one_may_see(world, browser):
    assert "Everybody" not in words_of(browser("otto").get(PAGE))
    page = browser("carl").get(PAGE)
    assert re.findall(r'<option value="([a-z*]+)"', page.content.decode())[:3] == [
        "carl", "anna", "*",
    ]  # fmt: skip
    assert "Kitchen" in words_of(page)
    assert "Otto's" not in words_of(page)
    CareLink.objects.get(caregiver=world.carl, ended_at=None).end()
    page = browser("carl").get(PAGE, CHOSEN)
    assert page.status_code == 400
    assert "Kitchen" not in words_of(page)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"first": "2026-02-02", "last": "2026-02-01"}, "The first day is after the last."),
        ({"first": "yesterday"}, "Enter a valid date."),
        ({"form": "fhir", "of": "blinks"}, "FHIR has only sessions."),
        ({"form": "fhir", "user": "*"}, "FHIR is for one person."),
        ({"form": "fhir", "pseudonyms": "on"}, "FHIR names the person."),
        ({"of": "days", "device": "kitchen"}, "Days are of all devices."),
        ({"form": "xml"}, "Select a valid choice."),
        ({"device": "x"}, "Select a valid choice."),
        ({"user": "otto"}, "Select a valid choice."),
    ],
)
def test_what_does_not_go_together_is_said_at_its_field(world, browser, wrong, told):
    if wrong.get("device") == "kitchen":
        wrong = wrong | {"device": str(world.device.pk)}
    answer = browser("carl").get(PAGE, CHOSEN | wrong)
    assert answer.status_code == 400
    assert told in words_of(answer)


@pytest.mark.parametrize("day", ["1900-01-01", "9999-12-31"])
def test_a_day_that_the_api_refuses_is_refused_on_the_page(world, browser, day):
    answer = browser("carl").get(PAGE, CHOSEN | {"first": day})
    assert answer.status_code == 400
    assert "Ensure" in words_of(answer)


def test_without_pyarrow_the_page_offers_no_parquet_and_says_why(world, browser, monkeypatch):
    monkeypatch.setattr(parquet, "find_spec", lambda name: None)
    page = browser("carl").get(PAGE)
    assert 'value="parquet"' not in page.content.decode()
    assert "this server has no pyarrow" in words_of(page)
    assert browser("carl").get(PAGE, CHOSEN | {"form": "parquet"}).status_code == 400


def test_the_page_is_german_and_proposes_the_comma(world, browser):
    Person.objects.filter(pk=world.carl.pk).update(language="de")
    page = browser("carl").get(PAGE, headers={"Accept-Language": "de"})
    assert "Dezimalzeichen in Excel" in words_of(page)
    assert '<option value="comma" selected>' in page.content.decode()
    Person.objects.filter(pk=world.carl.pk).update(language="en")
    english = browser("carl").get(PAGE)
    assert '<option value="point" selected>' in english.content.decode()


def test_every_column_is_explained_in_the_readers_language(world, browser):
    for language, words in (("en", "Blinks per minute of valid time"), ("de", "gemessener Zeit")):
        headers = {"Accept-Language": language}
        page = browser("carl").get("/export/definitions/", headers=headers)
        assert words in words_of(page)
        for table in TABLES.values():
            for column in table.columns:
                assert f'id="{table.name}-{column.name}"' in page.content.decode()
