"""Links to the page for the doctor are in the person's export, and do not stay for ever."""

import io
import zipfile
from datetime import date, timedelta

import pytest
from django.utils import timezone

from server.retention import codes
from server.retention.everything import everything
from server.visit.models import SheetLink

pytestmark = pytest.mark.django_db


def _link(person, name: str, ended: timedelta) -> SheetLink:
    SheetLink.issue(
        person,
        name=name,
        first=date(2026, 11, 1),
        last=date(2026, 11, 30),
        expires_at=timezone.now() - ended,
    )
    return SheetLink.objects.get(name=name)


def test_the_links_are_in_the_export_without_their_secret(world):
    link = _link(world.anna, "Dr. Meyer", timedelta(days=-7))
    with zipfile.ZipFile(io.BytesIO(b"".join(everything(world.anna)))) as archive:
        table = archive.read("sheetlinks.csv").decode()
    assert "Dr. Meyer" in table
    assert link.digest not in table


def test_a_link_that_ended_long_ago_is_deleted(world):
    for name, ended in (("old", timedelta(days=91)), ("recent", timedelta(days=89))):
        _link(world.anna, name, ended)
    told = codes.tidy(timezone.now())
    assert told["links to the page for the doctor"] == 1
    assert [each.name for each in SheetLink.objects.all()] == ["recent"]
