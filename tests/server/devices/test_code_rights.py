"""A code is good for as long as whoever made it may make it, and no longer."""

import pytest
from django.core.exceptions import ValidationError
from django.test import Client

from server.care.accounts import activate
from server.care.institutions import activation_code
from server.care.models import Activation, Institution, Membership, Person
from server.common.codes import NotACodeError
from server.devices import credentials
from server.devices.claim import make_code
from server.devices.models import ClaimCode, Device
from tests.server.conftest import PASSWORD, Api

CLAIM = "/api/device/claim/"


def leaves(everybody, member):
    Membership.objects.filter(person__username=member).delete()


def moves(everybody, member):
    other = Institution.objects.create(name="Other")
    Membership.objects.filter(person__username=member).update(institution=other)


def maker_is_demoted(everybody, member):
    Membership.objects.filter(person__username="irma").update(role="member")


def maker_leaves(everybody, member):
    Membership.objects.filter(person__username="irma").delete()


def maker_is_locked(everybody, member):
    Person.objects.filter(username="irma").update(is_active=False)


def maker_is_deleted(everybody, member):
    Person.objects.get(username="irma").delete()


def institution_is_deleted(everybody, member):
    Institution.objects.all().delete()


ENDS = [
    leaves, moves, maker_is_demoted, maker_leaves, maker_is_locked, maker_is_deleted,
    institution_is_deleted,
]  # fmt: skip


def code_for(api, name):
    body = {"label": "Hall", "user": name, "minutes": 24 * 60}
    answer = api("irma")("POST", "/api/device/claim-codes/", body)
    assert answer.status_code == 201
    return answer.json()["code"]


@pytest.mark.parametrize("end", ENDS)
def test_a_claim_code_ends_with_the_right_of_who_made_it(everybody, api, end):
    code = code_for(api, "anna")
    end(everybody, "anna")
    before = Device.objects.count()
    answer = Api()("POST", CLAIM, {"code": code})
    assert (answer.status_code, answer.json()["code"]) == (400, "no_such_code")
    assert Device.objects.count() == before


def test_a_device_can_not_be_given_with_such_a_code_either(everybody, api):
    code = code_for(api, "anna")
    leaves(everybody, "anna")
    address = f"/api/device/{everybody.other_device.pk}/reassign/"
    assert api("otto")("POST", address, {"code": code}).status_code == 400
    assert Device.objects.get(pk=everybody.other_device.pk).person == everybody.otto


def test_a_right_that_ends_while_the_code_is_used_ends_it_too(everybody, api, monkeypatch):
    code = code_for(api, "anna")
    monkeypatch.setattr(
        credentials, "create_broker_account", lambda device: leaves(everybody, "anna")
    )
    assert Api()("POST", CLAIM, {"code": code}).status_code == 400
    assert not Device.objects.filter(label="Hall").exists()


def test_such_a_code_is_refused_before_anything_of_its_person_is_looked_at(
    everybody, api, settings
):
    code = code_for(api, "anna")
    leaves(everybody, "anna")
    settings.DEVICES_PER_PERSON = 1  # as many as Anna has
    answer = Api()("POST", CLAIM, {"code": code})
    assert (answer.status_code, answer.json()["code"]) == (400, "no_such_code")


@pytest.mark.parametrize("maker", ["irma", None])
def test_a_code_for_somebody_who_may_no_longer_log_in_opens_nothing(everybody, maker):
    made_by = Person.objects.filter(username=maker).first()
    code = make_code(everybody.anna, "Hall", made_by)[1]
    Person.objects.filter(username="anna").update(is_active=False)
    assert Api()("POST", CLAIM, {"code": code}).status_code == 400
    assert not Device.objects.filter(label="Hall").exists()


def test_ones_own_code_and_the_operators_do_not_depend_on_an_institution(everybody, api):
    own = make_code(everybody.anna, "Mine", everybody.anna)[1]
    operators = make_code(everybody.anna, "Operator's", None)[1]
    leaves(everybody, "anna")
    for code in (own, operators):
        assert Api()("POST", CLAIM, {"code": code}).status_code == 201


def test_an_admins_code_for_a_member_works_meanwhile(everybody, api):
    assert Api()("POST", CLAIM, {"code": code_for(api, "anna")}).status_code == 201
    Person.objects.get(username="irma").delete()
    assert Device.objects.get(label="Hall").person == everybody.anna
    assert not ClaimCode.objects.filter(label="Hall").exists()


# Codes that open an account


@pytest.mark.parametrize("end", ENDS)
def test_a_code_that_opens_an_account_ends_with_the_right_of_who_made_it(everybody, end):
    irma, mia = (Person.objects.get(username=name) for name in ("irma", "mia"))
    text = activation_code(irma, Institution.objects.get(), mia)
    made = Activation.find(text)
    end(everybody, "mia")
    assert "Location" not in Client().get(f"/join/{text}/")
    if made is not None and Activation.objects.filter(pk=made.pk).exists():
        with pytest.raises(NotACodeError):
            activate(Activation.objects.get(pk=made.pk), PASSWORD)
    assert not Person.objects.get(username="mia").has_usable_password()


def test_one_from_before_makers_were_noted_ends_with_the_membership(everybody):
    mia = Person.objects.get(username="mia")
    _made, text = Activation.issue(person=mia)
    assert Client().post("/join/", {"code": text})["Location"] == "/join/account/"
    leaves(everybody, "mia")
    assert "Location" not in Client().post("/join/", {"code": text})


def test_it_opens_the_account_meanwhile(everybody):
    irma, mia = (Person.objects.get(username=name) for name in ("irma", "mia"))
    text = activation_code(irma, Institution.objects.get(), mia)
    activate(Activation.find(text), PASSWORD)
    mia.refresh_from_db()
    assert mia.has_usable_password()
    with pytest.raises(ValidationError):
        activation_code(irma, Institution.objects.get(), mia)
