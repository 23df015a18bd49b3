"""GET /api/session/history/?updated_since=: a client that keeps a copy is told every change."""

import uuid
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from server.care.models import AccessLog, CareLink
from server.common.fields import instant_text
from server.retention.deletion import Scope, delete_sessions
from server.retention.tidying import tidy
from server.session_data.accept import accept_session
from server.session_data.changes.feed import LAST, Position
from server.session_data.changes.numbers import DELETIONS_KEPT, begin_new_series
from server.session_data.models import Deletion, SessionData
from tests.server.conftest import golden
from tests.server.session_data.test_history import explained

HISTORY = "/api/session/history/"
EVER = "2020-01-01T00:00:00Z"


def delete(world, session_id):
    delete_sessions(world.anna, Scope(session_id=uuid.UUID(session_id)), by=world.anna)


def stored(world, name="final", **changes):
    document = golden(name, **changes)
    assert accept_session(world.device, document).outcome == "stored"
    return document["session_id"]


class Copy:
    """A client that keeps a copy of a person's sessions: id -> revision."""

    def __init__(self, api, user="anna", since=EVER, limit=200):
        self.api, self.user, self.cursor, self.limit = api, user, since, limit
        self.sessions, self.told = {}, []

    def catch_up(self):
        """Ask until there is no more, and return what was told, oldest first."""
        told = []
        while True:
            body = self.page()
            told += body["results"]
            assert (body["next"] is not None) is body["has_more"]
            if not body["has_more"]:
                break
        for each in told:
            if each["kind"] == "deletion":
                self.sessions.pop(each["id"], None)
            else:
                self.sessions[each["id"]] = each["revision"]
        return [(each["kind"], each["id"]) for each in told]

    def page(self):
        answer = self.api.get(
            HISTORY, user=self.user, updated_since=self.cursor, limit=str(self.limit)
        )
        assert answer.status_code == 200, answer.content
        self.cursor = answer.json()["cursor"]
        return answer.json()


@pytest.fixture
def copy(api):
    return Copy(api("anna"))


def test_what_was_measured_in_october_and_arrives_today_is_told_today(world, copy):
    stored(world)
    copy.catch_up()
    late = stored(world, started_at="2025-10-03T09:00:00Z", ended_at="2025-10-03T09:05:00Z")
    assert copy.catch_up() == [("session", late)]
    assert copy.catch_up() == []


@pytest.mark.parametrize("limit", [1, 2, 3, 200])
def test_changes_are_told_in_their_order_and_each_session_once(world, api, limit):
    first, second, third, fourth = (stored(world, "started") for _ in range(4))
    delete(world, third)
    accept_session(world.device, golden("final", session_id=first))
    copy = Copy(api("anna"), limit=limit)
    changed = [("session", second), ("session", fourth), ("deletion", third), ("session", first)]
    assert copy.catch_up() == changed
    rows = SessionData.objects.values_list("pk", "revision")
    assert copy.sessions == {str(pk): revision for pk, revision in rows}


@pytest.mark.parametrize("limit", [1, 3, 4])
def test_pages_also_end_within_the_changes_of_one_transaction(world, api, limit):
    with transaction.atomic():
        ids = {stored(world) for _ in range(4)}
    delete_sessions(world.anna, Scope(), by=None)
    kept = {stored(world) for _ in range(3)}
    told = Copy(api("anna"), limit=limit).catch_up()
    assert [kind for kind, _ in told] == ["deletion"] * 4 + ["session"] * 3
    assert {each for _, each in told} == ids | kept


def test_an_entry_is_as_in_the_history(world, api, copy):
    stored(world)
    (told,) = copy.page()["results"]
    (entry,) = api("anna").get(HISTORY).json()["results"]
    assert told == {"kind": "session", **entry}


def test_the_next_page_can_be_followed_as_it_stands(world, api):
    ids = [stored(world) for _ in range(3)]
    body = Copy(api("anna"), limit=2).page()
    rest = api("anna").client.get(body["next"]).json()
    assert [each["id"] for each in body["results"] + rest["results"]] == ids
    assert (rest["has_more"], rest["next"]) == (False, None)


def test_a_repeated_document_is_no_change(world, copy):
    document = golden("final")
    accept_session(world.device, document)
    copy.catch_up()
    assert accept_session(world.device, document).outcome == "duplicate"
    assert copy.catch_up() == []


def test_a_time_is_compared_with_the_arrival_by_the_servers_clock(world, api):
    old, deleted, new = (stored(world) for _ in range(3))
    delete(world, deleted)
    earlier = timezone.now() - timedelta(days=3)
    SessionData.objects.filter(pk=old).update(updated_at=earlier)
    since = instant_text(earlier + timedelta(days=1))
    assert Copy(api("anna"), since=since).catch_up() == [("session", new), ("deletion", deleted)]
    Deletion.objects.update(at=earlier)
    SessionData.objects.update(updated_at=earlier)
    copy = Copy(api("anna"), since=since)
    assert copy.catch_up() == []
    another = stored(world)
    assert copy.catch_up() == [("session", another)]


def test_changes_made_by_a_person_are_numbered_too(world, api, copy):
    started = api("anna")("POST", "/api/session/start/", {}).json()["id"]
    assert copy.catch_up() == [("session", started)]
    api("anna")("PATCH", f"/api/session/{started}/", {"metrics": {"blink_count": 3}})
    assert copy.catch_up() == [("session", started)]


# Who is told


def test_only_who_may_see_the_history_is_told(world, api, everybody):
    gone, kept = stored(world), stored(world)
    delete(world, gone)
    for name, status in {"carl": 200, "hana": 200, "liv": 404, "otto": 404, "ella": 404}.items():
        answer = api(name).get(HISTORY, user="anna", updated_since=EVER)
        assert answer.status_code == status, name
        assert (gone in answer.text, kept in answer.text) == (status == 200, status == 200)
    assert Copy(api("otto"), "otto").catch_up() == []
    assert api("device").get(HISTORY, updated_since=EVER).status_code == 403


def test_an_active_session_is_told_to_others_once_it_is_over(world, api, everybody):
    copy, live = Copy(api("hana")), Copy(api("carl"))
    session_id = stored(world, "started")
    assert (copy.catch_up(), live.catch_up()) == ([], [("session", session_id)])
    accept_session(world.device, golden("final", session_id=session_id))
    assert copy.catch_up() == live.catch_up() == [("session", session_id)]


def test_who_is_let_in_later_reads_from_the_beginning_and_goes_on_after_a_pause(world, api):
    old = stored(world)
    link = CareLink.objects.create(caregiver=world.otto, person=world.anna)
    copy = Copy(api("otto"))
    assert copy.catch_up() == [("session", old)]
    link.end()
    meanwhile = stored(world)
    delete(world, old)
    refused = api("otto").get(HISTORY, user="anna", updated_since=copy.cursor)
    assert refused.status_code == 404
    CareLink.objects.create(caregiver=world.otto, person=world.anna)
    assert copy.catch_up() == [("session", meanwhile), ("deletion", old)]


def test_a_cursor_does_not_tell_that_a_session_is_running(world, api, everybody):
    """Who may see the past alone gets the same answers while checkpoints arrive as without them."""
    person = Copy(api("anna"))
    empty = hidden_asked(api)
    running = stored(world, "started")
    assert hidden_asked(api) == empty, "not even that there has been a first change"
    copy = Copy(api("hana"))
    assert copy.catch_up() == []
    for old in (True, False):
        if old:
            stored(world)
        copy.catch_up()
        before = copy.page(), hidden_asked(api)
        for revision in (2 + 3 * old, 3 + 3 * old):
            accept_session(
                world.device, golden("checkpoint", session_id=running, revision=revision)
            )
            assert (copy.page(), hidden_asked(api)) == before
        person.catch_up()
    accept_session(world.device, golden("final", session_id=running, revision=99))
    assert copy.catch_up() == [("session", running)]


def hidden_asked(api):
    """What Hana is answered who asks from a time on, and with cursors that she made up."""
    asked = {"user": "anna", "limit": "1"}
    now = api("hana").get(HISTORY, updated_since=instant_text(timezone.now()), **asked).json()
    told = api("hana").get(HISTORY, updated_since=EVER, **asked).json()
    series = Position.read(told["cursor"]).series
    made_up = [Position(series, number, LAST).text() for number in range(12)]
    statuses = [
        api("hana").get(HISTORY, updated_since=each, **asked).status_code for each in made_up
    ]
    return now["cursor"], told, statuses


def test_who_is_let_in_later_is_not_told_what_was_deleted_before(world, api, copy):
    gone, kept = stored(world), stored(world)
    copy.catch_up()
    delete(world, gone)
    CareLink.objects.create(caregiver=world.otto, person=world.anna)
    others = Copy(api("otto"))
    assert others.catch_up() == [("session", kept)]
    answer = api("otto").get(HISTORY, user="anna", updated_since=copy.cursor)
    assert answer.status_code == 200
    assert gone not in answer.text
    assert copy.catch_up() == [("deletion", gone)]
    delete(world, kept)
    assert others.catch_up() == [("deletion", kept)]


def test_a_session_that_is_deleted_while_it_runs_was_only_for_those_who_see_live(
    world, api, everybody
):
    copy, live = Copy(api("hana")), Copy(api("carl"))
    running = stored(world, "started")
    assert (copy.catch_up(), live.catch_up()) == ([], [("session", running)])
    delete(world, running)
    assert (copy.catch_up(), live.catch_up()) == ([], [("deletion", running)])


def test_a_look_is_noted_if_something_is_told(world, api):
    copy = Copy(api("carl"))
    copy.catch_up()
    assert not AccessLog.objects.exists()
    stored(world)
    copy.catch_up()
    copy.catch_up()
    assert AccessLog.objects.get().views == 1


# Cursors that are not valid


def test_a_cursor_from_before_a_restore_is_refused(world, api, copy):
    stored(world)
    copy.catch_up()
    begin_new_series()
    assert_expired(api("anna").get(HISTORY, updated_since=copy.cursor))
    assert len(Copy(api("anna")).catch_up()) == 1


def test_deletions_are_told_for_ninety_days_and_older_cursors_are_refused(world, api, copy):
    gone = stored(world)
    copy.catch_up()
    other = Copy(api("carl"))
    other.catch_up()
    delete(world, gone)
    assert copy.catch_up() == [("deletion", gone)]
    almost = timezone.now() + DELETIONS_KEPT - timedelta(hours=1)
    assert tidy(almost).others["deletion records"] == 0
    assert tidy(almost + timedelta(hours=2)).others["deletion records"] == 1
    assert_expired(api("carl").get(HISTORY, user="anna", updated_since=other.cursor))
    assert copy.catch_up() == []
    assert Copy(api("carl")).catch_up() == []


def test_a_cursor_of_another_person_is_refused(world, api, copy):
    stored(world)
    accept_session(world.other_device, golden("final"))
    copy.catch_up()
    assert_expired(api("otto").get(HISTORY, updated_since=copy.cursor))


def assert_expired(answer):
    assert (answer.status_code, answer.json()["code"]) == (410, "cursor_expired")


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ({"updated_since": ""}, "updated_since"),
        ({"updated_since": "yesterday"}, "updated_since"),
        ({"updated_since": "2026-11-22"}, "updated_since"),
        ({"updated_since": "9999-01-01T00:00:00Z"}, "updated_since"),
        ({"updated_since": "bnVsbA"}, "updated_since"),
        ({"updated_since": "WyJhIiwtMSwiYiJd"}, "updated_since"),
        ({"updated_since": EVER, "limit": "0"}, "limit"),
        ({"updated_since": EVER, "from": "2026-11-22"}, "from"),
        ({"updated_since": EVER, "cursor": "x"}, "cursor"),
        ({"updated_since": EVER, "state": "ended"}, "state"),
    ],
)
def test_an_odd_question_is_refused_by_name(api, query, named):
    answer = api("anna").get(HISTORY, **query)
    assert (answer.status_code, list(answer.json()["errors"])) == (400, [named])
    assert answer.json()["detail"].startswith(f"{named}: expected")


# What it costs


def test_a_poll_with_nothing_new_reads_one_row(world, api, copy):
    stored(world)
    copy.catch_up()
    copy.catch_up()
    with CaptureQueriesContext(connection) as queries:
        copy.catch_up()
    assert len(queries) == 2  # token, last number


def test_changes_are_read_from_their_indexes_in_order(world, api, copy):
    for _ in range(5):
        stored(world)
    copy.limit = 2
    copy.page()
    with CaptureQueriesContext(connection) as queries:
        copy.page()
    pages = [q["sql"] for q in queries if "LIMIT 3" in q["sql"]]
    assert len(pages) == 2
    for page, index in zip(pages, ("session_changes", "deletions"), strict=True):
        plan = explained(page)
        assert index in plan
        assert "sort" not in plan.lower().replace("sort key", "")
        assert "temp b-tree" not in plan.lower()
        assert "document_json" not in page


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL plans so few rows otherwise")
def test_a_time_is_looked_up_among_the_sessions_since(world, api):
    stored(world)
    with CaptureQueriesContext(connection) as queries:
        Copy(api("anna"), since=instant_text(timezone.now())).catch_up()
    (lookup,) = [q["sql"] for q in queries if "MIN" in q["sql"] and "updated_at" in q["sql"]]
    assert "session_bytes (user_id=? AND updated_at>?" in explained(lookup)
