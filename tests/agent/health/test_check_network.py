"""`doctor` on credentials, server and broker."""

import contextlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agent.cli import doctor as cli_doctor
from agent.health import check_network
from agent.health.doctor import Finding, ok
from agent.store.store import Store
from agent.transport.base import SHARED_IDENTITY
from tests.agent.health.checks import DEVICE, enrolled, found, settings
from tests.agent.servers import Api, Handler, silent_port
from tests.broker import Broker, needs_mosquitto, running_broker


def test_credentials_must_exist_and_be_private(tmp_path: Path) -> None:
    assert "not enrolled" in check_network.credentials(settings(tmp_path)).found
    here = enrolled(tmp_path, "https://here.test")
    assert check_network.credentials(here).state == "ok"
    (tmp_path / "api-token").chmod(0o644)
    assert check_network.credentials(here).hint == f"sudo chmod 600 {tmp_path / 'api-token'}"
    (tmp_path / "api-token").write_text("")
    assert "is empty" in check_network.credentials(here).found
    (tmp_path / "api-token").unlink()
    assert "is missing" in check_network.credentials(here).found


def test_a_broker_needs_its_password(tmp_path: Path) -> None:
    here = enrolled(tmp_path, "https://here.test", MQTT_HOST="broker.test")
    assert "mqtt-password is missing" in check_network.credentials(here).found


def test_a_server_that_accepts_the_token_is_ok(tmp_path: Path, api: Api) -> None:
    finding = check_network.server(enrolled(tmp_path, api.url))
    assert finding == ok(f"{api.url} accepts this device's token")
    assert api.requests == [("OPTIONS", "/api/session/start/")]
    assert api.history.said == []


def answers(status: int, **headers: str) -> Callable[[Handler], None]:
    return lambda handler: handler.answer(status, {}, headers)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (answers(401), "refuses this device's token (401)"),
        (answers(302, Location="https://login.test"), "redirects (302)"),
        (answers(404), "there is no Blinklog server at"),
        (answers(503), "answers 503"),
        (lambda handler: handler.answer(200, b"<h1>Log in</h1>"), "there is no Blinklog server"),
    ],
)
def test_a_server_problem_is_reported_with_a_hint(
    tmp_path: Path, api: Api, answer: Callable[[Handler], None], says: str
) -> None:
    api.next.append(answer)
    finding = check_network.server(enrolled(tmp_path, api.url))
    assert finding.state == "bad"
    assert says in finding.found
    assert finding.hint


def test_different_clocks_are_reported(
    tmp_path: Path, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    ahead = datetime.now(UTC) + timedelta(hours=3)
    monkeypatch.setattr(Handler, "date_time_string", lambda *_: f"{ahead:%a, %d %b %Y %T} GMT")
    assert "s apart" in check_network.server(enrolled(tmp_path, api.url)).found


def test_an_invalid_date_is_ignored(
    tmp_path: Path, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    absurd = "Wed, 21 Oct 2015 07:28:00 +99999999999999999"
    monkeypatch.setattr(Handler, "date_time_string", lambda *_: absurd)
    assert check_network.server(enrolled(tmp_path, api.url)).state == "ok"


def test_an_unreachable_or_silent_server_is_reported(tmp_path: Path) -> None:
    nobody = check_network.server(enrolled(tmp_path, "http://127.0.0.1:9"))
    assert "Connection refused" in nobody.found
    with silent_port() as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        finding = check_network.server(enrolled(tmp_path, url, SERVER_TIMEOUT_S="1"))
    assert "did not answer in time" in finding.found
    assert check_network.server(settings(tmp_path)).state == "bad"


USERS = {DEVICE: "good", "blinklog-server": "server"}


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with running_broker(tmp_path_factory.mktemp("broker"), USERS) as running:
        yield running


def broker_check(tmp_path: Path, password: str, **variables: str) -> Finding:
    (tmp_path / "mqtt-password").write_text(password)
    here = enrolled(tmp_path, "https://here.test", MQTT_TLS="false", **variables)
    checks = {check.name: check for check in cli_doctor.network_checks(here)}
    return found(checks["broker"].look)


@pytest.mark.needs_broker
@needs_mosquitto
def test_a_broker_accepts_this_device_or_says_why_not(tmp_path: Path, broker: Broker) -> None:
    where = {"MQTT_HOST": broker.host, "MQTT_PORT": str(broker.port)}
    assert broker_check(tmp_path, "good", **where).state == "ok"
    refused = broker_check(tmp_path, "wrong", **where)
    assert refused.state == "bad"
    assert "Not authorized" in refused.found
    assert "enrol" in str(refused.hint)


def test_an_unreachable_broker_is_reported(tmp_path: Path) -> None:
    finding = broker_check(tmp_path, "good", MQTT_HOST="127.0.0.1", MQTT_PORT="9")
    assert finding.state == "bad"
    assert "can't be reached" in finding.found


@pytest.mark.needs_broker
@needs_mosquitto
def test_two_devices_with_one_identity_are_reported_though_the_broker_accepts_them(
    tmp_path: Path, broker: Broker
) -> None:
    (tmp_path / "mqtt-password").write_text("good")
    here = enrolled(
        tmp_path,
        "https://here.test",
        MQTT_TLS="false",
        MQTT_HOST=broker.host,
        MQTT_PORT=str(broker.port),
    )
    checks = {check.name: check for check in cli_doctor.checks(here)}
    with contextlib.closing(Store(here.store_path)) as store:
        store.note("delivery", {"problem": "http: the server answered 500"})
        assert found(checks["broker"].look).state == "ok"
        store.note("delivery", {"problem": f"mqtt: {SHARED_IDENTITY}; http: late"})
    finding = found(checks["broker"].look)
    assert finding.state == "bad"
    assert SHARED_IDENTITY in finding.found
    assert "enrol" in str(finding.hint)


def test_no_broker_is_no_problem(tmp_path: Path) -> None:
    assert check_network.broker(settings(tmp_path), []).state == "off"
