"""The page "Check the counting": who may start a check, and what it says meanwhile."""

from datetime import timedelta

from django.test import Client
from django.utils import timezone

from server.care.models import Person
from server.devices.models import Command
from tests.server.conftest import Api
from tests.server.session_data.exports import session, store
from tests.server.session_data.test_checks import check


def page_of(person: Person) -> Client:
    browser = Client(raise_request_exception=False)
    browser.force_login(person)
    return browser


def where(world) -> str:
    return f"/devices/{world.device.pk}/check/"


def test_only_who_may_start_sessions_may_check(everybody):
    may = {"anna": 200, "carl": 200, "conny": 200, "liv": 404, "hana": 404, "alma": 404,
           "otto": 404, "irma": 404}  # fmt: skip
    for method in ("get", "post"):
        found = {
            name: getattr(page_of(Person.objects.get(username=name)), method)(
                where(everybody), follow=True
            ).status_code
            for name in may
        }
        assert found == may, method
    assert Client().get(where(everybody)).status_code == 302


def test_the_result_is_shown_to_who_may_see_the_history(everybody):
    store(everybody.anna, everybody.device, check())
    for name, sees in {"anna": True, "carl": True, "conny": False}.items():
        page = page_of(Person.objects.get(username=name)).get(where(everybody)).text
        assert ("10 of 10 blinks found, none too many" in page) is sees, name


def test_a_check_is_asked_for_and_awaited(world):
    world.device.note_poll()  # it asks for commands over HTTP
    browser = page_of(world.anna)
    answer = browser.post(where(world))
    told = Api(world.tokens["device"])("GET", "/api/device/commands/").json()["commands"]
    assert [each["command"] for each in told] == ["check"]
    assert answer.headers["Location"] == f"{where(world)}?asked={told[0]['session_id']}"
    page = browser.get(answer.headers["Location"]).text
    assert 'http-equiv="refresh"' in page
    assert "Look at the device's light" in page
    store(world.anna, world.device, {**check(0), "session_id": told[0]["session_id"]})
    page = browser.get(answer.headers["Location"]).text
    assert 'http-equiv="refresh"' not in page
    assert "The check is done." in page
    assert "10 of 10 blinks found, none too many, looking down recognised" in page
    assert Api(world.tokens["device"])("GET", "/api/device/commands/").json()["commands"] == []


def test_two_clicks_are_one_check(world):
    world.device.note_poll()
    browser = page_of(world.anna)
    first, second = (browser.post(where(world)).headers["Location"] for _ in range(2))
    assert first == second
    assert Command.objects.count() == 1


def test_a_second_asker_is_not_told_the_first_ones_check(everybody):
    """Whoever knows the id of a session that begins could send it from a device of their own."""
    everybody.device.note_poll()
    first = page_of(everybody.anna).post(where(everybody)).headers["Location"]
    answer = page_of(everybody.carl).post(where(everybody), follow=True)
    assert "Somebody else has just asked for a check." in answer.text
    assert first.partition("asked=")[2] not in answer.redirect_chain[0][0]
    assert Command.objects.count() == 1


def test_a_result_that_does_not_come_is_said(world):
    world.device.note_poll()
    browser = page_of(world.anna)
    answer = browser.post(where(world))
    Command.objects.update(asked_at=timezone.now() - timedelta(minutes=4))
    page = browser.get(answer.headers["Location"]).text
    assert "No result has arrived." in page
    assert 'http-equiv="refresh"' not in page


def test_it_says_what_hinders_a_check(world):
    browser = page_of(world.anna)
    page = browser.post(where(world), follow=True).text  # no broker is there
    assert "device" in page
    assert Command.objects.get().problem
    store(world.anna, world.device, session(0, "checkpoint_eyes"))
    page = browser.post(where(world), follow=True).text
    assert "A session is running on this device." in page
    assert Command.objects.count() == 1


def test_asking_for_nothing_known_shows_the_page(world):
    for asked in ("x", "00000000-0000-4000-8000-000000000000"):
        assert page_of(world.anna).get(f"{where(world)}?asked={asked}").status_code == 200


def test_it_is_beside_the_history_with_its_quality(world):
    store(world.anna, world.device, check(2, found=5, passed=False), session(3))
    page = page_of(world.carl).get("/people/anna/").text
    assert "Counting checked: Kitchen" in page
    assert "5 of 10 blinks found, none too many" in page
    assert "not passed" in page


def test_its_own_page_says_what_it_is(world):
    (session_id,) = store(world.anna, world.device, check(2))
    assert (
        "It is not part of any statistic."
        in page_of(world.anna).get(f"/sessions/{session_id}/").text
    )


def test_a_person_with_a_check_alone_has_no_sessions(world):
    store(world.anna, world.device, check(2))
    page = page_of(world.anna).get("/people/anna/").text
    assert "No sessions yet." in page
    assert "10 of 10" in page
