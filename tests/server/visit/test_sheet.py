"""The page for the doctor: who sees it, and what a link to it shows, until when."""

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from server.care.audit import entries_of
from server.care.models import AccessLog, CareLink
from server.session_data.models import SessionData
from server.visit.models import SheetLink

SHEET = "/people/anna/sheet/"


def logged_in(person) -> Client:
    client = Client()
    client.force_login(person)
    return client


def made(anna: Client, **more) -> str:
    """Create a link, and return its path."""
    page = anna.post(f"{SHEET}?days=7", {"days": "7", "name": "Dr. Lee"} | more, follow=True)
    return re.search(r"http://testserver(/sheet/bls_[\w-]+/)", page.content.decode())[1]


@pytest.mark.parametrize(
    ("who", "status"), [("anna", 200), ("carl", 200), ("ella", 404), ("otto", 404)]
)
def test_who_may_see_it(world, who, status):
    assert logged_in(getattr(world, who)).get(SHEET).status_code == status
    assert AccessLog.objects.filter(what="sheet").count() == (1 if who == "carl" else 0)


def test_live_alone_is_not_enough(world):
    CareLink.objects.filter(caregiver=world.carl).update(may_see_history=False)
    assert logged_in(world.carl).get(SHEET).status_code == 404


def test_it_says_what_was_measured_and_what_speaks_against_it(world):
    page = logged_in(world.anna).get(SHEET).content.decode()
    assert "How well the device counts this person was not checked." in page
    assert "no data" in page


def test_a_link_shows_just_this_page_to_anybody_and_each_look_is_logged(world):
    path = made(logged_in(world.anna))
    page = Client().get(path)
    text = page.content.decode()
    assert page.status_code == 200
    assert "Limitations" in text
    assert 'href="/people/' not in text
    assert 'href="/sessions/' not in text
    Client().get(path)
    (look,) = AccessLog.objects.all()
    assert (look.viewer, look.viewer_name, look.what, look.views) == (
        None, "link for Dr. Lee", "sheet", 2,
    )  # fmt: skip
    assert next(entry.event for entry in entries_of(world.anna)) == "sheet_shared"


def test_it_ends_when_it_is_withdrawn_when_its_time_is_over_and_with_the_account(world):
    anna = logged_in(world.anna)
    path, other = made(anna), made(anna)
    link = SheetLink.objects.order_by("pk").first()
    assert anna.post(f"/sheet/links/{link.pk}/withdraw/").status_code == 302
    assert Client().get(path).status_code == 404
    assert Client().get(other).status_code == 200
    SheetLink.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert Client().get(other).status_code == 404
    third = made(anna)
    type(world.anna).objects.filter(pk=world.anna.pk).update(is_active=False)
    assert Client().get(third).status_code == 404


@pytest.mark.parametrize("who", ["carl", "otto"])
def test_nobody_else_makes_or_withdraws_a_link(world, who):
    other = logged_in(getattr(world, who))
    assert other.post(SHEET, {"days": "7"}).status_code == 404
    assert not SheetLink.objects.exists()
    path = made(logged_in(world.anna))
    assert other.post(f"/sheet/links/{SheetLink.objects.get().pk}/withdraw/").status_code == 404
    assert Client().get(path).status_code == 200


@pytest.mark.parametrize("token", ["x", "bls_", "bls_" + "A" * 43, "%00", "bld_x"])
def test_a_link_that_was_not_made_here_leads_nowhere(world, token):
    made(logged_in(world.anna))
    assert Client().get(f"/sheet/{token}/").status_code == 404


def test_a_link_keeps_its_days_while_new_sessions_come(world):
    path = made(logged_in(world.anna))
    link = SheetLink.objects.get()
    assert (link.last - link.first).days == 6
    before = re.search(r"<dt>Period</dt><dd>(.*?)</dd>", Client().get(path).content.decode())[1]
    SessionData.objects.all().delete()
    after = re.search(r"<dt>Period</dt><dd>(.*?)</dd>", Client().get(path).content.decode())[1]
    assert before == after


def test_the_token_itself_is_not_stored(world):
    path = made(logged_in(world.anna))
    token = path.split("/")[2]
    assert token not in str(list(SheetLink.objects.values()))
