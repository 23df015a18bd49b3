"""Views of a device that is aimed: who sees them, and what of an untrusted view is kept."""

import json
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone, translation
from hypothesis import given
from hypothesis import strategies as st

from server.aiming.kept import (
    FRESH,
    KEPT,
    MAX_BYTES,
    checked,
    forget,
    keep_view,
    note_view,
    view_of,
)
from server.aiming.models import Aimed
from server.aiming.words import PHRASES, sentence
from server.care.models import AccessLog, Person
from server.common.mqtt import Message
from server.devices.models import Command, Device
from server.ingest.batches import take
from server.session_data.commands import ask
from tests.server.conftest import Api, golden

VIEW = {
    "number": 3,
    "advice": "nearer",
    "found": 18.0,
    "needed": 22.0,
    "aspect": 1.333,
    "apart_px": 18.0,
    "sharpness": 0.25,
    "light": 120,
    "turn_deg": -2.0,
    "fps": 30.0,
    "left": 1.02,
    "right": 0.98,
    "blinks": 2,
    "blinked": True,
    "second_face": False,
    "lids": [[[0.4, 0.5]] * 16, [[0.6, 0.5]] * 16],
    "outline": [[0.5, 0.2]] * 36,
    "sentence": "Nearer: the eyes are 18 pixels apart, 22 are needed.",
}


def page_of(name: str, person=None) -> Client:
    browser = Client(raise_request_exception=False)
    if person is not None:
        browser.force_login(person)
    return browser


@pytest.fixture
def on_a_slow_machine(monkeypatch):
    """A view stays fresh for as long as the test takes."""
    monkeypatch.setattr("server.aiming.kept.FRESH", timedelta(hours=1))


def test_a_view_over_mqtt_is_shown_to_who_may_see_live(everybody, on_a_slow_machine):
    topic = f"blinklog/1/devices/{everybody.device.pk}/aim"
    assert take([Message(topic, json.dumps(VIEW).encode())]) == [None]
    where = f"/devices/{everybody.device.pk}/aim/view/"
    for name, sees in {
        "anna": True, "liv": True, "hana": False, "alma": False, "conny": False, "otto": False,
        "irma": False,
    }.items():  # fmt: skip
        answer = page_of(name, Person.objects.get(username=name)).get(where)
        assert answer.status_code == (200 if sees else 404), name
        if sees:
            assert answer.json()["sentence"].startswith("Nearer: the eyes are 18 pixels apart")
    assert page_of("nobody").get(where).status_code == 302


def test_a_view_over_http_is_its_devices_alone(world):
    token = world.tokens["device"]
    answer = Api(token)("POST", "/api/device/aim/", VIEW)
    assert answer.status_code == 204
    assert view_of(world.device)["apart_px"] == 18.0
    assert Api(world.tokens["anna"])("POST", "/api/device/aim/", VIEW).status_code == 403
    assert Api()("POST", "/api/device/aim/", VIEW).status_code == 401
    assert Api(token)("POST", "/api/device/aim/", {"advice": "x"}).status_code == 400


def test_an_unknown_device_keeps_nothing(world):
    topic = "blinklog/1/devices/00000000-0000-4000-8000-000000000000/aim"
    assert take([Message(topic, json.dumps(VIEW).encode())]) == [None]
    assert not Aimed.objects.exists()


def test_an_old_view_is_not_shown_and_is_forgotten(world):
    note_view(world.device, json.dumps(VIEW).encode())
    Aimed.objects.update(at=timezone.now() - FRESH - timedelta(seconds=1))
    assert view_of(world.device) is None
    assert forget(timezone.now()) == 0
    assert forget(timezone.now() + KEPT) == 1


def test_the_next_person_of_a_device_does_not_see_it(world):
    note_view(world.device, json.dumps(VIEW).encode())
    Device.objects.filter(pk=world.device.pk).update(person=world.otto)
    assert view_of(Device.objects.get(pk=world.device.pk)) is None


@pytest.mark.parametrize(
    "change",
    [
        {"advice": "<script>"}, {"advice": None}, {"apart_px": "18"}, {"apart_px": 1e9},
        {"blinks": -1}, {"blinks": 1.5}, {"blinks": True}, {"lids": [[["a", 1]]]},
        {"lids": [[[0, 0]]] * 3}, {"outline": [[0, 0, 0]]}, {"outline": [[0, 11]]},
        {"outline": [[0, 0]] * 65}, {"outline": None}, {"left": True},
    ],
    ids=str,
)  # fmt: skip
def test_a_view_with_anything_else_is_not_kept(world, change):
    assert checked({**VIEW, **change}) is None
    note_view(world.device, json.dumps({**VIEW, **change}).encode())
    assert not Aimed.objects.exists()


def test_unknown_keys_and_sentences_of_the_device_are_left_out():
    told = checked({**VIEW, "picture": "AAAA"})
    assert told is not None
    assert set(told) == set(VIEW) - {"number", "sentence"}


@pytest.mark.parametrize("payload", [b"", b"{", b"[]", b"\xff", b" " * (MAX_BYTES + 1)])
def test_a_damaged_view_is_no_error(world, payload):
    note_view(world.device, payload)
    assert not Aimed.objects.exists()


@given(st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(
        st.sampled_from(list(VIEW)), inside, max_size=4
    ),
    max_leaves=10,
))  # fmt: skip
def test_whatever_comes_is_checked_without_an_error(view):
    told = checked(view)
    assert told is None or json.dumps(told, allow_nan=False)


def test_every_advice_has_a_sentence_in_each_language():
    for language in ("en", "de"):
        with translation.override(language):
            said = {sentence({**VIEW, "advice": advice}) for advice in PHRASES}
            assert len(said) == len(PHRASES)
            assert not any("%(" in each for each in said)


def test_the_page_asks_a_device_and_says_if_it_is_not_connected(world):
    browser = page_of("anna", world.anna)
    where = f"/devices/{world.device.pk}/aim/"
    assert "Start aiming" in browser.get(where).text
    answer = browser.post(where, follow=True)  # no broker is there
    assert "device" in answer.text
    asked = Command.objects.get()
    assert (asked.command, asked.asked_by) == ("aim", world.anna)
    answer = browser.post(where, headers={"Accept": "application/json"})
    assert answer.json()["problem"]


def test_a_device_that_is_not_connected_is_not_offered_to_be_aimed(world):
    browser, where = page_of("anna", world.anna), f"/devices/{world.device.pk}/aim/"
    pages = (where, f"/devices/{world.device.pk}/", f"/people/{world.anna.username}/")
    connected = [browser.get(page).text for page in pages]
    assert "Start aiming" in connected[0]
    assert all(f'href="{where}"' in page for page in connected[1:])
    Device.objects.filter(pk=world.device.pk).update(online=False)
    for page in pages:
        text = browser.get(page).text
        assert "must be connected" in text
        assert f"/help/?device={world.device.pk}#not-connected" in text
        assert "Start aiming" not in text
        assert f'href="{where}"' not in text


def test_a_device_that_asks_over_http_is_told_to_aim(world):
    world.device.note_poll()
    browser = page_of("anna", world.anna)
    answer = browser.post(f"/devices/{world.device.pk}/aim/")
    assert answer.headers["Location"].endswith("?asked=1")
    told = Api(world.tokens["device"])("GET", "/api/device/commands/").json()
    assert [each["command"] for each in told["commands"]] == ["aim"]
    assert (
        "waiting for a response" not in browser.get(f"/people/{world.anna.username}/").text.lower()
    )


def test_who_looked_is_in_the_log(everybody):
    page_of("liv", Person.objects.get(username="liv")).get(f"/devices/{everybody.device.pk}/aim/")
    assert AccessLog.objects.filter(person=everybody.anna, viewer__username="liv", what="aim")


def test_who_only_reads_what_others_asked_for_is_in_the_log_too(everybody, on_a_slow_machine):
    assert keep_view(everybody.device, VIEW)
    browser = page_of("liv", Person.objects.get(username="liv"))
    for _ in range(5):
        assert browser.get(f"/devices/{everybody.device.pk}/aim/view/").json()["advice"]
    look = AccessLog.objects.get(person=everybody.anna, viewer__username="liv", what="aim")
    assert look.views == 1, "not five a second"


def test_who_aims_all_day_fills_no_table_and_buries_no_session(everybody, monkeypatch):
    monkeypatch.setattr(ask, "AIM_AGAIN", ask.LIFE)  # on a slow machine
    everybody.device.note_poll()
    browser = page_of("liv", Person.objects.get(username="liv"))
    for _ in range(5):
        browser.post(f"/devices/{everybody.device.pk}/aim/")
    assert Command.objects.count() == 1
    Command.objects.update(asked_at=timezone.now() - ask.LIFE)
    browser.post(f"/devices/{everybody.device.pk}/aim/")
    assert Command.objects.count() == 2, "the device goes on aiming"
    looks = AccessLog.objects.filter(person=everybody.anna, what="aim command")
    assert [(each.views, each.session_id) for each in looks] == [(2, None)]


@pytest.mark.parametrize(
    ("aim", "shown"),
    [
        ({"advice": "nearer", "found": 12, "needed": 22}, True),
        ({"advice": "good", "found": None, "needed": None}, False),
        ({"advice": "nearer", "found": "<b>", "needed": 22}, False),
        ({"advice": "?"}, False),
        ("x", False),
        (None, False),
    ],
    ids=str,
)
def test_a_running_session_that_is_badly_aimed_says_so_on_both_pages(world, aim, shown):
    told = golden("checkpoint", aim=aim)
    assert Api(world.tokens["device"])(
        "PUT", f"/api/session/{told['session_id']}/", told
    ).status_code in (200, 201)
    browser = page_of("anna", world.anna)
    for where in ("/people/anna/", f"/sessions/{told['session_id']}/"):
        assert ("Nearer: the eyes are 12 pixels apart" in browser.get(where).text) == shown, where
    over = golden("final", session_id=told["session_id"], revision=900, aim=aim)
    Api(world.tokens["device"])("PUT", f"/api/session/{told['session_id']}/", over)
    assert "Nearer" not in browser.get(f"/sessions/{told['session_id']}/").text
