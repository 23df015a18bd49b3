"""A member asks another for access by name, sees nothing until they agree, and learns no name."""

from datetime import timedelta

import pytest
from django.utils import timezone

from server.backup.carried import Carried
from server.care import institutions
from server.care.models import (
    AccessRequest,
    CareLink,
    Membership,
    Person,
)
from server.retention import everything
from server.retention.codes import tidy
from tests.server.care.asking import (
    ASK,
    agree,
    ask,
    decline,
    listed,
    log,
    person,
    without_id,
)

HISTORY = "/api/session/history/"


# Asking and answering


def test_nothing_is_seen_before_the_person_agrees_and_then_what_they_agreed_to(home, api):
    pk = ask(api, message="I do your morning round.")
    assert api("nora").get(HISTORY, user="anna").status_code == 404
    (told,) = listed(api, "anna")
    assert (told["asker"], told["name"], told["institution"]) == ("nora", "Nora Berg", "Home")
    assert told["permissions"] == ["history", "live"]
    assert told["message"] == "I do your morning round."
    answer = agree(api, pk, "history")
    assert (answer.status_code, answer.json()["permissions"]) == (201, ["history"])
    assert api("nora").get(HISTORY, user="anna").status_code == 200
    assert api("nora").get("/api/device/", user="anna").status_code == 404
    assert api("anna").get(HISTORY, user="nora").status_code == 404  # in one direction
    assert listed(api, "anna") == listed(api, "nora", ASK) == []


@pytest.mark.parametrize("name", ["anna", "ANNA", "Anna Maria Lind", "  Anna  Maria Lind "])
def test_the_user_name_or_the_shown_name_reaches_the_person(home, api, name):
    ask(api, name)
    assert len(listed(api, "anna")) == 1


@pytest.mark.parametrize("name", ["Lind", "anna maria lind", "Anna Maria", "ann", "otto", "nora"])
def test_a_part_of_a_name_and_the_name_of_somebody_outside_reach_nobody(home, api, name):
    ask(api, name)
    assert not AccessRequest.objects.exclude(person=None).exists()


def test_a_name_that_two_members_are_shown_by_reaches_neither(home, api):
    Person.objects.filter(username="noah").update(first_name="Anna", last_name="Maria Lind")
    ask(api, "Anna Maria Lind")
    assert listed(api, "anna") == listed(api, "noah") == []
    ask(api, "noah")
    assert len(listed(api, "noah")) == 1


def test_no_more_is_given_than_was_asked_for_and_not_nothing(home, api):
    pk = ask(api, may=["live"])
    more = agree(api, pk, "live", "control")
    assert (more.status_code, more.json()["code"]) == (400, "not_requested")
    assert agree(api, pk).status_code == 400
    assert api("anna")("POST", f"{ASK}{pk}/agree/", {}).json()["code"] == "required"
    assert not CareLink.objects.filter(caregiver=person("nora")).exists()


def test_an_agreement_adds_to_what_was_shared_before(home, api):
    link = CareLink(caregiver=person("nora"), person=person("anna"))
    link.permit({"history"})
    link.save()
    assert agree(api, ask(api, may=["alerts"]), "alerts").json()["id"] == link.pk
    link.refresh_from_db()
    assert link.permissions == {"history", "alerts"}


def test_only_the_person_asked_answers_and_only_the_asker_withdraws(home, api):
    pk = ask(api)
    for who in ("nora", "irma", "carl", "otto"):
        assert agree(api, pk, "live", who=who).status_code == 404
        assert decline(api, pk, who) == 404
    assert api("anna")("DELETE", f"{ASK}{pk}/").status_code == 404
    assert api("nora")("DELETE", f"{ASK}{pk}/").status_code == 204
    assert listed(api, "anna") == []
    assert agree(api, pk, "live").status_code == 404
    assert api("nora")("DELETE", f"{ASK}{pk}/").status_code == 404


def test_an_answer_can_not_be_given_again(home, api):
    pk = ask(api)
    assert decline(api, pk) == 204
    assert (decline(api, pk), agree(api, pk, "live").status_code) == (404, 404)
    assert not CareLink.objects.filter(caregiver=person("nora")).exists()


def test_who_is_no_member_of_an_institution_can_not_ask(home, api):
    answer = api("otto")("POST", ASK, {"name": "anna", "permissions": ["live"]})
    assert (answer.status_code, answer.json()["code"]) == (403, "not_a_member")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": "anna"},
        {"name": "anna", "permissions": []},
        {"name": "anna", "permissions": ["all"]},
        {"name": " ", "permissions": ["live"]},
        {"name": "a\x00", "permissions": ["live"]},
        {"name": "x" * 302, "permissions": ["live"]},
        {"name": "anna", "permissions": ["live"], "message": "x" * 201},
        {"name": "anna", "permissions": ["live"], "message": "\u202eabc"},
    ],
)
def test_an_odd_request_is_refused(home, api, body):
    assert api("nora")("POST", ASK, body).status_code == 400
    assert not AccessRequest.objects.exists()


# What the asker can't learn


def test_the_answer_the_list_the_log_and_the_export_are_the_same_for_a_name_that_nobody_has(
    home, api
):
    told = [
        api("nora")("POST", ASK, {"name": name, "permissions": ["live"]}).json()
        for name in ("anna", "amelie")
    ]
    assert without_id(told[0]) == without_id(told[1]) | {"name": "anna"}
    newest, older = listed(api, "nora", ASK)
    assert without_id(older) == without_id(newest) | {"name": "anna"}
    entries = [each for each in listed(api, "nora", "/api/audit-log/") if "access" in each["event"]]
    assert [(each["subject"], each["detail"]) for each in entries] == [
        ("", "amelie: live"),
        ("", "anna: live"),
    ]
    files = {name: "".join(parts) for name, parts in everything.files(person("nora"))}
    rows = files["requests.csv"].splitlines()[1:]
    shapes = [row.replace("amelie", "anna")[:20] for row in rows]
    assert shapes == [shapes[0]] * 2
    assert files["requested.csv"].count("\n") == 1


def test_an_asker_can_not_tell_a_refusal_from_no_answer(home, api):
    pk = ask(api)
    before = listed(api, "nora", ASK)
    assert decline(api, pk) == 204
    assert listed(api, "nora", ASK) == before
    assert log("nora") == [("access_asked", "nora", "anna: history, live")]
    again = ask(api)
    assert listed(api, "anna") == []
    (told,) = listed(api, "nora", ASK)
    assert without_id(told) == without_id(before[0])
    assert api("nora")("DELETE", f"{ASK}{again}/").status_code == 204


def test_a_declined_request_is_withdrawn_as_an_open_one(home, api):
    pk = ask(api)
    decline(api, pk)
    assert api("nora")("DELETE", f"{ASK}{pk}/").status_code == 204
    assert ("access_withdrawn", "nora", "") not in log("anna")
    ask(api)
    assert listed(api, "anna") == []  # the 30 days go on


def test_thirty_days_after_a_refusal_the_same_asker_reaches_the_person_again(home, api):
    pk = ask(api)
    decline(api, pk)
    ask(api, who="noah")
    assert [each["asker"] for each in listed(api, "anna")] == ["noah"]  # others are not held off
    AccessRequest.objects.filter(pk=pk).update(declined_at=timezone.now() - timedelta(days=29))
    ask(api, "Anna Maria Lind")
    assert len(listed(api, "anna")) == 1
    AccessRequest.objects.filter(pk=pk).update(declined_at=timezone.now() - timedelta(days=31))
    ask(api, "Anna Maria Lind")
    assert len(listed(api, "anna")) == 2


def test_one_asker_has_one_open_request_whatever_the_name_and_an_answer_is_for_all(home, api):
    first, second = ask(api), ask(api, "Anna Maria Lind", may=["alerts"])
    assert [each["permissions"] for each in listed(api, "anna")] == [["alerts"]]
    assert agree(api, first, "live").status_code == 404
    assert len(listed(api, "nora", ASK)) == 2
    assert decline(api, second) == 204
    assert listed(api, "anna") == []


def test_nobody_learns_that_the_person_left_or_was_deleted(home, api):
    ask(api)
    before = listed(api, "nora", ASK)
    institutions.remove_member(home, person("anna"))
    assert (listed(api, "anna"), listed(api, "nora", ASK)) == ([], before)
    person("anna").delete()
    assert listed(api, "nora", ASK) == before


# Limits and ends


def test_after_two_weeks_a_request_is_over(home, api):
    pk = ask(api)
    AccessRequest.objects.update(expires_at=timezone.now())
    assert listed(api, "anna") == listed(api, "nora", ASK) == []
    assert (decline(api, pk), agree(api, pk, "live").status_code) == (404, 404)
    assert api("nora")("DELETE", f"{ASK}{pk}/").status_code == 404
    made = AccessRequest(made_at=timezone.now())
    assert timedelta(days=14) - (made.expires_at - made.made_at) < timedelta(minutes=1)


@pytest.mark.parametrize("limit", ["MOST_SENT", "MOST_A_DAY"])
@pytest.mark.parametrize("names", [["anna", "carl", "mia"], ["x", "y", "z"]])
def test_an_asker_has_a_limit_that_is_the_same_for_every_name(home, api, monkeypatch, limit, names):
    monkeypatch.setattr(AccessRequest, limit, 2)
    for name in names[:2]:
        ask(api, name)
    answer = api("nora")("POST", ASK, {"name": names[2], "permissions": ["live"]})
    assert (answer.status_code, answer.json()["code"]) == (400, "too_many_access_requests")
    assert AccessRequest.objects.count() == 2


def test_withdrawing_makes_room_only_for_open_ones(home, api, monkeypatch):
    monkeypatch.setattr(AccessRequest, "MOST_SENT", 1)
    monkeypatch.setattr(AccessRequest, "MOST_A_DAY", 2)
    for name in ("anna", "carl"):
        api("nora")("DELETE", f"{ASK}{ask(api, name)}/")
    answer = api("nora")("POST", ASK, {"name": "mia", "permissions": ["live"]})
    assert answer.status_code == 400


def test_one_person_gets_no_more_requests_than_they_can_answer(home, api, monkeypatch):
    monkeypatch.setattr(AccessRequest, "MOST_RECEIVED", 1)
    ask(api)
    ask(api, who="noah")
    assert [each["asker"] for each in listed(api, "anna")] == ["nora"]
    assert len(listed(api, "noah", ASK)) == 1
    ask(api, may=["alerts"])  # the same asker again: a change
    assert [each["permissions"] for each in listed(api, "anna")] == [["alerts"]]


def test_a_request_of_who_leaves_ends_and_stays_ended_if_they_come_back(home, api):
    pk = ask(api)
    institutions.remove_member(home, person("nora"))
    assert listed(api, "anna") == []
    assert log("anna")[-1] == ("access_withdrawn", "nora", "")
    Membership.objects.create(institution=home, person=person("nora"))
    assert listed(api, "anna") == listed(api, "nora", ASK) == []
    assert agree(api, pk, "live").status_code == 404


def test_a_request_to_who_leaves_ends_and_stays_ended_if_they_come_back(home, api):
    pk = ask(api)
    before = institutions.roles(home)
    Membership.objects.get(person=person("anna")).delete()  # as in the admin site
    assert agree(api, pk, "live").status_code == 404
    institutions.note_changes(person("irma"), home, before)
    Membership.objects.create(institution=home, person=person("anna"))
    assert listed(api, "anna") == []
    assert agree(api, pk, "live").status_code == 404


def test_without_a_word_from_whoever_removed_them_a_new_member_has_no_old_request(home, api):
    ask(api)
    for name in ("nora", "anna"):
        Membership.objects.get(person=person(name)).delete()
        Membership.objects.create(institution=home, person=person(name))
        assert listed(api, "anna") == []


def test_a_blocked_asker_is_not_offered(home, api):
    ask(api)
    Person.objects.filter(username="nora").update(is_active=False)
    assert listed(api, "anna") == []


def test_both_logs_say_what_happened(home, api):
    agree(api, ask(api), "history")
    assert log("anna") == [
        ("access_asked", "nora", "history, live"),
        ("access_granted", "anna", "history"),
    ]
    assert log("nora") == [
        ("access_asked", "nora", "anna: history, live"),
        ("access_granted", "anna", "history"),
    ]
    decline(api, ask(api, who="noah"))
    assert log("anna")[-1] == ("access_declined", "anna", "noah")
    api("noah")("DELETE", f"{ASK}{ask(api, 'mia', 'noah')}/")
    assert log("mia")[-1] == ("access_withdrawn", "noah", "")
    assert log("noah")[-1] == ("access_withdrawn", "noah", "mia")


# What stays


def test_a_restored_backup_brings_back_no_request_that_was_answered_or_withdrawn(home, api):
    first, second = ask(api), ask(api, who="noah")
    decline(api, first)
    api("noah")("DELETE", f"{ASK}{second}/")
    since = Carried.read()
    AccessRequest.objects.update(declined_at=None, withdrawn_at=None)
    Carried.from_json(since.as_json()).apply()
    assert listed(api, "anna") == []
    ask(api)
    assert listed(api, "anna") == []


def test_old_requests_are_deleted_when_no_refusal_counts_any_more(home, api):
    decline(api, ask(api))
    now = timezone.now()
    assert tidy(now + timedelta(days=43))["requests for access"] == 0
    assert tidy(now + timedelta(days=45))["requests for access"] == 1
