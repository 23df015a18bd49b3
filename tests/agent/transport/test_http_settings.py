"""Settings over HTTP: the server says if they have changed."""

from collections.abc import Iterator

import pytest

from agent.errors import DeliveryError
from agent.records import DeviceSettings
from agent.transport.http import HttpTransport
from tests.agent.servers import Api, opened


@pytest.fixture
def transport(api: Api) -> Iterator[HttpTransport]:
    with opened(api) as transport:
        yield transport


def test_they_are_told_once_until_they_change(api: Api, transport: HttpTransport) -> None:
    for version in (1, 2):
        api.settings = DeviceSettings(version, "a", 8.0).as_json()
        assert transport.settings() == api.settings
        assert transport.settings() is None
    assert api.requests == [("GET", "/api/device/settings/")] * 4


def test_an_older_server_has_none(transport: HttpTransport) -> None:
    assert transport.settings() is None


def test_a_device_that_asks_for_no_commands_asks_for_no_settings(api: Api) -> None:
    with opened(api, commands_s=0) as transport:
        assert transport.settings() is None
    assert api.requests == []


@pytest.mark.parametrize(
    ("status", "answer", "problem"),
    [
        (200, b"<html>Welcome to our Wi-Fi", "from a login page"),
        (200, [], "found another answer"),
        (401, {"detail": "Invalid token."}, "refuses this device's token"),
        (503, {}, "the server answered 503"),
    ],
)
def test_another_answer_is_no_answer(
    api: Api, transport: HttpTransport, status: int, answer: object, problem: str
) -> None:
    api.next.append(lambda handler: handler.answer(status, answer, {"Retry-After": "7"}))
    with pytest.raises(DeliveryError, match=problem) as failed:
        transport.settings()
    assert failed.value.retry_after_s == 7
