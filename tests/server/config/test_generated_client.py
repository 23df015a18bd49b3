"""A client that a published generator makes of the description works against the server."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import call_command

from server.retention.deletion import Scope, delete_sessions
from server.session_data.accept import accept_session
from server.session_data.models import SessionData
from server.session_data.representation import examples
from tests.server.conftest import Api, golden, make_world

GENERATOR = "openapi_python_client"
# The program of somebody who has only the description: it prints what it was told.
PROGRAM = """
import json, sys
from blinklog_client import AuthenticatedClient
from blinklog_client.api.session import (
    session, session_end, session_history, session_patch, session_start,
)
from blinklog_client.models import (
    ChangedSession, ChangesSince, DeletedSession, History, OwnChangesRequest,
    PatchedOwnChangesRequest, SessionDetail, StartRequest,
)

base, token, first_cursor = sys.argv[1:]
with AuthenticatedClient(base, token=token, timeout=30, raise_on_unexpected_status=True) as client:
    started = session_start.sync(client=client, body=StartRequest(timezone="Europe/Berlin"))
    assert isinstance(started, SessionDetail), started

    tag = session.sync_detailed(started.id, client=client).headers["ETag"]
    patch = PatchedOwnChangesRequest(blink_count=13)
    patched = session_patch.sync(started.id, client=client, body=patch, if_match=tag)
    late = session_patch.sync_detailed(started.id, client=client, body=patch, if_match=tag)

    final = OwnChangesRequest(blink_count=14, ear_mean=0.28)
    ended = session_end.sync(started.id, client=client, body=final)

    history = session_history.sync(client=client, state="ended", limit=1)
    assert isinstance(history, History), history

    changes = session_history.sync(client=client, updated_since=first_cursor)
    assert isinstance(changes, ChangesSince), changes
    kinds = {ChangedSession: "session", DeletedSession: "deletion"}
    print(json.dumps({
        "id": str(started.id),
        "outcomes": [patched.outcome, ended.outcome],
        "late": [late.status_code, late.parsed.code],
        "history": [[str(each.id), each.state, each.blink_count] for each in history.results],
        "changes": [[kinds[type(each)], str(each.id)] for each in changes.results],
    }))
"""


@pytest.fixture
def client(tmp_path):
    """The folder with the package `blinklog_client`, which the generator has made."""
    schema, config = tmp_path / "schema.json", tmp_path / "config.yml"
    call_command("spectacular", format="openapi-json", file=str(schema))
    config.write_text("post_hooks: []\n")  # it would format its files
    package = tmp_path / "blinklog_client"
    options = ["--path", schema, "--config", config, "--meta", "none", "--output-path", package]
    command = [sys.executable, "-m", GENERATOR, "generate", "--fail-on-warning", *options]
    made = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert made.returncode == 0, made.stdout + made.stderr
    return tmp_path


@pytest.mark.django_db(transaction=True)
def test_a_generated_client_starts_changes_ends_and_reads_sessions(client, live_server):
    world = make_world()
    gone = golden("final")
    accept_session(world.device, gone)
    anna = Api(world.tokens["anna"])
    answer = anna.get("/api/session/history/", updated_since="2020-01-01T00:00:00Z")
    delete_sessions(world.anna, Scope(), by=world.anna)
    command = [sys.executable, "-c", PROGRAM, live_server.url, world.tokens["anna"]]
    paths = os.pathsep.join(filter(None, [str(client), os.environ.get("PYTHONPATH")]))
    told = subprocess.run(
        [*command, answer.json()["cursor"]],
        env=os.environ | {"PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    found = json.loads(told.stdout)
    (row,) = SessionData.objects.all()
    assert (str(row.pk), row.state, row.ear_mean) == (found["id"], "ended", 0.28)
    assert found["outcomes"] == ["stored", "stored"]
    assert found["late"] == [412, "precondition_failed"]
    assert found["history"] == [[found["id"], "ended", 14]]
    assert found["changes"] == [["deletion", gone["session_id"]], ["session", found["id"]]]


def test_the_generator_is_pinned():
    pins = (Path(__file__).resolve().parents[3] / "requirements/dev.txt").read_text()
    assert "openapi-python-client==" in pins


# The description


@pytest.fixture
def description(api):
    return api("nobody").get("/api/schema/", format="json").json()


def test_every_operation_has_a_summary_and_a_group_that_is_described(description):
    operations = [each for path in description["paths"].values() for each in path.values()]
    summaries = [each["summary"] for each in operations]
    assert all(5 < len(each) <= 90 and not each.endswith(".") for each in summaries), summaries
    assert len(set(summaries)) == len(summaries)
    described = {each["name"] for each in description["tags"]}
    assert {tag for each in operations for tag in each["tags"]} == described


def test_values_that_are_one_of_a_few_are_described_as_such(description):
    schemas = description["components"]["schemas"]
    for schema, name in [
        ("SessionEntry", "state"),
        ("SessionEntry", "ended_by"),
        ("ChangedSession", "kind"),
        ("Acceptance", "outcome"),
        ("Command", "command"),
        ("Problem", "type"),
        ("AuditEntry", "event"),
    ]:
        assert "Enum" in json.dumps(schemas[schema]["properties"][name]), (schema, name)
    mapping = schemas["Change"]["discriminator"]["mapping"]
    assert schemas["Change"]["discriminator"]["propertyName"] == "kind"
    assert set(mapping) == {"session", "deletion"}


def values(some):
    return [each.value for each in some if each.request_only]


def test_the_examples_of_requests_work(api, world, monkeypatch):
    anna = api("anna")
    without_device, on_device = values(examples.START)
    session_id = anna("POST", "/api/session/start/", without_device).json()["id"]
    assert anna("POST", "/api/session/start/", on_device).status_code == 404  # not Anna's
    path = f"/api/session/{session_id}/"
    (change,) = values(examples.PATCH)
    assert anna("PATCH", path, change).json()["outcome"] == "stored"
    numbers, _none = values(examples.END)
    assert anna("POST", path + "end/", numbers).json()["outcome"] == "stored"


def test_the_examples_of_answers_are_like_answers(api, world):
    accept_session(world.device, golden("final"))
    shown = [each.value for each in examples.HISTORY]
    gone = golden("final")
    accept_session(world.device, gone)
    delete_sessions(world.anna, Scope(session_id=gone["session_id"]), by=None)
    queries = [{}, {"updated_since": "2020-01-01T00:00:00Z"}]
    for example, query in zip(shown, queries, strict=True):
        answer = api("anna").get("/api/session/history/", **query).json()
        assert answer.keys() == example.keys()
        for mine, real in zip(example["results"], answer["results"], strict=True):
            assert mine.keys() == real.keys()
