"""Commands over HTTP: they are asked for, and each says how long it is valid."""

from collections.abc import Iterator
from typing import Any

import pytest

from agent.errors import DeliveryError
from agent.transport.http import HttpTransport
from tests.agent.servers import Api, opened


@pytest.fixture
def transport(api: Api) -> Iterator[HttpTransport]:
    with opened(api) as transport:
        yield transport


def test_commands_are_asked_for_and_say_how_long_they_are_valid(
    api: Api, transport: HttpTransport
) -> None:
    assert transport.commands() == []
    start = {"id": "one", "command": "start", "expires_in_s": 12.5}
    api.commands = [start]
    (command,) = transport.commands()
    assert command.document == start
    assert 11 < command.left_s < 12.5, "the time that the request took counts"
    assert api.requests == [("GET", "/api/device/commands/")] * 2


@pytest.mark.parametrize("left", [None, "soon", 10**400, -5, [], True])
def test_a_lifetime_that_makes_no_sense_lasts_for_half_a_minute_at_most(
    api: Api, transport: HttpTransport, left: Any
) -> None:
    api.commands = [{"id": "one", "expires_in_s": left}]
    (command,) = transport.commands()
    assert command.left_s <= 30


@pytest.mark.parametrize(
    ("status", "answer", "problem"),
    [
        (200, b"<html>Welcome to our Wi-Fi", "from a login page"),
        (200, {"commands": {}}, "found another answer"),
        (200, [], "found another answer"),
        (404, {"detail": "Not found."}, "an older release"),
        (401, {"detail": "Invalid token."}, "refuses this device's token"),
        (503, {}, "the server answered 503"),
    ],
)
def test_an_answer_without_commands_is_no_answer(
    api: Api, transport: HttpTransport, status: int, answer: object, problem: str
) -> None:
    api.next.append(lambda handler: handler.answer(status, answer, {"Retry-After": "7"}))
    with pytest.raises(DeliveryError, match=problem) as failed:
        transport.commands()
    assert failed.value.retry_after_s == 7


def test_a_list_with_other_things_in_it_is_read_as_far_as_it_goes(
    api: Api, transport: HttpTransport
) -> None:
    api.next.append(lambda handler: handler.answer(200, {"commands": [7, None, {"id": "one"}]}))
    assert [each.document for each in transport.commands()] == [{"id": "one"}]


def test_no_commands_are_asked_for_where_that_is_turned_off(api: Api) -> None:
    with opened(api, commands_s=0) as transport:
        assert transport.ask_s is None
        assert transport.commands() == []
    assert api.requests == []
    with opened(api, commands_s=0.001) as transport:
        assert transport.ask_s == 0.5
