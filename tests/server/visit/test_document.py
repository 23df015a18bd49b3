"""GET /api/sheet/: the page for the doctor as a FHIR document, beside the sessions of its days."""

import base64
import hashlib
import json
import re
from datetime import timedelta
from html.parser import HTMLParser

import pytest
from django.utils import timezone
from fhir.resources.R4B.bundle import Bundle

from server.care.models import AccessLog, AuditEntry, AuditEvent, CareLink
from server.notes import write
from server.session_data.accept import accept_session
from server.session_data.models import SessionData, State
from tests.server.conftest import golden

SHEET = "/api/sheet/"


def ago(days: int) -> str:
    return str((timezone.now() - timedelta(days=days)).date())


@pytest.fixture
def store(world):
    def stored(days: int, name: str = "final") -> str:
        began = timezone.now() - timedelta(days=days, minutes=10)
        document = golden(name, started_at=began.isoformat())
        if document["ended_at"]:
            document["ended_at"] = (began + timedelta(minutes=5)).isoformat()
        assert accept_session(world.device, document).outcome == "stored"
        return document["session_id"]

    return stored


@pytest.fixture
def resources(api):
    """The resources of a Bundle that the published structure allows, by their type."""

    def read(who: str = "anna", language: str = "en", **query: str) -> dict[str, list[dict]]:
        headers = {"Accept-Language": language}
        answer = api(who).client.get(SHEET, query_params=query, headers=headers)
        assert answer.status_code == 200, answer.content
        assert answer["Content-Type"] == "application/fhir+json"
        bundle = json.loads(b"".join(answer))
        Bundle.model_validate(bundle)
        found: dict[str, list[dict]] = {}
        for entry in bundle["entry"]:
            found.setdefault(entry["resource"]["resourceType"], []).append(entry["resource"])
        return found

    return read


def attachment_of(found: dict[str, list[dict]]) -> tuple[dict, str]:
    (document,) = found["DocumentReference"]
    ((attachment,),) = ([each["attachment"]] for each in document["content"])
    return attachment, base64.b64decode(attachment["data"], validate=True).decode()


def test_the_sheet_is_beside_the_sessions_of_its_days_and_no_others(store, resources):
    store(40)
    inside, edge = store(3), store(9)
    found = resources(**{"from": ago(9), "to": ago(1)})
    assert [each["id"] for each in found["Observation"]] == [inside, edge]
    (document,) = found["DocumentReference"]
    assert document["context"]["period"] == {"start": ago(9), "end": ago(1)}
    assert document["subject"] == found["Observation"][0]["subject"]
    _attachment, page = attachment_of(found)
    assert "2 sessions on 2 of 9 days" in page


def test_the_file_is_the_one_that_its_size_and_hash_are_of(store, resources):
    store(1)
    attachment, page = attachment_of(resources())
    content = page.encode()
    assert attachment["size"] == len(content)
    assert base64.b64decode(attachment["hash"]) == hashlib.sha1(content).digest()
    assert attachment["contentType"] == "text/html; charset=utf-8"
    assert attachment["creation"][:10] == ago(0)


class Needs(HTMLParser):
    """Everything that a page would fetch or run."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [(tag, value) for name, value in attrs if name in ("src", "href")]
        self.found += [(tag, None)] if tag in ("script", "link", "form", "iframe") else []


def test_the_file_needs_no_other_file_and_runs_nothing(store, resources):
    store(1)
    _attachment, page = attachment_of(resources())
    needs = Needs()
    needs.feed(page)
    assert needs.found == []
    assert not re.search(r"url\(|@import", page)
    assert ".paper-lines" in page
    assert "<svg" in page


def test_it_is_in_the_readers_language_and_says_which(store, resources):
    store(1)
    attachment, page = attachment_of(resources(language="de"))
    assert attachment["language"] == "de"
    assert '<html lang="de">' in page
    assert "Einschränkungen" in page


def test_what_counts_in_no_figure_or_is_not_over_is_in_neither(store, resources):
    store(1)
    SessionData.objects.filter(pk=store(1)).update(state=State.SOMEBODY_ELSE)
    store(0, "checkpoint")
    found = resources()
    assert len(found["Observation"]) == 1
    assert "1 session on 1 of 30 days" in attachment_of(found)[1]


@pytest.mark.parametrize("who", ["anna", "carl"])
def test_of_the_notes_it_has_the_shared_ones_and_needs_no_page_for_them(
    world, store, resources, who
):
    store(1)
    at = timezone.now() - timedelta(days=1)
    for text, shared in (("drops at noon", True), ("my own worry", False)):
        written = {"kind": "drops", "text": text, "shared": shared, "at": at}
        write.add(world.anna, world.anna, None, written)
    _attachment, page = attachment_of(resources(who, user="anna"))
    assert "drops at noon" in page
    assert "my own worry" not in page
    needs = Needs()
    needs.feed(page)
    assert needs.found == []


def test_without_sessions_there_is_the_sheet_alone(world, resources):
    assert set(resources()) == {"DocumentReference"}


def test_whoever_may_not_see_the_history_gets_nothing(world, api, store):
    store(1)
    assert api("otto").get(SHEET, user="anna").status_code == 404
    assert api("device").get(SHEET).status_code == 403
    assert api("nobody").get(SHEET).status_code == 401
    CareLink.objects.filter(caregiver=world.carl).update(may_see_history=False)
    assert api("carl").get(SHEET, user="anna").status_code == 404
    assert not AccessLog.objects.exists()


def test_sessions_end_with_the_sharing_while_the_file_is_read(world, api, store):
    store(1)
    answer = api("carl").get(SHEET, user="anna")
    CareLink.objects.filter(caregiver=world.carl).update(may_see_history=False)
    assert b"Observation" not in b"".join(answer)


def test_it_is_noted_where_the_person_can_read_it(world, store, resources):
    store(1)
    resources("carl", user="anna", **{"from": ago(6)})
    look = AccessLog.objects.get(person=world.anna)
    assert (look.viewer_name, look.what) == ("carl", "sheet")
    entry = AuditEntry.objects.get(event=AuditEvent.EXPORTED)
    assert (entry.actor, entry.subject) == (world.carl, world.anna)
    assert re.fullmatch(rf"sheet and sessions as fhir, {ago(6)} to \d{{4}}-\d\d-\d\d", entry.detail)


@pytest.mark.parametrize(
    ("query", "wrong"),
    [
        ({"from": "2026-11-02", "to": "2026-11-01"}, "to"),
        ({"from": "2020-01-01", "to": "2021-01-01"}, "from"),
        ({"to": "2198-01-01"}, "to"),
        ({"from": "2026-11-01T10:00:00Z"}, "from"),
        ({"from": "yesterday"}, "from"),
        ({"days": "7"}, "days"),
    ],
)
def test_a_span_that_no_sheet_can_have_is_refused(world, api, query, wrong):
    answer = api("anna").get(SHEET, **query)
    assert answer.status_code == 400
    assert wrong in str(answer.json())
