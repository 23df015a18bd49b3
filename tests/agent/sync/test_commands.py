"""Commands come over any transport; one that has to be asked is asked only while none listens."""

import uuid
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from agent.errors import DeliveryError
from agent.store.store import Store
from agent.sync import CAP_S
from agent.transport.http import HttpSettings, HttpTransport
from tests.agent.documents import document
from tests.agent.servers import TOKEN, History, running_api
from tests.agent.sync.scripted import Clock, Way, scripted, steps

ASK_S = 2.0


def command(name: str = "start") -> dict[str, Any]:
    sent = {"command": name, "expires_at": "2026-11-22T10:00:30Z", "expires_in_s": 20.0}
    return {"id": str(uuid.uuid4()), **sent}


@pytest.fixture
def push(history: History) -> Way:
    """As MQTT: commands arrive while the connection is open."""
    return Way(history, "push")


@pytest.fixture
def asked(history: History, clock: Clock) -> Way:
    """As HTTP."""
    way = Way(history, "asked")
    way.ask_s, way.listening, way.clock = ASK_S, False, clock
    return way


def taken(store: Store) -> list[str]:
    found = []
    while (each := store.take_command()) is not None:
        found.append(each["id"])
    return found


def test_without_a_broker_the_server_is_asked_every_two_seconds(
    store: Store, clock: Clock, asked: Way
) -> None:
    sync = scripted(store, clock, asked)
    steps(sync, clock, 60)
    assert len(asked.asked_s) == 30
    asked.waiting = [start := command()]
    steps(sync, clock, ASK_S)
    assert taken(store) == [start["id"]]


def test_the_server_is_asked_beside_sessions_that_wait(
    store: Store, clock: Clock, asked: Way
) -> None:
    """It may refuse documents and have commands."""
    asked.silent = {(unsent := document(7))["session_id"]}
    store.put(unsent)
    sync = scripted(store, clock, asked)
    steps(sync, clock, 600)
    assert len(asked.asked_s) == 300
    assert len(asked.tries) < 30, "an answer to a question is no reason to send documents sooner"


def test_while_the_broker_is_connected_the_server_is_asked_once(
    store: Store, clock: Clock, push: Way, asked: Way
) -> None:
    sync = scripted(store, clock, push, asked)
    steps(sync, clock, 600)
    assert len(asked.asked_s) == 1
    push.listening = False
    steps(sync, clock, 20)
    assert len(asked.asked_s) == 11
    push.listening = True
    steps(sync, clock, 600)
    assert len(asked.asked_s) == 12, "a command may have been sent just before it was connected"


def test_that_one_question_is_repeated_until_it_is_answered(
    store: Store, clock: Clock, push: Way, asked: Way
) -> None:
    asked.error = DeliveryError("can't be reached")
    sync = scripted(store, clock, push, asked)
    steps(sync, clock, 3600)
    asked.error, asked.waiting = None, [start := command()]
    steps(sync, clock, CAP_S)
    assert taken(store) == [start["id"]]
    before = len(asked.asked_s)
    steps(sync, clock, 600)
    assert len(asked.asked_s) == before


def test_a_command_that_comes_both_ways_is_taken_once(
    store: Store, clock: Clock, push: Way, asked: Way, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    start = command()
    asked.waiting = [start]
    push.listening = False
    sync = scripted(store, clock, push, asked)
    steps(sync, clock, ASK_S)
    assert taken(store) == [start["id"]]
    push.listening, push.waiting = True, [{**start, "id": start["id"].upper()}]
    steps(sync, clock, 20)
    assert taken(store) == []
    said = [each for each in caplog.messages if each.startswith("command over")]
    assert said == ["command over asked", "command over push, already known"]


def test_a_server_that_is_away_is_asked_ever_less_often(
    store: Store, clock: Clock, asked: Way, caplog: pytest.LogCaptureFixture
) -> None:
    asked.error = DeliveryError("can't be reached")
    sync = scripted(store, clock, asked)
    steps(sync, clock, 3600)
    waits = [b - a for a, b in zip(asked.asked_s, asked.asked_s[1:], strict=False)]
    assert len(waits) < 25
    assert waits[-1] >= CAP_S
    assert caplog.text.count("can't ask for commands over asked: can't be reached") == 1
    asked.error = None
    steps(sync, clock, CAP_S)
    before = len(asked.asked_s)
    steps(sync, clock, 20)
    assert len(asked.asked_s) - before == 10


def test_a_server_that_asks_for_a_pause_gets_it(store: Store, clock: Clock, asked: Way) -> None:
    asked.error = DeliveryError("the server answered 429", 60.0)
    sync = scripted(store, clock, asked)
    steps(sync, clock, 59)
    assert len(asked.asked_s) == 1


def test_a_server_without_this_endpoint_costs_no_delivery(
    path: Path, store: Store, clock: Clock, history: History
) -> None:
    with running_api(history) as api, closing(Store(path)) as watch:
        transport = HttpTransport(HttpSettings(api.url, TOKEN))
        for _ in range(3):
            api.next.append(lambda handler: handler.answer(404, {"detail": "Not found."}))
        sync = scripted(store, clock, transport)  # type: ignore[arg-type]
        steps(sync, clock, 4)
        watch.put(final := document(7))
        steps(sync, clock, 2)
        sync.close()
    assert history.revisions() == {final["session_id"]: 7}
