"""What `accept_session` promises, whatever comes in whatever order."""

import uuid
from datetime import UTC, date, datetime, timedelta

import pytest
from django.db import IntegrityError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from server.session_data import accept
from server.session_data.accept import Writer, accept_many, accept_own, accept_session
from server.session_data.models import METRICS, SessionData
from server.session_data.serializers import BlinksSerializer, MetricsSerializer
from server.session_data.tombstones import bury
from tests.server.conftest import GOLDEN, golden
from tests.server.session_data.altered import EYE_METRICS, GONE, changed

GOLDEN_NAMES = [path.stem for path in sorted(GOLDEN.glob("*.json"))]


@pytest.mark.parametrize("name", GOLDEN_NAMES)
def test_every_golden_document_is_stored_whole_and_as_columns(world, name):
    document = golden(name)
    assert accept_session(world.device, document).outcome == "stored"
    row = SessionData.objects.get(pk=document["session_id"])
    assert row.document == document
    expected = dict.fromkeys(METRICS) | document["metrics"]
    assert {metric: getattr(row, metric) for metric in METRICS} == expected
    assert (row.user, row.device) == (world.anna, world.device)
    assert (row.revision, row.state) == (document["revision"], document["state"])


def test_every_metric_is_checked_kept_and_described():
    assert tuple(MetricsSerializer().fields) == METRICS
    assert list(golden("final_eyes")["metrics"]) == list(METRICS)
    described = (GOLDEN.parents[1] / "docs" / "session-document.md").read_text()
    for name in [*METRICS, *BlinksSerializer().fields]:
        assert f"`{name}`" in described


@pytest.mark.parametrize("value", [0, 1, 0.5, None])
def test_what_of_each_eye_is_known_is_kept(world, value):
    document = golden("final_eyes")
    document["metrics"] |= dict.fromkeys(EYE_METRICS, value)
    assert accept_session(world.device, document).outcome == "stored"
    row = SessionData.objects.get()
    assert {getattr(row, name) for name in EYE_METRICS} == {value}


def test_a_column_of_an_eye_may_be_missing_null_or_all_nulls(world):
    for column in (GONE, None, [None] * 5):
        document = golden("final_eyes")
        changed(["blinks", "closure_left"], column)(document)
        assert accept_session(world.device, document).outcome == "stored"


def test_the_same_revision_again_is_a_duplicate(world):
    document = golden("final")
    accept_session(world.device, document)
    answer = accept_session(world.device, document)
    assert (answer.outcome, answer.created) == ("duplicate", False)
    assert SessionData.objects.count() == 1


def test_a_late_lower_revision_changes_nothing_and_says_so(world):
    final = golden("final")
    accept_session(world.device, final)
    late = golden("checkpoint", session_id=final["session_id"])
    answer = accept_session(world.device, late)
    assert (answer.outcome, answer.reason) == ("stale", "revision 7 is already stored")
    assert SessionData.objects.get().document == final


def test_a_higher_revision_corrects_a_session_that_is_over(world):
    final = golden("final", clock={"synchronized": False}, started_at="1970-01-01T00:00:10Z")
    final["ended_at"] = "1970-01-01T00:05:10Z"
    accept_session(world.device, final)
    assert SessionData.objects.get().date_uncertain
    corrected = golden("final", session_id=final["session_id"], revision=8)
    assert accept_session(world.device, corrected).outcome == "stored"
    row = SessionData.objects.get()
    assert (row.local_day, row.date_uncertain) == (date(2026, 11, 22), uncertain_now(row))


def uncertain_now(row):
    """The golden documents are of a day that may lie ahead of whoever runs this."""
    return row.started_at > row.updated_at + timedelta(days=1)


REVISIONS = st.lists(st.tuples(st.integers(1, 6), st.booleans()), min_size=1, max_size=12)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(arrivals=REVISIONS, cuts=st.sets(st.integers(0, 12)))
def test_any_order_of_arrival_in_any_batches_ends_as_in_order(world, arrivals, cuts):
    session_id = str(uuid.uuid4())
    writer = Writer(world.anna, world.device)
    documents = {number: document_with(session_id, number) for number in range(1, 7)}
    batch, newest = [], 0
    for place, (revision, _) in enumerate(arrivals):
        batch.append((writer, documents[revision]))
        if place in cuts or place == len(arrivals) - 1:
            for (_, document), answer in zip(batch, accept_many(batch), strict=True):
                expected = outcome_of(document["revision"], newest)
                assert answer.outcome == expected
                newest = max(newest, document["revision"])
            batch = []
            row = SessionData.objects.get(pk=session_id)
            assert row.document == documents[newest]
            assert row.blink_count == newest


def document_with(session_id, revision):
    document = golden("checkpoint", session_id=session_id, revision=revision)
    document["metrics"]["blink_count"] = revision
    return document


def outcome_of(revision, newest):
    if revision > newest:
        return "stored"
    return "duplicate" if revision == newest else "stale"


def test_another_devices_session_is_refused_without_a_word_of_whose_it_is(world):
    document = golden("checkpoint")
    accept_session(world.device, document)
    answer = accept_session(world.other_device, document | {"revision": 99})
    assert (answer.outcome, answer.reason) == ("rejected", "this session id can't be used")
    assert SessionData.objects.get().document == document


def test_a_person_does_not_write_what_a_device_began(world):
    document = golden("checkpoint")
    accept_session(world.device, document)
    assert accept_own(world.anna, document | {"revision": 99}).outcome == "rejected"


def test_a_session_stays_with_whom_it_was_measured_from(world):
    before, after = golden("started"), golden("started")
    accept_session(world.device, before)
    world.device.person = world.otto
    world.device.save()
    final = golden("final", session_id=before["session_id"])
    assert accept_session(world.device, final).outcome == "rejected"
    accept_session(world.device, after)
    owners = dict(SessionData.objects.values_list("id", "user__username"))
    assert owners[uuid.UUID(before["session_id"])] == "anna"
    assert owners[uuid.UUID(after["session_id"])] == "otto"


def given_away(world, former):
    """Anna's device, for two hours Otto's; `former` is who it is said to have measured before."""
    since = datetime.now(UTC) - timedelta(hours=2)
    world.device.former_people.create(person=former, until=since)
    world.device.person, world.device.reassigned_at = world.otto, since
    world.device.save()
    return world.device


def begun(hours_ago, **clock):
    started_at = datetime.now(UTC) - timedelta(hours=hours_ago)
    document = golden("started", started_at=started_at.isoformat())
    document["clock"] |= clock
    return document


def test_what_a_device_brings_from_before_it_was_given_away_is_not_the_next_persons(world):
    device = given_away(world, world.anna)
    answer = accept_session(device, begun(3))
    assert (answer.outcome, answer.reason) == (
        "rejected", "this session began before the device was assigned to its present owner",
    )  # fmt: skip
    assert not SessionData.objects.exists()
    assert accept_session(device, begun(1)).outcome == "stored"
    assert SessionData.objects.get().user == world.otto


def test_what_was_measured_for_an_account_that_is_gone_is_nobodys(world):
    assert accept_session(given_away(world, None), begun(3)).outcome == "rejected"
    assert not SessionData.objects.exists()


def test_a_date_that_may_be_wrong_says_nothing_of_whom_a_device_measured(world):
    answer = accept_session(given_away(world, world.anna), begun(3, synchronized=False))
    assert answer.outcome == "stored"
    assert SessionData.objects.get().user == world.otto


def test_a_person_goes_on_with_what_they_began_without_a_device(world):
    first = golden("started")
    assert accept_own(world.anna, first).created
    final = golden("final", session_id=first["session_id"])
    answer = accept_own(world.anna, final)
    assert (answer.outcome, answer.created) == ("stored", False)
    row = SessionData.objects.get()
    assert (row.user, row.device, row.document) == (world.anna, None, final)
    higher = final | {"revision": 99}
    assert accept_own(world.otto, higher).outcome == "rejected"
    assert accept_session(world.device, higher).outcome == "rejected"


@pytest.mark.parametrize(("conflicts", "stored"), [(1, True), (4, True), (5, False)])
def test_an_insert_that_lost_to_another_is_tried_five_times(world, monkeypatch, conflicts, stored):
    left, really = [IntegrityError] * conflicts, accept._store

    def store(entries, now):
        if left:
            raise left.pop()
        return really(entries, now)

    monkeypatch.setattr(accept, "_store", store)
    if stored:
        assert accept_session(world.device, golden("started")).outcome == "stored"
    else:
        with pytest.raises(IntegrityError):
            accept_session(world.device, golden("started"))
    assert SessionData.objects.count() == stored


def test_one_bad_document_in_a_batch_spoils_no_other(world):
    writer = Writer(world.anna, world.device)
    good, bad = golden("final"), golden("final", state="asleep")
    answers = accept_many([(writer, good), (writer, bad), (writer, good)])
    assert [answer.outcome for answer in answers] == ["stored", "rejected", "duplicate"]


def test_a_deleted_session_in_a_batch_stays_deleted_and_holds_up_no_other(world):
    deleted, other = golden("started"), golden("started")
    bury([(uuid.UUID(deleted["session_id"]), world.anna.pk, None)])
    answers = accept_many([(Writer(world.anna, world.device), each) for each in (deleted, other)])
    assert [answer.outcome for answer in answers] == ["stale", "stored"]
    assert str(SessionData.objects.get().pk) == other["session_id"]


def test_when_the_server_first_heard_of_a_session_is_kept(world):
    document = golden("started")
    accept_session(world.device, document)
    first = SessionData.objects.get()
    accept_session(world.device, golden("final", session_id=document["session_id"]))
    last = SessionData.objects.get()
    assert last.received_at == first.received_at
    assert last.updated_at > first.updated_at


# Days


@pytest.mark.parametrize(
    ("started_at", "ended_at", "zone", "offset", "day"),
    [
        ("2026-11-22T22:50:00Z", "2026-11-22T23:10:00Z", "Europe/Berlin", 60, "2026-11-23"),
        ("2026-11-22T22:50:00Z", None, "Europe/Berlin", 60, "2026-11-22"),
        ("2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", "Europe/Berlin", 120, "2026-10-25"),
        ("2026-11-22T05:00:00Z", "2026-11-22T05:10:00Z", "America/New_York", -300, "2026-11-22"),
        ("2026-11-22T04:00:00Z", "2026-11-22T04:10:00Z", "America/New_York", -300, "2026-11-21"),
        ("2026-11-22T11:00:00Z", "2026-11-22T11:10:00Z", "Pacific/Kiritimati", 840, "2026-11-23"),
        ("2026-11-22T04:00:00Z", "2026-11-22T04:10:00Z", "Mars/Olympus", -300, "2026-11-21"),
        ("2026-11-22T04:00:00Z", "2026-11-22T04:10:00Z", "../../etc/passwd", -300, "2026-11-21"),
        # Not the server's own time, nor a zone by another spelling or from another folder.
        ("2026-11-22T04:00:00Z", "2026-11-22T04:10:00Z", "localtime", -300, "2026-11-21"),
        ("2026-11-22T04:00:00Z", "2026-11-22T04:10:00Z", "Factory", -300, "2026-11-21"),
        ("2026-11-22T04:00:00Z", "2026-11-22T04:10:00Z", "posixrules", -720, "2026-11-21"),
        ("2026-11-22T04:00:00Z", "2026-11-22T04:10:00Z", "right/Asia/Tokyo", -300, "2026-11-21"),
        ("2026-11-22T04:00:00Z", "2026-11-22T04:10:00Z", "asia/tokyo", -300, "2026-11-21"),
        ("2026-11-22T23:30:00Z", "2026-11-22T23:40:00Z", None, None, "2026-11-23"),
    ],
)
def test_a_session_belongs_to_the_day_it_ended_in_where_it_was(
    world, started_at, ended_at, zone, offset, day
):
    document = golden("checkpoint", started_at=started_at)
    if ended_at:
        document |= {"state": "ended", "ended_at": ended_at}
    document["clock"] |= {"timezone": zone, "utc_offset_minutes": offset}
    assert accept_session(world.device, document).outcome == "stored"
    assert SessionData.objects.get().local_day == date.fromisoformat(day)


@pytest.mark.parametrize(
    ("synchronized", "started_at", "minutes", "uncertain"),
    [
        (True, "2026-01-01T10:00:00Z", 5, False),
        (False, "2026-01-01T10:00:00Z", 5, True),
        (None, "2026-01-01T10:00:00Z", 5, True),
        (True, "1970-01-01T00:01:00Z", 5, True),
        (True, "2000-01-01T00:01:00Z", 5, True),
        (True, "2190-01-01T00:01:00Z", 5, True),
        (True, "2026-01-01T10:00:00Z", 60 * 24 * 365, True),
        (False, "2026-01-01T10:00:00Z", -60, True),
    ],
)
def test_a_date_that_may_be_wrong_is_marked(world, synchronized, started_at, minutes, uncertain):
    ended_at = datetime.fromisoformat(started_at) + timedelta(minutes=minutes)
    document = golden("final", started_at=started_at, ended_at=ended_at.isoformat())
    document["clock"]["synchronized"] = synchronized
    assert accept_session(world.device, document).outcome == "stored"
    row = SessionData.objects.get()
    # The clock of whoever runs this may be behind 2026: only then are all of these ahead of it.
    assert row.date_uncertain is (uncertain or row.started_at > datetime.now(UTC))


# Newer agents


def test_a_newer_document_is_kept_whole_and_read_as_far_as_can_be(world):
    newer = golden("final", schema=2, saccades={"count": [1, 2, {"deep": None}]})
    newer["metrics"] |= {"perclos": {"p80": 0.1}, "saccade_rate": 3.5}
    newer["ended_by"] = "voice"
    assert accept_session(world.device, newer).outcome == "stored"
    row = SessionData.objects.get()
    assert row.document == newer
    assert (row.schema, row.blink_count, row.perclos, row.ended_by) == (2, 5, None, None)


def test_a_newer_state_is_over_once_it_has_an_end(world):
    paused = golden("checkpoint", schema=2, state="paused")
    accept_session(world.device, paused)
    assert SessionData.objects.get().state == "active"
    done = golden("final", schema=2, state="archived", session_id=paused["session_id"])
    accept_session(world.device, done)
    assert SessionData.objects.get().state == "ended"


@pytest.mark.parametrize("key", ["session_id", "revision", "started_at"])
def test_a_newer_document_without_its_envelope_is_refused(world, key):
    newer = golden("final", schema=2)
    del newer[key]
    assert accept_session(world.device, newer).outcome == "rejected"


def test_keys_we_do_not_know_are_kept(world):
    document = golden("final", note="überall \x00 \ud800", more={"a": [1.0, 1e300, None, True]})
    document["clock"]["drift_ppm"] = 12.5
    assert accept_session(world.device, document).outcome == "stored"
    assert SessionData.objects.get().document == document
