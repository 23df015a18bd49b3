"""Views while the camera is aimed: only the newest is sent, over the first way that works."""

import logging
from typing import Any

import pytest

from agent.errors import DeliveryError
from agent.transport.views import REST_S, Views
from tests.agent.servers import Api, Consumer, opened, until
from tests.agent.transport.mqtt_device import ABOUT, DEVICE, OTHER, deliver, to
from tests.broker import Broker, needs_mosquitto


class Way:
    """A transport that keeps what it is shown."""

    def __init__(self, works: bool = True) -> None:
        self.works = works
        self.fails = False
        self.shown: list[dict[str, Any]] = []

    def show(self, view: dict[str, Any]) -> bool:
        if self.fails:
            raise DeliveryError("away")
        if self.works:
            self.shown.append(view)
        return self.works


class Aimed:
    """A view file and a clock that a test moves."""

    def __init__(self, *ways: Way) -> None:
        self.view: dict[str, Any] | None = None
        self.now_s = 0.0
        self.views = Views(lambda: self.view, ways, lambda: self.now_s)  # type: ignore[arg-type]


def test_each_view_is_sent_once_and_nothing_while_nobody_aims() -> None:
    way = Way()
    aimed = Aimed(way)
    assert not aimed.views.send()
    aimed.view = {"number": 1}
    assert aimed.views.send()
    assert aimed.views.send()
    aimed.view = {"number": 2}
    aimed.views.send()
    assert way.shown == [{"number": 1}, {"number": 2}]


def test_the_first_view_of_another_aiming_is_sent_though_it_has_the_same_number() -> None:
    way = Way()
    aimed = Aimed(way)
    for view in ({"number": 1}, None, {"number": 1}):
        aimed.view = view
        aimed.views.send()
    assert len(way.shown) == 2


def test_the_second_way_is_used_if_the_first_can_not() -> None:
    mqtt, http = Way(works=False), Way()
    aimed = Aimed(mqtt, http)
    aimed.view = {"number": 1}
    aimed.views.send()
    assert http.shown == [{"number": 1}]


def test_a_view_that_no_way_can_send_leaves_one_line_for_who_looks_for_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    works, not_now = Way(), Way(works=False)
    for way, lines in ((works, 0), (not_now, 1)):
        aimed = Aimed(way)
        aimed.view = {"number": 1}
        aimed.views.send()
        assert caplog.text.count("no transport can send views now") == lines


def test_after_a_failure_views_rest() -> None:
    way = Way()
    aimed = Aimed(way)
    way.fails = True
    aimed.view = {"number": 1}
    assert aimed.views.send()
    way.fails, aimed.view = False, {"number": 2}
    aimed.now_s = REST_S - 0.1
    aimed.views.send()
    assert way.shown == []
    aimed.now_s = REST_S
    aimed.views.send()
    assert way.shown == [{"number": 2}]


def test_over_http_a_view_is_posted(api: Api) -> None:
    with opened(api) as transport, pytest.raises(DeliveryError):  # this one is an older server
        transport.show({"number": 1})
    assert api.requests == [("POST", "/api/device/aim/")]


@pytest.mark.needs_broker
@needs_mosquitto
def test_a_broker_that_refuses_views_is_asked_once_and_sessions_go_on(
    shared: Broker, consumer: Consumer
) -> None:
    """As after an upgrade, before the broker knows the new topic."""
    transport = to(shared, presence=ABOUT)
    transport._topic = f"blinklog/1/devices/{OTHER}/"  # another's: it may not write there
    assert not transport.show({"number": 1}), "there is no connection yet"
    transport._topic = f"blinklog/1/devices/{DEVICE}/"
    deliver(transport)
    transport._topic = f"blinklog/1/devices/{OTHER}/"
    assert transport.show({"number": 1})
    transport._topic = f"blinklog/1/devices/{DEVICE}/"

    def refused() -> bool:
        transport.commands()
        return not transport.show({"number": 2})

    until(refused, "views are refused")
    assert transport.listening
    transport.close()
