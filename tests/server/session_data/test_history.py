"""GET /api/session/history/: newest first, page by page, as asked for and not otherwise."""

import random
import uuid
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from server.care.models import AccessLog
from server.session_data.accept import Writer, accept_many, accept_session
from server.session_data.models import METRICS, SessionData
from tests.server.conftest import golden

HISTORY = "/api/session/history/"
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


def session(hours, state="ended", **changes):
    """A document that began so many hours after noon on 1 June 2026, and took five minutes."""
    began = NOON + timedelta(hours=hours)
    name = {"active": "checkpoint", "ended": "final", "interrupted": "interrupted"}[state]
    ended = None if state == "active" else (began + timedelta(minutes=5)).isoformat()
    return golden(name, started_at=began.isoformat(), ended_at=ended) | changes


@pytest.fixture
def stored(world):
    def store(*documents):
        writer = Writer(world.anna, world.device)
        answers = accept_many([(writer, document) for document in documents])
        assert {answer.outcome for answer in answers} == {"stored"}
        return [document["session_id"] for document in documents]

    return store


def ids(answer):
    assert answer.status_code == 200, answer.content
    return [entry["id"] for entry in answer.json()["results"]]


def all_pages(api, **query):
    """Every id, page by page by `next`, then back by `previous`."""
    answer, pages = api.get(HISTORY, **query), []
    while True:
        pages.append(ids(answer))
        body = answer.json()
        assert body["has_more"] is (body["next"] is not None)
        if body["next"] is None:
            break
        answer = api.client.get(body["next"])
    back = [pages[-1]]
    while (previous := answer.json()["previous"]) is not None:
        answer = api.client.get(previous)
        back.insert(0, ids(answer))
    assert back == pages
    return pages


def test_history_is_newest_first(api, stored):
    hours = random.sample(range(100), 30)
    wanted = [i for _, i in sorted(zip(hours, stored(*map(session, hours)), strict=True))][::-1]
    assert ids(api("anna").get(HISTORY)) == wanted


def test_an_entry_says_what_a_reader_asks_for(api, stored, world):
    (session_id,) = stored(golden("final", started_at="2026-11-22T10:15:30.123Z"))
    (entry,) = api("anna").get(HISTORY).json()["results"]
    assert (entry["id"], entry["state"], entry["ended_by"]) == (session_id, "ended", "button")
    assert entry["started_at"] == "2026-11-22T10:15:30.123Z"
    assert entry["ended_at"] == "2026-11-22T10:20:30.323Z"
    assert (entry["local_day"], entry["timezone"]) == ("2026-11-22", "Europe/Berlin")
    assert entry["device"] == {"id": str(world.device.pk), "label": "Kitchen"}
    expected = dict.fromkeys(METRICS) | golden("final")["metrics"]  # of an older device
    assert {metric: entry[metric] for metric in METRICS} == expected


def test_an_entry_says_what_is_known_of_each_eye(api, stored):
    stored(golden("final_one_eye"))
    (entry,) = api("anna").get(HISTORY).json()["results"]
    assert {metric: entry[metric] for metric in METRICS} == golden("final_one_eye")["metrics"]


def test_the_answer_says_what_was_applied(api, stored):
    stored(session(0))
    body = api("anna").get(HISTORY, **{"from": "2026-06-01", "state": "ended,active"}).json()
    assert (body["user"], body["timezone"]) == ("anna", "Europe/Berlin")
    assert (body["from"], body["to"], body["state"]) == ("2026-06-01", None, ["active", "ended"])
    assert (body["limit"], body["has_more"], body["next"], body["previous"]) == (
        50,
        False,
        None,
        None,
    )


@pytest.mark.parametrize("limit", [1, 3, 7, 30, 200])
@pytest.mark.parametrize("states", ["", "ended", "active,interrupted"])
def test_pages_hold_every_session_once_and_lead_back(api, stored, limit, states):
    kinds = ["ended", "active", "interrupted"]
    hours = [n // 3 for n in range(30)]  # three at every moment: the id decides
    documents = [session(hour, kinds[n % 3]) for n, hour in enumerate(hours)]
    stored(*documents)
    wanted = [
        document["session_id"]
        for document in sorted(
            documents,
            key=lambda d: (datetime.fromisoformat(d["started_at"]), uuid.UUID(d["session_id"])),
            reverse=True,
        )
        if not states or document["state"] in states
    ]
    query = {"limit": str(limit)} | ({"state": states} if states else {})
    pages = all_pages(api("anna"), **query)
    assert [each for page in pages for each in page] == wanted
    assert {len(page) for page in pages[:-1]} <= {limit}


def test_sessions_that_come_in_meanwhile_shift_no_page(api, stored):
    old = stored(*(session(hour) for hour in range(10)))
    first = api("anna").get(HISTORY, limit="5")
    stored(*(session(hour) for hour in range(100, 110)))
    second = api("anna").client.get(first.json()["next"])
    assert ids(first) + ids(second) == old[::-1]


UNSET = {"synchronized": False, "timezone": "Europe/Berlin"}


def undated(year, **changes):
    """A document by a clock that was not set."""
    times = {"started_at": f"{year}-01-01T00:01:00Z", "ended_at": f"{year}-01-01T00:02:00Z"}
    return golden("final", clock=UNSET, **times) | changes


def test_an_uncertain_date_moves_a_session_to_neither_end_of_the_history(api, stored, world):
    early, late, old, new = undated(1970), undated(2150), session(0), session(24 * 3650)
    stored(early, late, old)
    arrived = SessionData.objects.get(pk=early["session_id"]).received_at
    new |= {"started_at": (arrived + timedelta(seconds=5)).isoformat()}
    stored(new | {"ended_at": (arrived + timedelta(seconds=65)).isoformat()})
    entries = api("anna").get(HISTORY).json()["results"]
    between = sorted([early["session_id"], late["session_id"]], reverse=True)
    assert [each["id"] for each in entries] == [new["session_id"], *between, old["session_id"]]
    assert [each["date_uncertain"] for each in entries] == [False, True, True, False]
    assert entries[1]["placed_at"] == entries[1]["received_at"] != entries[1]["started_at"]
    assert entries[0]["placed_at"] == entries[0]["started_at"]


def test_a_session_of_an_uncertain_date_is_of_the_day_it_arrived(api, stored, world):
    document = undated(1970)
    stored(document)
    row = SessionData.objects.get(pk=document["session_id"])
    day = row.received_at.astimezone(ZoneInfo("Europe/Berlin")).date()
    assert row.local_day == day
    SessionData.objects.update(received_at=row.received_at - timedelta(days=9))
    accept_session(world.device, document | {"revision": 99})  # it arrived then, not now
    row.refresh_from_db()
    assert (row.revision, row.local_day) == (99, day - timedelta(days=9))
    found = api("anna").get(HISTORY, **{"from": str(row.local_day), "to": str(row.local_day)})
    assert ids(found) == [document["session_id"]]


def test_pages_of_uncertain_dates_hold_every_session_once(api, stored):
    documents = [session(n) if n % 3 else undated(1970 + n) for n in range(20)]
    wanted = set(stored(*documents))
    pages = all_pages(api("anna"), limit="3")
    seen = [each for page in pages for each in page]
    assert len(seen) == 20
    assert set(seen) == wanted


def test_a_session_that_is_corrected_meanwhile_is_where_it_belongs(api, stored, world):
    lost = undated(1970)
    stored(*(session(hour) for hour in range(10)), lost)
    entries = api("anna").get(HISTORY).json()["results"]
    assert (entries[0]["id"], entries[0]["date_uncertain"]) == (lost["session_id"], True)
    accept_session(world.device, session(-20, session_id=lost["session_id"], revision=99))
    entries = api("anna").get(HISTORY).json()["results"]
    assert (entries[-1]["id"], entries[-1]["date_uncertain"]) == (lost["session_id"], False)
    assert entries[-1]["local_day"] == "2026-05-31"


# From when to when


@pytest.mark.parametrize(
    ("bounds", "hours"),
    [
        ({"from": "2026-06-02", "to": "2026-06-02"}, [11, 20]),
        ({"from": "2026-06-02"}, [11, 20, 40]),
        ({"to": "2026-06-01"}, [0]),
        ({"from": "2026-06-01T12:00:00Z", "to": "2026-06-02T08:00:00Z"}, [0, 11]),
        ({"from": "2026-06-01T14:00:00", "to": "2026-06-01T14:00:01"}, [0]),  # in Berlin
        ({"from": "2026-06-01T21:00:00+10:00", "to": "2026-06-02"}, [0, 11, 20]),
        ({"from": "2027-01-01"}, []),
    ],
)
def test_bounds_are_local_days_or_moments(api, stored, bounds, hours):
    # Noon in UTC is 14:00 in Berlin: 11 hours later it is 1:00 on the next day there.
    wanted = dict(zip([0, 11, 20, 40], stored(*map(session, [0, 11, 20, 40])), strict=True))
    assert ids(api("anna").get(HISTORY, **bounds)) == [wanted[hour] for hour in reversed(hours)]


def test_a_day_is_the_one_where_the_session_was(api, stored):
    document = session(0, started_at="2026-06-01T23:50:00Z", ended_at="2026-06-01T23:59:00Z")
    document["clock"] |= {"timezone": "Pacific/Kiritimati", "utc_offset_minutes": 840}
    (session_id,) = stored(document)
    day = {"from": "2026-06-02", "to": "2026-06-02"}
    assert ids(api("anna").get(HISTORY, **day)) == [session_id]


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Etc/GMT+12", "Europe/Berlin"])
@pytest.mark.parametrize("minutes", [1, 60 * 24])
def test_a_day_holds_whatever_says_that_it_is_of_that_day(api, stored, zone, minutes):
    documents = []
    for hour in range(0, 72, 3):
        ended = NOON + timedelta(hours=hour, minutes=minutes)
        document = session(hour, ended_at=ended.isoformat())
        document["clock"]["timezone"] = zone
        documents.append(document)
    stored(*documents)
    every = api("anna").get(HISTORY, limit="200").json()["results"]
    for day in {entry["local_day"] for entry in every}:
        found = ids(api("anna").get(HISTORY, **{"from": day, "to": day}))
        assert found == [entry["id"] for entry in every if entry["local_day"] == day]


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ({"form": "2026-06-01"}, "form"),
        ({"from": "yesterday"}, "from"),
        ({"from": "2026-02-30"}, "from"),
        ({"from": "2026-6-1"}, "from"),
        ({"to": "9999-12-31"}, "to"),
        ({"to": "0001-01-01T00:00:00Z"}, "to"),
        ({"from": "2026-06-02", "to": "2026-06-01"}, "to"),
        ({"state": "asleep"}, "state"),
        ({"state": ""}, "state"),
        ({"state": "ended,"}, "state"),
        ({"limit": "0"}, "limit"),
        ({"limit": "201"}, "limit"),
        ({"limit": "many"}, "limit"),
        ({"limit": "٣"}, "limit"),
        ({"cursor": "nowhere"}, "cursor"),
        ({"cursor": ""}, "cursor"),
        ({"cursor": "bnVsbA"}, "cursor"),
        ({"cursor": "WzAsICI5OTk5LTEyLTMxIiwgIjAiXQ"}, "cursor"),
    ],
)
def test_what_is_asked_oddly_is_refused_by_name_and_not_ignored(api, query, named):
    answer = api("anna").get(HISTORY, **query)
    assert answer.status_code == 400
    assert list(answer.json()["errors"]) == [named]
    assert answer.json()["detail"].startswith(f"{named}: expected")


def test_a_parameter_that_comes_twice_is_refused(api):
    assert api("anna").client.get(HISTORY + "?limit=1&limit=2").status_code == 400


# What it costs


def test_a_page_takes_the_same_few_queries_whatever_it_holds(api, stored):
    anna, carl = api("anna"), api("carl")
    stored(session(0))
    carl.get(HISTORY, user="anna")  # from now on tokens and the look are noted already
    anna.get(HISTORY)
    counts = []
    for _ in range(2):
        with CaptureQueriesContext(
            connection,
        ) as own:
            anna.get(HISTORY)
        with CaptureQueriesContext(connection) as others:
            carl.get(HISTORY, user="anna", state="ended,active")
        counts.append((len(own), len(others)))
        stored(*(session(hour) for hour in range(1, 60)))
    assert counts[0] == counts[1] == (2, 6)  # token, page; token, person, link, two states, look


def test_a_page_reads_no_document(api, stored):
    stored(session(0))
    with CaptureQueriesContext(connection) as queries:
        api("anna").get(HISTORY)
    assert "document_json" not in " ".join(query["sql"] for query in queries)


@pytest.mark.parametrize(
    "query", [{}, {"state": "active"}, {"from": "2026-06-01"}, {"from": "2026-06-01T00:00:00Z"}]
)
def test_a_page_is_read_from_its_index_in_order(api, stored, query):
    stored(*(session(hour) for hour in range(10)))
    first = api("anna").get(HISTORY, limit="3", **query)
    with CaptureQueriesContext(connection) as queries:
        if first.json()["next"]:
            api("anna").client.get(first.json()["next"])
        else:
            api("anna").get(HISTORY, **query)
    (page,) = [q["sql"] for q in queries if "local_day" in q["sql"] and "SELECT" in q["sql"]]
    plan = explained(page)
    assert "session_history" in plan
    assert "sort" not in plan.lower().replace("sort key", "")
    assert "temp b-tree" not in plan.lower()


# Indexes that no summary is read from. With few rows, PostgreSQL may prefer a small one.
NOT_COVERING = "session_history, session_history_by_state, session_device, session_bytes"


def explained(sql, covered=False):
    """Return the plan of a query; `covered` leaves PostgreSQL only the covering index."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("EXPLAIN QUERY PLAN " + sql)
        else:  # ten rows are read faster without an index; a million are not
            cursor.execute("SET LOCAL enable_seqscan = off")
            cursor.execute("SET LOCAL enable_sort = off")
            cursor.execute("SET LOCAL enable_bitmapscan = off")
            if covered:
                cursor.execute(f"DROP INDEX {NOT_COVERING}")  # until the test's end
            cursor.execute("EXPLAIN " + sql)
        return "\n".join(str(row) for row in cursor.fetchall())


# Who looked


def test_who_reads_somebody_elses_history_is_noted_where_they_can_see_it(api, stored):
    (session_id,) = stored(session(0))
    api("anna").get(HISTORY)
    for _ in range(3):
        api("carl").get(HISTORY, user="anna")
    api("carl").get(f"/api/session/{session_id}/")
    looks = api("anna").get("/api/access-log/").json()
    seen = {
        (look["viewer"], look["what"], look["session_id"], look["views"])
        for look in looks["results"]
    }
    assert seen == {("carl", "history", None, 3), ("carl", "session", session_id, 1)}
    assert looks["has_more"] is False
    assert api("carl").get("/api/access-log/").json()["results"] == []


def test_a_look_after_ten_minutes_is_another(api, stored):
    stored(session(0))
    api("carl").get(HISTORY, user="anna")
    earlier = AccessLog.objects.get().last_at - timedelta(minutes=11)
    AccessLog.objects.update(first_at=earlier, last_at=earlier)
    api("carl").get(HISTORY, user="anna")
    assert [look.views for look in AccessLog.objects.all()] == [1, 1]


def test_deleting_a_person_deletes_what_was_measured(world, stored):
    stored(session(0))
    world.anna.delete()
    assert not SessionData.objects.exists()
