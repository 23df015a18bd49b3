"""Requests for access on the pages and by e-mail, and several at once."""

import re

import pytest
from django.core.exceptions import ValidationError
from django.http import Http404
from django.test import Client

from server.alerts import asked
from server.alerts.models import Receiver
from server.care.asking import requests
from server.care.models import AccessRequest, AuditEntry, CareLink
from tests.server.care.asking import (
    ASK,
    ask,
    decline,
    listed,
    person,
)
from tests.server.session_data.test_accept_races import in_threads


def browser_of(name):
    browser = Client()
    browser.force_login(person(name))
    return browser


def said(answer):
    return [str(each) for each in answer.context["messages"]]


def test_a_request_is_made_and_answered_on_the_pages(home, api):
    nora, anna = browser_of("nora"), browser_of("anna")
    form = {"name": "anna", "may": ["history", "live"], "message": "Hello <b>"}
    assert said(nora.post("/sharing/ask/", form, follow=True)) == [
        "If a member of Home has this name, they can now see your request."
    ]
    page = anna.get("/sharing/").content.decode()
    assert "Nora Berg asks for access" in page
    assert "Hello &lt;b&gt;" in page
    assert "Get alerts" not in page.split('id="seen-by"')[0]
    (told,) = listed(api, "anna")
    may = f"request-{told['id']}-may"
    address = f"/sharing/requests/{told['id']}/agree/"
    for odd in ({}, {may: ["control"]}):
        assert said(anna.post(address, odd, follow=True)) == [
            "Choose at least one permission, or decline."
        ]
    assert said(anna.post(address, {may: ["live"]}, follow=True)) == [
        "You now share with Nora Berg: Live."
    ]
    over = ["This request was withdrawn, answered, or has expired."]
    assert said(anna.post(address, {may: ["live"]}, follow=True)) == over
    assert said(anna.post(address.replace("agree", "decline"), {}, follow=True)) == over


def test_the_page_of_who_asks_is_the_same_whatever_was_answered(home, api):
    nora = browser_of("nora")
    pk = ask(api)

    def shown():
        page = nora.get("/sharing/ask/").content.decode()
        return re.sub(r'name="csrfmiddlewaretoken" value="\w+"', "", page)

    before = shown()
    assert ">anna<" in before
    decline(api, pk)
    assert shown() == before
    assert nora.post("/sharing/ask/", {"name": "anna"}).status_code == 400  # for nothing
    nora.post(f"/sharing/ask/{pk}/withdraw/")
    assert ">anna<" not in shown()


def test_only_members_are_offered_to_ask(home):
    assert "/sharing/ask/" in browser_of("anna").get("/sharing/").content.decode()
    assert "/sharing/ask/" not in browser_of("otto").get("/sharing/").content.decode()


@pytest.fixture
def told_by_mail(home, settings, monkeypatch):
    """Anna has confirmed an address; the server sends mail, in the request's own thread."""
    settings.EMAIL_URL = "smtp://localhost"
    settings.PUBLIC_URL = "https://blinklog.example.org"
    monkeypatch.setattr(asked, "beside", lambda job: job())
    address = {"email": "anna@example.org", "confirmed_email": "anna@example.org"}
    return Receiver.objects.create(person=person("anna"), by_email=True, **address)


def test_an_e_mail_tells_who_asks_for_what_once_a_day(
    told_by_mail, api, mailoutbox, django_capture_on_commit_callbacks
):
    with django_capture_on_commit_callbacks(execute=True):
        ask(api, "amelie")
    assert mailoutbox == []
    with django_capture_on_commit_callbacks(execute=True):
        api("nora")("DELETE", f"{ASK}{ask(api, message='See http://example.org')}/")
        ask(api, may=["live"])
    (message,) = mailoutbox
    assert message.to == ["anna@example.org"]
    assert "Nora Berg (nora), a member of Home, asks for access" in message.body
    assert "History, Live" in message.body
    assert "https://blinklog.example.org/sharing/" in message.body
    assert "http://example.org" not in message.body


@pytest.mark.parametrize("odd", [{"by_email": False}, {"confirmed_email": ""}, {"email": "x@y.zz"}])
def test_no_e_mail_goes_to_an_address_that_is_not_confirmed_or_not_wanted(
    told_by_mail, api, mailoutbox, django_capture_on_commit_callbacks, odd
):
    Receiver.objects.update(**odd)
    with django_capture_on_commit_callbacks(execute=True):
        ask(api)
    assert mailoutbox == []
    assert len(listed(api, "anna")) == 1


# Two at once


@pytest.mark.django_db(transaction=True)
def test_of_several_answers_at_once_one_holds(transactional_db, home):
    nora, anna = person("nora"), person("anna")
    for _ in range(3):
        AccessRequest.objects.all().delete()
        CareLink.objects.filter(caregiver=nora).delete()
        AuditEntry.objects.all().delete()
        pk = requests.ask(nora, home, "anna", ["history"]).pk

        def answered(act):
            try:
                act()
            except Http404:
                return 0
            return 1

        acts = [
            lambda pk=pk: requests.agree(anna, pk, ["history"]),
            lambda pk=pk: requests.agree(anna, pk, ["history"]),
            lambda pk=pk: requests.decline(anna, pk),
            lambda pk=pk: requests.decline(anna, pk),
        ]
        assert sum(in_threads([lambda act=act: answered(act) for act in acts])) == 1
        granted = AccessRequest.objects.get().granted_at is not None
        assert CareLink.objects.filter(caregiver=nora).count() == granted


@pytest.mark.django_db(transaction=True)
def test_of_an_agreement_and_a_withdrawal_at_once_one_holds(transactional_db, home):
    nora, anna = person("nora"), person("anna")
    for _ in range(3):
        AccessRequest.objects.all().delete()
        CareLink.objects.filter(caregiver=nora).delete()
        pk = requests.ask(nora, home, "anna", ["history"]).pk

        def done(act):
            try:
                act()
            except Http404:
                return 0
            return 1

        acts = [
            lambda pk=pk: requests.agree(anna, pk, ["history"]),
            lambda pk=pk: requests.withdraw(nora, pk),
        ]
        assert sum(in_threads([lambda act=act: done(act) for act in acts])) == 1
        withdrawn = AccessRequest.objects.get().withdrawn_at is not None
        assert CareLink.objects.filter(caregiver=nora).exists() is not withdrawn


@pytest.mark.django_db(transaction=True)
def test_who_asks_at_once_does_not_pass_the_limit(transactional_db, home, monkeypatch):
    monkeypatch.setattr(AccessRequest, "MOST_SENT", 2)
    nora = person("nora")

    def asked(name):
        try:
            requests.ask(nora, home, name, ["live"])
        except ValidationError:
            return 0
        return 1

    names = ["anna", "carl", "mia", "noah", "x", "y"]
    assert sum(in_threads([lambda name=name: asked(name) for name in names])) == 2
