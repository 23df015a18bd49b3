"""One rule for names at every entrance, also for people who were there before it."""

import pytest
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
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


@pytest.mark.django_db(transaction=True)
def test_people_from_before_the_rule_keep_their_accounts():
    before = [("care", "0007_looks_at_a_session")]
    MigrationExecutor(connection).migrate(before)
    try:
        old = MigrationExecutor(connection).loader.project_state(before).apps
        people = old.get_model("care", "Person").objects
        for name in ("eileen", "Eileen", "ABC", ".."):
            people.create(username=name, first_name="\u202eA\nb\u200b", timezone="UTC")
    finally:
        call_command("migrate", verbosity=0)
    names = dict(Person.objects.order_by("pk").values_list("username", "pk"))
    last = Person.objects.order_by("pk").last()
    assert list(names) == ["eileen", "Eileen", "abc", f"person-{last.pk}"]
    assert {person.first_name for person in Person.objects.all()} == {"A b"}
    find = Person.objects.get_by_natural_key
    assert find("Eileen").pk == names["Eileen"]
    assert find("EILEEN").pk == names["eileen"]
    assert find("ABC").pk == names["abc"]
    # The one who kept an old name can change everything else.
    kept = find("Eileen")
    kept.last_name = "Ott"
    kept.full_clean(exclude=["password"])
    assert kept.username == "Eileen"


def test_the_stored_form_is_stable():
    for name in SAME:
        assert case_mapped(case_mapped(name)) == case_mapped(name)
