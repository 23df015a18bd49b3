"""One rule for names at every entrance, also for people who were there before it."""

import pytest
from django.core.exceptions import ValidationError
from django.test import Client

from server.care.accounts import sign_up
from server.care.models import Person
from server.common.names import case_mapped
from tests.server.conftest import PASSWORD, Api

SAME = ["zoë", "Zoë", "zoe\u0308", "ZOE\u0308", "\uff3a\uff2f\u00cb"]


@pytest.mark.parametrize("typed", SAME, ids=ascii)
def test_a_name_is_the_same_in_any_case_width_and_encoding(db, api, typed):
    person = sign_up(SAME[1], PASSWORD)
    assert person.username == "zoë"
    with pytest.raises(ValidationError, match="already taken"):
        sign_up(typed, PASSWORD)
    told = Api()("POST", "/api/auth/token/", {"username": typed, "password": PASSWORD})
    assert (told.status_code, told.json()["user"]) == (201, "zoë")
    answer = Client().post("/login/", {"username": typed, "password": PASSWORD})
    assert answer.status_code == 302


@pytest.mark.parametrize(
    "odd", [".", "..", "a b", "a/b", "\u202eanna", "an\u200bna", "a\u00b2", ""]
)
def test_a_name_that_no_address_can_hold_is_refused(db, odd):
    with pytest.raises(ValidationError):
        sign_up(odd, PASSWORD)
    assert not Person.objects.exists()


@pytest.mark.parametrize("odd", ["\u202eanna", "a\u200bb", "a\nb", "\u2066a"], ids=ascii)
def test_a_shown_name_has_no_marks_and_no_line_breaks(world, odd):
    browser = Client()
    browser.force_login(world.anna)
    told = {"first_name": odd, "last_name": "Ott", "timezone": "UTC", "language": "en"}
    answer = browser.post("/account/", told)
    assert answer.status_code != 302
    assert "without invisible characters" in answer.text
    with pytest.raises(ValidationError):
        sign_up("new", PASSWORD, name=odd)
    world.anna.refresh_from_db()
    assert (world.anna.first_name, world.anna.last_name) == ("", "")


def test_someone_with_a_name_from_before_the_rule_keeps_it(world):
    """Another one has it in lower case, so the migration of the rule left it as it was."""
    small, kept = (Person.objects.create(username=name) for name in ("eileen", "eileen-2"))
    Person.objects.filter(pk=kept.pk).update(username="Eileen")
    find = Person.objects.get_by_natural_key
    assert find("Eileen") == kept
    assert find("EILEEN") == small
    kept = find("Eileen")
    kept.last_name = "Ott"
    kept.full_clean(exclude=["password"])
    assert kept.username == "Eileen"


def test_the_stored_form_is_stable():
    for name in SAME:
        assert case_mapped(case_mapped(name)) == case_mapped(name)
