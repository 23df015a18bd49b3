"""ETags of sessions: 304 for what a client has, 412 for a write to what has changed since."""

import gzip
import json
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from server.care.models import AccessLog
from server.session_data.accept import accept_session
from server.session_data.models import SessionData
from tests.server.conftest import Api, golden, make_world

PLAIN = {"Accept-Encoding": "identity"}
PACKED = {"Accept-Encoding": "gzip"}


def url(session_id):
    return f"/api/session/{session_id}/"


def ask(api, method, path, body=None, **headers):
    """Ask as a client with these headers; `If_Match` is If-Match."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return api.client.generic(
        method, path, b"" if body is None else body, "application/json", headers=named
    )


@pytest.fixture
def own(api):
    """Anna's session without a device: its id."""
    return api("anna")("POST", "/api/session/start/", {}).json()["id"]


def tag_of(api, session_id, **headers):
    answer = ask(api, "GET", url(session_id), **headers)
    assert answer.status_code == 200
    return answer.headers["ETag"]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("encoding", [PLAIN, PACKED])
def test_what_a_client_has_is_answered_with_304(api, own, method, encoding):
    first = ask(api("anna"), method, url(own), **encoding)
    tag = first.headers["ETag"]
    assert tag.startswith('"1-')  # strong, with the revision
    for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        again = ask(api("anna"), method, url(own), If_None_Match=known, **encoding)
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["ETag"] == tag
    other = ask(api("anna"), method, url(own), If_None_Match='"other"', **encoding)
    assert (other.status_code, other.content) == (200, first.content)


def test_a_new_session_comes_with_its_tag(api):
    answer = api("anna")("POST", "/api/session/start/", {})
    assert answer.headers["ETag"] == tag_of(api("anna"), answer.json()["id"])


def test_the_tag_changes_with_every_revision(api, world):
    document = golden("started")
    accept_session(world.device, document)
    before = tag_of(api("anna"), document["session_id"])
    accept_session(world.device, golden("final", session_id=document["session_id"]))
    assert tag_of(api("anna"), document["session_id"]) != before


def test_the_tag_changes_with_what_else_is_shown(api, world):
    document = golden("final")
    accept_session(world.device, document)
    before = tag_of(api("anna"), document["session_id"])
    world.device.label = "Bedroom"
    world.device.save()
    answer = ask(api("anna"), "GET", url(document["session_id"]), If_None_Match=before)
    assert (answer.status_code, answer.json()["device"]["label"]) == (200, "Bedroom")


def test_the_same_revision_after_a_restore_has_another_tag(api, own):
    before = tag_of(api("anna"), own)
    row = SessionData.objects.get(pk=own)
    SessionData.objects.update(updated_at=row.updated_at.replace(microsecond=1))
    assert tag_of(api("anna"), own) != before


def test_compressed_and_plain_have_tags_of_their_own_and_either_is_known(api, own):
    plain, packed = (ask(api("anna"), "GET", url(own), **each) for each in (PLAIN, PACKED))
    again = ask(api("anna"), "GET", url(own), **PACKED)
    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.content) == plain.content
    assert packed.content == again.content  # as a strong tag promises
    assert packed.headers["ETag"] == plain.headers["ETag"][:-1] + '-gzip"'
    assert "Accept-Encoding" in packed.headers["Vary"]
    for answer in (plain, packed):
        known = answer.headers["ETag"]
        assert ask(api("anna"), "GET", url(own), If_None_Match=known, **PLAIN).status_code == 304
        changed = ask(api("anna"), "PATCH", url(own), '{"revision": 1}', If_Match=known)
        assert (changed.status_code, changed.json()["outcome"]) == (200, "duplicate")


def test_whoever_sees_a_session_sees_the_same_and_no_longer_once_access_has_ended(api, world):
    document = golden("final")
    accept_session(world.device, document)
    tag = tag_of(api("anna"), document["session_id"])
    path = url(document["session_id"])
    assert ask(api("carl"), "GET", path, If_None_Match=tag).status_code == 304
    world.anna.cared_for_by.get(caregiver=world.carl).end()
    for name in ("carl", "ella", "otto"):
        assert ask(api(name), "GET", path, If_None_Match=tag).status_code == 404
        assert ask(api(name), "GET", path, If_None_Match="*").status_code == 404
    assert AccessLog.objects.get().viewer == world.carl  # 304 is a look, too


# Writes

WRITES = [("PATCH", "", '{"agent": {"version": "2"}}'), ("POST", "end/", "{}")]


@pytest.mark.parametrize(("method", "end", "body"), WRITES)
def test_a_write_is_done_if_the_session_is_as_the_client_knows_it(api, own, method, end, body):
    tag = tag_of(api("anna"), own, **PACKED)
    done = ask(api("anna"), method, url(own) + end, body, If_Match=f'"x", {tag}')
    assert (done.status_code, done.json()["revision"]) == (200, 2)
    late = ask(api("anna"), method, url(own) + end, body, If_Match=tag)
    assert (late.status_code, late.json()["code"]) == (412, "precondition_failed")
    assert late.json()["type"] == "client_error"
    assert SessionData.objects.get().revision == 2


def test_a_whole_document_is_stored_only_over_the_one_it_was_made_from(api, own):
    tag = tag_of(api("anna"), own)
    document = SessionData.objects.get().document | {"revision": 5}
    put = f'{{"session_id": "{own}", "schema": 1, "revision": 5, "state": "active"'
    put += f', "started_at": "{document["started_at"]}"}}'
    assert ask(api("anna"), "PUT", url(own), put, If_Match='"0-0"').status_code == 412
    assert ask(api("anna"), "PUT", url(own), put, If_Match=tag).json()["outcome"] == "stored"


@pytest.mark.parametrize("known", ["W/{}", "nonsense", "", '"*"'])
def test_a_condition_that_can_not_hold_fails(api, own, known):
    known = known.format(tag_of(api("anna"), own))
    answer = ask(api("anna"), "PATCH", url(own), "{}", If_Match=known)
    assert answer.status_code == 412
    assert SessionData.objects.get().revision == 1


def test_any_stored_session_fulfils_a_star(api, own, world):
    assert ask(api("anna"), "PATCH", url(own), "{}", If_Match="*").status_code == 200
    assert ask(api("anna"), "PATCH", url(own), "{}", If_None_Match="*").status_code == 412
    document = golden("final")
    sent = Api(world.tokens["device"]), "PUT", url(document["session_id"]), json.dumps(document)
    assert ask(*sent, If_Match="*").status_code == 412
    assert ask(*sent, If_None_Match="*").status_code == 201
    assert ask(*sent, If_None_Match="*").status_code == 412


def test_conditions_tell_strangers_nothing(api, own, world):
    paths = [url(own), url(uuid.uuid4())]
    for name in ("otto", "other device"):
        for method, end, body in WRITES:
            for condition in ("*", '"1-0"'):
                answers = [
                    ask(api(name), method, path + end, body, If_Match=condition) for path in paths
                ]
                assert {each.status_code for each in answers} <= {404, 412}
                assert len({each.status_code for each in answers}) == 1
    assert SessionData.objects.get().revision == 1


def test_a_device_is_asked_to_stop_only_if_the_session_is_as_known(api, world, monkeypatch):
    document = golden("started")
    accept_session(world.device, document)
    asked = []
    monkeypatch.setattr("server.session_data.views.asked", lambda *what: asked.append(what))
    path = url(document["session_id"]) + "end/"
    assert ask(api("carl"), "POST", path, "{}", If_Match='"1-0"').status_code == 412
    assert not asked


@pytest.mark.django_db(transaction=True)
def test_of_writes_from_the_same_state_one_is_done(transactional_db):
    world = make_world()
    anna = Api(world.tokens["anna"])
    session_id = anna("POST", "/api/session/start/", {}).json()["id"]
    tag = tag_of(anna, session_id)
    together = threading.Barrier(4)

    def write():
        try:
            together.wait(30)
            body = '{"agent": {"version": "2"}}'
            answer = ask(Api(world.tokens["anna"]), "PATCH", url(session_id), body, If_Match=tag)
            return answer.status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        answers = [each.result(60) for each in [pool.submit(write) for _ in range(4)]]
    assert sorted(answers) == [200, 412, 412, 412]
