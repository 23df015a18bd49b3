"""What delivery notes and logs of its problems."""

import logging
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from agent.errors import DeliveryError
from agent.store.store import Store
from agent.sync import Backoff, Sync
from agent.transport.http import HttpSettings, HttpTransport
from tests.agent.documents import document
from tests.agent.servers import TOKEN, History, running_api
from tests.agent.sync.scripted import Clock, Way, longest, scripted, steps


def test_refused_credentials_keep_everything_and_are_shown(store: Store, history: History) -> None:
    store.put(document(7))
    with running_api(history) as api:
        transport = HttpTransport(HttpSettings(api.url, "revoked"))
        assert not Sync(store, [transport]).once()
        transport.close()
    said = store.noted("delivery")
    assert said["ok"] is False
    assert said["problem"] == "http: the server refuses this device's token (401)"
    assert store.counts() == {"sessions": 1, "pending": 1, "parked": 0, "delivered": 0}


def test_what_is_noted_turns_good_again(store: Store, way: Way, clock: Clock) -> None:
    store.put(document(7))
    way.error = DeliveryError("can't be reached")
    sync = scripted(store, clock, way)
    steps(sync, clock, 5)
    assert store.noted("delivery")["problem"] == "way: can't be reached"
    way.error = None
    steps(sync, clock, 10)
    assert store.noted("delivery")["ok"] is True
    assert store.noted("delivery")["problem"] is None


def test_a_trouble_is_over_with_the_first_acknowledgement_and_not_without(
    store: Store, way: Way, clock: Clock
) -> None:
    store.put(final := document(7))
    way.error = DeliveryError("can't be reached")
    sync = scripted(store, clock, way)
    sync._step()
    way.error, way.passes_over = None, {final["session_id"]}
    clock.now_s += 2
    assert not sync._step()
    assert store.noted("delivery")["problem"] == "way: can't be reached"
    way.passes_over = set()
    clock.now_s += 10
    while not sync._step():
        clock.now_s += 10
    assert store.noted("delivery")["problem"] is None


def test_a_problem_that_outlives_a_success_is_shown_for_as_long_as_it_says(
    store: Store, path: Path, way: Way, clock: Clock
) -> None:
    sync = scripted(store, clock, way)
    way.error = DeliveryError("another device", lasts_s=900)
    steps(sync, clock, 5)
    assert store.noted("delivery")["next_try"] is not None
    way.error = None
    with closing(Store(path)) as watch:
        watch.put(document(7))
    steps(sync, clock, 60)
    assert store.counts()["delivered"] == 1
    said = store.noted("delivery")
    assert (said["problem"], said["next_try"]) == ("way: another device", None)
    steps(sync, clock, 900)
    assert store.noted("delivery")["problem"] is None


def test_a_trouble_of_an_earlier_process_is_over_though_there_is_nothing_to_send(
    store: Store, way: Way, clock: Clock
) -> None:
    """As that the device is nobody's yet: right after `enrol` nothing waits."""
    store.note("delivery", {"ok": False, "problem": "run blink-agent enrol", "enrolled": False})
    steps(scripted(store, clock, way), clock, 1)
    said = store.noted("delivery")
    assert (said["ok"], said["problem"], said.get("enrolled")) == (True, None, None)


def test_a_way_s_trouble_is_over_when_that_way_was_asked_and_not_before(
    store: Store, history: History, way: Way, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """Though the other way has delivered everything meanwhile."""
    caplog.set_level(logging.INFO)
    refused = "http: the server refuses this device's token (401)"
    with running_api(history) as api:
        api.next.extend([lambda each: each.answer(401, {"detail": "Invalid token."})] * 3)
        transport = HttpTransport(HttpSettings(api.url, TOKEN, commands_s=0))
        ways: list[Any] = [way, transport]
        sync = Sync(store, ways, clock=clock, backoff=lambda: Backoff(clock, longest))
        way.error = DeliveryError("can't be reached")
        store.put(final := document(7))
        sync._step()
        assert store.noted("delivery")["problem"] == f"way: can't be reached; {refused}"
        way.error = None
        steps(sync, clock, 1.5)
        assert store.counts()["delivered"] == 1
        steps(sync, clock, 1)
        assert store.noted("delivery")["problem"] == refused
        assert "http works again" not in caplog.text
        steps(sync, clock, 60)
        assert store.noted("delivery")["problem"] is None
        assert "http works again" in caplog.text
        put = ("PUT", f"/api/session/{final['session_id']}/")
        assert api.requests == [put, *[("OPTIONS", "/api/session/start/")] * 3]
        transport.close()


def test_the_first_contact_after_that_is_noted_at_once(
    store: Store, path: Path, way: Way, clock: Clock
) -> None:
    store.note("delivery", {"ok": False, "problem": "run blink-agent enrol"})
    sync = scripted(store, clock, way)
    steps(sync, clock, 1)
    with closing(Store(path)) as watch:
        watch.put(document(7))
    steps(sync, clock, 1)
    assert store.counts()["pending"] == 0
    assert store.noted("delivery")["contact"] is not None


def test_delivery_that_finds_nothing_wrong_and_nothing_to_send_writes_nothing(
    store: Store, way: Way, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes: list[str] = []
    monkeypatch.setattr(store, "note", lambda key, value: notes.append(key))
    steps(scripted(store, clock, way), clock, 600)
    assert not notes


def test_the_log_says_a_trouble_once_and_never_what_is_in_a_document(
    store: Store, way: Way, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    store.put(document(7))
    way.error = DeliveryError("can't be reached")
    sync = scripted(store, clock, way)
    steps(sync, clock, 600)
    assert caplog.text.count("can't be reached") == 1
    way.error = None
    steps(sync, clock, 600)
    assert "way works again" in caplog.text
    assert "blink_count" not in caplog.text


def test_delivery_hardly_writes_while_it_fails(
    store: Store, way: Way, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every write wears the card; a server may be gone for weeks."""
    store.put(document(7))
    way.error = DeliveryError("can't be reached")
    notes: list[str] = []
    monkeypatch.setattr(store, "note", lambda key, value: notes.append(key))
    steps(scripted(store, clock, way), clock, 50)
    assert len(way.tries) == 6
    assert len(notes) <= 2
