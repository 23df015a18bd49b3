"""Everybody against every address of sharing, devices and institutions: API and pages.

What the others of the API answer is in test_access.py.
"""

import re

import pytest
from django.db import transaction
from django.test import Client

from server.care import sharing
from server.care.asking import requests
from server.care.models import CareLink, Institution, Person, PersonToken
from server.devices.claim import make_code
from server.devices.models import ClaimCode
from tests.server.conftest import ONE_EACH

PEOPLE = ["anna", "carl", *ONE_EACH, "ella", "otto", "irma"]
DEVICES = {"device": 403, "other device": 403}
UNKNOWN = {"revoked": 401, "revoked device token": 401, "nobody": 401}


def only(status, *names, others=404):
    """These people get it, other people something else, and devices and strangers nothing."""
    return dict.fromkeys(PEOPLE, others) | dict.fromkeys(names, status) | DEVICES | UNKNOWN


ALL = only(200, *PEOPLE)
MANAGES = ("anna", "irma")  # of Anna's device
MEMBERS = ("anna", "carl", "irma")  # of the home
REQUEST = "/api/access-requests/{request}/"  # by Irma, to Anna
LINK = "/api/links/{link}/"
DEVICE = "/api/device/{device}/"

# what: method, address, body, who gets which status
API = {
    "devices": ("GET", "/api/device/", None, ALL),
    "devices of Anna": (
        "GET",
        "/api/device/?user=anna",
        None,
        only(200, "anna", "carl", "liv", "conny"),
    ),
    "devices of nobody": ("GET", "/api/device/?user=nobody", None, only(200)),
    "managed": ("GET", "/api/device/managed/", None, ALL),
    "device": ("GET", DEVICE, None, only(200, *MANAGES)),
    "rename": ("PATCH", DEVICE, {"label": "Attic"}, only(200, *MANAGES)),
    "revoke": ("DELETE", DEVICE, None, only(204, *MANAGES)),
    "rotate": ("POST", DEVICE + "rotate/", None, only(201, *MANAGES)),
    "refused": ("GET", DEVICE + "refused/", None, only(200, *MANAGES)),
    "give": ("POST", DEVICE + "reassign/", {"code": "{otto's}"}, only(204, *MANAGES)),
    "give by name": ("POST", DEVICE + "reassign/", {"user": "carl"}, only(204, "irma")),
    "give outside": ("POST", DEVICE + "reassign/", {"user": "otto"}, only(204)),
    "code": ("POST", "/api/device/claim-codes/", {"label": "x"}, only(201, *PEOPLE)),
    "code for Anna": (
        "POST",
        "/api/device/claim-codes/",
        {"label": "x", "user": "anna"},
        only(201, *MANAGES),
    ),
    "invitations": ("GET", "/api/invitations/", None, ALL),
    "invite": ("POST", "/api/invitations/", {"permissions": ["live"]}, only(201, *PEOPLE)),
    "withdraw": ("DELETE", "/api/invitations/{invitation}/", None, only(204, "anna")),
    "accept": (
        "POST",
        "/api/invitations/accept/",
        {"code": "{anna's}"},
        only(201, *PEOPLE) | {"anna": 400},
    ),
    "links": ("GET", "/api/links/", None, ALL),
    "permit": ("PATCH", LINK, {"permissions": ["live"]}, only(200, "anna") | {"carl": 403}),
    "end": ("DELETE", LINK, None, only(204, "anna", "carl")),
    "requests": ("GET", "/api/access-requests/", None, ALL),
    "ask": (
        "POST",
        "/api/access-requests/",
        {"name": "anna", "permissions": ["live"]},
        only(201, *MEMBERS, others=403),
    ),
    "requests received": ("GET", "/api/access-requests/received/", None, ALL),
    "withdraw a request": ("DELETE", REQUEST, None, only(204, "irma")),
    "agree": ("POST", REQUEST + "agree/", {"permissions": ["live"]}, only(201, "anna")),
    "decline": ("POST", REQUEST + "decline/", None, only(204, "anna")),
    "audit log": ("GET", "/api/audit-log/", None, ALL),
    "access log": ("GET", "/api/access-log/", None, ALL),
    "history": ("GET", "/api/session/history/?user=anna", None, only(200, "anna", "carl", "hana")),
}
MEMBER = "/institution/people/{name}/"
PAGES = {
    "sharing": ("GET", "/sharing/", {}, only(200, *PEOPLE)),
    "looks": ("GET", "/sharing/looks/", {}, only(200, *PEOPLE)),
    "log": ("GET", "/sharing/log/", {}, only(200, *PEOPLE)),
    "permit": ("POST", "/sharing/links/{link}/", {"link-{link}-may": "live"}, only(302, "anna")),
    "ask to end": ("GET", "/sharing/links/{link}/end/", {}, only(200, "anna", "carl")),
    "end": ("POST", "/sharing/links/{link}/end/", {}, only(302, "anna", "carl")),
    "withdraw": ("POST", "/sharing/invitations/{invitation}/withdraw/", {}, only(302, "anna")),
    "ask": ("GET", "/sharing/ask/", {}, only(200, *MEMBERS)),
    "send a request": (
        "POST",
        "/sharing/ask/",
        {"name": "anna", "may": "live"},
        only(302, *MEMBERS),
    ),
    "withdraw a request": ("POST", "/sharing/ask/{request}/withdraw/", {}, only(302, "irma")),
    "agree": (  # others are told that it is over
        "POST",
        "/sharing/requests/{request}/agree/",
        {"request-{request}-may": "live"},
        only(302, *PEOPLE),
    ),
    "decline": ("POST", "/sharing/requests/{request}/decline/", {}, only(302, *PEOPLE)),
    "account": ("GET", "/account/", {}, only(200, *PEOPLE)),
    "password": ("GET", "/account/password/", {}, only(200, *PEOPLE)),
    "second factor": ("GET", "/account/second-factor/", {}, only(200, *PEOPLE)),
    "no second factor": ("GET", "/account/second-factor/off/", {}, only(200, *PEOPLE)),
    "recovery codes": ("GET", "/account/recovery-codes/", {}, only(302, *PEOPLE)),
    "shut an app out": ("POST", "/account/apps/{app}/revoke/", {}, only(302, "anna")),
    "devices": ("GET", "/devices/", {}, only(200, *PEOPLE)),
    "device": ("GET", "/devices/{device}/", {}, only(200, *MANAGES)),
    "rename": ("POST", "/devices/{device}/rename/", {"label": "x"}, only(302, *MANAGES)),
    "ask to rotate": ("GET", "/devices/{device}/rotate/", {}, only(200, *MANAGES)),
    "rotate": ("POST", "/devices/{device}/rotate/", {}, only(302, *MANAGES)),
    "ask to revoke": ("GET", "/devices/{device}/revoke/", {}, only(200, *MANAGES)),
    "revoke": ("POST", "/devices/{device}/revoke/", {}, only(302, *MANAGES)),
    "give": (
        "POST",
        "/devices/{device}/give/",
        {"code": "{otto's}"},
        only(302, "anna") | {"irma": 404},  # she names a member instead
    ),
    "give to a member": (
        "POST",
        "/devices/{device}/give/",
        {"code": "carl"},
        only(302, "irma") | {"anna": 200},  # a page that says no
    ),
    "code for a member": ("GET", "/devices/codes/for/anna/", {}, only(200, *MANAGES)),
    "institution": ("GET", "/institution/", {}, only(200, "irma")),
    "its log": ("GET", "/institution/log/", {}, only(200, "irma")),
    "member": ("GET", MEMBER.format(name="anna"), {}, only(200, "irma")),
    "no member": ("GET", MEMBER.format(name="otto"), {}, only(200)),
    "code for an account": ("POST", MEMBER.format(name="mia") + "code/", {}, only(302, "irma")),
    "end a member's": (
        "POST",
        MEMBER.format(name="anna") + "links/{link}/end/",
        {},
        only(302, "irma"),
    ),
}


@pytest.fixture
def known(everybody):
    """What the addresses and bodies above stand for."""
    link = CareLink.objects.get(caregiver=everybody.carl, ended_at=None)
    invitation, text = sharing.invite(everybody.anna, ["history"], "somebody")
    home, irma = Institution.objects.get(), Person.objects.get(username="irma")
    request = requests.ask(irma, home, "anna", ["history", "live"])
    return {
        "device": str(everybody.device.pk),
        "link": str(link.pk),
        "invitation": str(invitation.pk),
        "request": str(request.pk),
        "app": str(PersonToken.find(everybody.tokens["anna"]).pk),
        "anna's": text,
        "otto's": make_code(everybody.otto, "Otto's", everybody.otto)[1],
    }


def filled(value, known):
    """`{name}` in a text, or in the texts of a body, for what it stands."""
    if isinstance(value, str):
        return re.sub(r"\{(.*?)\}", lambda found: known[found[1]], value)
    if isinstance(value, dict):
        return {filled(key, known): filled(each, known) for key, each in value.items()}
    return value


def as_if_alone(ask):
    """What is changed by one is not there for the next."""
    with transaction.atomic():
        answer = ask()
        transaction.set_rollback(True)
    return answer


@pytest.mark.parametrize("what", API)
def test_everybody_gets_what_is_theirs_of_the_api(api, known, what):
    method, address, body, expected = API[what]
    for who, status in expected.items():
        path = filled(address, known)
        answer = as_if_alone(lambda w=who, p=path: api(w)(method, p, filled(body, known)))
        assert answer.status_code == status, (who, answer.content)


@pytest.mark.parametrize("what", PAGES)
def test_everybody_gets_what_is_theirs_of_the_pages(known, what):
    method, address, body, expected = PAGES[what]
    path = filled(address, known)
    for who in PEOPLE:
        browser = Client()
        browser.force_login(Person.objects.get(username=who))
        ask = browser.get if method == "GET" else browser.post
        answer = as_if_alone(lambda a=ask: a(path, filled(body, known)))
        # Some pages answer a form with a page: then nothing has changed.
        assert answer.status_code == expected[who], (who, answer.content.decode()[:2000])
        assert "no-store" in answer["Cache-Control"]
    stranger = getattr(Client(), method.lower())(path, filled(body, known))
    assert (stranger.status_code, stranger["Location"][:7]) == (302, "/login/")


@pytest.mark.parametrize("what", [what for what, row in PAGES.items() if row[0] == "POST"])
def test_no_form_is_taken_from_another_site(known, what):
    _, address, body, expected = PAGES[what]
    browser = Client(enforce_csrf_checks=True)
    for who in ("anna", "irma"):
        if expected[who] in (200, 302):
            browser.force_login(Person.objects.get(username=who))
            answer = browser.post(filled(address, known), filled(body, known))
            assert answer.status_code == 403


@pytest.mark.parametrize("what", [what for what, row in PAGES.items() if row[0] == "POST"])
def test_what_changes_something_is_no_link(known, what):
    _, address, _, _ = PAGES[what]
    if what in ("end", "rotate", "revoke", "send a request"):
        return  # these ask first, by GET
    browser = Client()
    browser.force_login(Person.objects.get(username="irma"))
    assert browser.get(filled(address, known)).status_code == 405


def test_an_admin_of_an_institution_finds_no_measurement_anywhere(everybody, known, api):
    assert api("irma").get("/api/session/history/", user="anna").status_code == 404
    assert [p["username"] for p in api("irma").get("/api/people/").json()["results"]] == ["irma"]
    names = {d["label"] for d in api("irma").get("/api/device/managed/").json()["results"]}
    assert names == {"Kitchen"}


def test_odd_numbers_and_names_are_not_found(everybody, api):
    huge = 10**30
    assert api("anna")("PATCH", f"/api/links/{huge}/", {"permissions": []}).status_code == 404
    assert api("anna")("DELETE", f"/api/invitations/{huge}/").status_code == 404
    body = {"label": "x", "user": "a\x00b"}
    assert api("irma")("POST", "/api/device/claim-codes/", body).status_code in (400, 404)
    assert not ClaimCode.objects.exists()
