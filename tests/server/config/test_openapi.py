"""The API is as its own description says, and nothing that fits or breaks it makes it fall."""

import pytest
from django.core.management import call_command
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.openapi import from_wsgi
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from server.config.wsgi import application
from server.session_data.accept import accept_session
from server.session_data.commands import ask as commands
from tests.server.config.test_codes import documented
from tests.server.conftest import golden

schema = from_wsgi("/api/schema/?format=json", application)

CODES = set().union(*documented().values())


def documented_code(ctx, response, case):
    """An error's code is in the list of docs/api.md."""
    if response.status_code >= 400:
        assert response.json()["code"] in CODES


CHECKS = [
    documented_code,
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
# Asked for compressed answers, the client in between would not unpack them.
PLAIN = {"Accept-Encoding": "identity"}
BOUNDED = settings(
    max_examples=10,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(autouse=True)
def one_connection():
    """As Django's own test client does: the test's transaction outlives a request."""
    for event in (request_started, request_finished):
        event.disconnect(close_old_connections)
    yield
    for event in (request_started, request_finished):
        event.connect(close_old_connections)


@pytest.fixture(autouse=True)
def a_broker_that_takes_every_command(monkeypatch):
    monkeypatch.setattr(commands, "_send", lambda command: None)


def test_the_description_is_valid_and_without_warnings(capsys):
    call_command("spectacular", validate=True, fail_on_warn=True)
    assert "openapi: 3" in capsys.readouterr().out


@schema.include(path_regex="^/api/(?!auth)").parametrize()
@BOUNDED
@pytest.mark.parametrize("who", ["device", pytest.param("anna", marks=pytest.mark.slow)])
def test_whatever_is_asked_the_answer_is_as_described(case, who, world):
    """With a session that is there for every second address."""
    document = golden("checkpoint", session_id="0193a1b2-7c3d-7e4f-8a5b-6c7d8e9f0a1b")
    accept_session(world.device, document)
    if "session_id" in case.path_parameters and case.body and len(str(case.body)) % 2:
        case.path_parameters["session_id"] = document["session_id"]
    if isinstance(case.body, dict) and "device" in case.body:
        case.body["device"] = str(world.device.pk)
    answer = case.call(headers={"Authorization": f"Bearer {world.tokens[who]}", **PLAIN})
    case.validate_response(answer, checks=CHECKS)


@schema.include(path_regex="^/api/auth").parametrize()
@BOUNDED
def test_whoever_logs_in_the_answer_is_as_described(case, world):
    case.validate_response(case.call(headers=PLAIN), checks=CHECKS)
