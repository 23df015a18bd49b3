"""A page with a code can be reloaded, makes no second code, and nobody else can read it."""

import time

import pytest
from django.contrib.sessions.models import Session
from django.test import Client

from server.care.models import Invitation
from server.care.pages import once

ASKED = {"name": "My son", "may": ["history"], "days": "7"}


@pytest.fixture
def anna(world) -> Client:
    client = Client()
    client.force_login(world.anna)
    return client


def test_a_reload_shows_the_same_code_and_makes_no_other(world, anna):
    address = anna.post("/sharing/", ASKED).headers["Location"]
    pages = [anna.get(address) for _ in range(3)]
    (code,) = {page.context["code"] for page in pages}
    assert all(code in page.content.decode() for page in pages)
    assert Invitation.objects.count() == 1


def test_neither_the_address_nor_the_session_has_the_code(world, anna):
    address = anna.post("/sharing/", ASKED).headers["Location"]
    code = anna.get(address).context["code"]
    assert code not in address
    (session,) = Session.objects.all()
    assert code not in str(session.get_decoded())


def test_nobody_else_and_nobody_later_reads_it(world, anna, monkeypatch):
    address = anna.post("/sharing/", ASKED).headers["Location"]
    carl = Client()
    carl.force_login(world.carl)
    assert "ten minutes" in carl.get(address, follow=True).content.decode()
    carl.post("/sharing/", ASKED)  # now he has a pad of his own
    assert "ten minutes" in carl.get(address, follow=True).content.decode()
    assert Client().get(address).headers["Location"].startswith("/login/")
    later = time.time() + once.SHOWN_S + 1
    monkeypatch.setattr(once.time, "time", lambda: later)
    assert "ten minutes" in anna.get(address, follow=True).content.decode()


@pytest.mark.parametrize("text", ["", "x", "%ff", "AAAA", "\u00e9"])
def test_an_address_that_is_none_shows_nothing(world, anna, text):
    anna.post("/sharing/", ASKED)
    assert anna.get("/shown/", {"t": text}).status_code == 302
