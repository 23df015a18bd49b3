"""Settings come over any transport and stay in the store; only valid newer ones of this device."""

from typing import Any

import pytest

from agent.errors import DeliveryError, StoreError
from agent.records import SETTINGS, DeviceSettings
from agent.store.store import Store
from tests.agent.servers import History
from tests.agent.sync.scripted import Clock, Way, scripted, steps


def told(version: int, bound: float | None = 8.0, device: str = "a") -> dict[str, Any]:
    return DeviceSettings(version, device, bound).as_json()


@pytest.fixture
def push(history: History) -> Way:
    """As MQTT: settings arrive while the connection is open."""
    return Way(history, "push")


@pytest.fixture
def asked(history: History, clock: Clock) -> Way:
    """As HTTP."""
    way = Way(history, "asked")
    way.ask_s, way.listening, way.clock = 2.0, False, clock
    return way


def test_what_arrives_is_kept_and_an_older_version_changes_nothing(
    store: Store, clock: Clock, push: Way
) -> None:
    sync = scripted(store, clock, push)
    first, last = told(5, 8.0), told(6, None)
    for settings, kept in (
        (first, first), (told(4, 9.0), first), (told(5, 9.0), first), (last, last),
    ):  # fmt: skip
        push.told = settings
        steps(sync, clock, 0.25)
        assert store.noted(SETTINGS) == kept


@pytest.mark.parametrize(
    "wrong",
    [
        {}, told(6, device="b"), {**told(6), "version": "6"},
        {**told(6), "reminding": {"below_per_min": 99}},
    ],
)  # fmt: skip
def test_invalid_ones_and_another_devices_change_nothing(
    store: Store, clock: Clock, push: Way, wrong: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    sync = scripted(store, clock, push)
    push.told = told(5)
    steps(sync, clock, 0.25)
    push.told = wrong
    steps(sync, clock, 0.25)
    assert store.noted(SETTINGS) == told(5)
    assert "ignoring settings" in caplog.text


def test_a_device_that_was_enrolled_anew_forgets_the_settings_of_the_old_one(
    store: Store, clock: Clock, push: Way
) -> None:
    store.note(SETTINGS, told(5))
    sync = scripted(store, clock, push, device="b")
    steps(sync, clock, 0.25)
    assert store.noted(SETTINGS) is None
    push.told = told(2, device="b")
    steps(sync, clock, 0.25)
    assert store.noted(SETTINGS) == told(2, device="b")


def test_without_a_server_they_stay(store: Store, clock: Clock, asked: Way) -> None:
    store.note(SETTINGS, told(5))
    asked.error = DeliveryError("no answer")
    steps(scripted(store, clock, asked), clock, 60)
    assert store.noted(SETTINGS) == told(5)


def test_the_server_is_asked_seldom_and_hardly_ever_while_a_broker_is_there(
    store: Store, clock: Clock, asked: Way, push: Way
) -> None:
    push.listening = False
    begin_s = clock.now_s
    steps(scripted(store, clock, push, asked), clock, 610)
    assert asked.settings_asked_s == [begin_s + 1, begin_s + 601], "every ten minutes"
    push.listening = True
    asked.settings_asked_s.clear()
    begin_s = clock.now_s
    steps(scripted(store, clock, push, asked), clock, 3610)
    assert asked.settings_asked_s == [begin_s + 1, begin_s + 3601], "every hour"


def test_settings_that_stay_cost_no_reading(
    store: Store, clock: Clock, push: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loop comes by four times a second."""
    read: list[str] = []
    noted = store.noted
    monkeypatch.setattr(store, "noted", lambda key: (read.append(key), noted(key))[1])
    steps(scripted(store, clock, push), clock, 60)
    assert read.count(SETTINGS) == 1


def test_a_failure_is_logged_once_and_tried_again_later(
    store: Store, clock: Clock, asked: Way, caplog: pytest.LogCaptureFixture
) -> None:
    asked.error = DeliveryError("no answer", retry_after_s=400)
    begin_s = clock.now_s
    sync = scripted(store, clock, asked)
    for seconds, times in ((300, 1), (200, 2)):
        steps(sync, clock, seconds)
        assert len(asked.settings_asked_s) == times
        assert caplog.text.count("can't ask for settings over asked: no answer") == 1
    assert asked.settings_asked_s == [begin_s + 1, begin_s + 401]
    asked.error = DeliveryError("refused")
    steps(sync, clock, 700)
    assert asked.settings_asked_s[2:] == [begin_s + 801, begin_s + 1101], "five minutes at least"
    assert caplog.text.count("can't ask for settings over asked: refused") == 1


def test_a_server_may_not_put_off_the_next_question_for_longer_than_an_hour(
    store: Store, clock: Clock, asked: Way
) -> None:
    asked.error = DeliveryError("no answer", retry_after_s=86_400)
    begin_s = clock.now_s
    steps(scripted(store, clock, asked), clock, 3610)
    assert asked.settings_asked_s == [begin_s + 1, begin_s + 3601]


def test_what_the_store_could_not_take_is_kept_until_it_can(
    store: Store, clock: Clock, push: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync = scripted(store, clock, push)
    note = store.note

    def full(key: str, value: Any) -> None:
        raise StoreError("the disk is full")

    monkeypatch.setattr(store, "note", full)
    push.told = told(5)
    with pytest.raises(StoreError):
        sync._settings.take()
    monkeypatch.setattr(store, "note", note)
    sync._settings.take()
    assert store.noted(SETTINGS) == told(5)
