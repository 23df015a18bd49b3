"""GET /api/session/export/: what the page shows, as files that other programs can trust."""

import csv
import io
import json
import re
import tracemalloc
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone, translation
from fhir.resources.R4B.bundle import Bundle

from server.care.models import AccessLog, AuditEntry, AuditEvent, CareLink
from server.dashboard.metrics import METRICS as SHOWN
from server.devices.models import Device
from server.session_data.accept import Writer, accept_many, accept_own
from server.session_data.export import fhir, reading
from server.session_data.export import lines as exports
from server.session_data.export.codebook import SESSIONS
from server.session_data.export.rows import session_rows
from server.session_data.history import COLUMNS
from server.session_data.models import METRICS, SessionData
from tests.server.conftest import golden
from tests.server.session_data.exports import EXPORT


def session(days_ago=1, name="final", *, zone="Europe/Berlin", synchronized=True, **metrics):
    began = timezone.now() - timedelta(days=days_ago)
    clock = {"synchronized": synchronized, "timezone": zone}
    document = golden(name, started_at=began.isoformat(), clock=clock)
    if document["ended_at"]:
        document["ended_at"] = (began + timedelta(minutes=5)).isoformat()
    return document | {"metrics": document["metrics"] | metrics}


@pytest.fixture
def stored(world):
    def store(*documents):
        writer = Writer(world.anna, world.device)
        answers = accept_many([(writer, document) for document in documents])
        assert {answer.outcome for answer in answers} == {"stored"}, answers
        return [document["session_id"] for document in documents]

    return store


@pytest.fixture
def exported(api):
    def get(name="anna", **query):
        answer = api(name).get(EXPORT, **query)
        assert answer.status_code == 200, answer.content
        assert answer.streaming
        return b"".join(answer).decode()

    return get


def lines_of(text):
    return list(csv.DictReader(io.StringIO(text, newline="")))


# CSV and JSON


def test_csv_and_json_have_every_session_that_is_over_newest_first(stored, exported):
    old, new, _live = stored(session(2), session(1), session(0, "checkpoint"))
    assert [line["id"] for line in lines_of(exported())] == [new, old]
    found = json.loads(exported(**{"as": "json"}))
    assert [each["id"] for each in found["sessions"]] == [new, old]
    assert (found["user"], found["timezone"]) == ("anna", "Europe/Berlin")


def test_an_empty_cell_was_not_measured_and_zero_was(stored, exported):
    stored(session(1, "no_face"), session(2, blink_count=0, partial_blink_count=0, perclos=0.0))
    unseen, still = lines_of(exported())
    assert (unseen["blink_count"], unseen["perclos"], unseen["coverage"]) == ("", "", "0.0")
    assert (still["blink_count"], still["perclos"]) == ("0", "0.0")
    unseen, still = json.loads(exported(**{"as": "json"}))["sessions"]
    assert (unseen["blink_count"], still["blink_count"], still["perclos"]) == (None, 0, 0.0)


def test_each_eye_and_looking_down_are_in_every_file(stored, exported):
    stored(session(1, "final_one_eye"), session(2, "final_eyes"), session(3))
    one_eye, eyes, older = lines_of(exported())
    names = ("blink_closure_left_median", "ear_open_right", "looking_down")
    assert [one_eye[name] for name in names] == ["0.08", "0.306", ""]
    assert [eyes[name] for name in names] == ["0.78", "0.315", "0.12"]
    assert [older[name] for name in names] == ["", "", ""]
    one_eye, _eyes, older = json.loads(exported(**{"as": "json"}))["sessions"]
    assert [one_eye[name] for name in names] == [0.08, 0.306, None]
    assert [older[name] for name in names] == [None, None, None]
    first = str((timezone.now() - timedelta(days=4)).date())
    days = lines_of(exported(of="days", **{"from": first}))
    assert "0.08" in [day["blink_closure_left_median"] for day in days]


def test_files_say_what_the_page_says(world, stored, exported):
    """Each cell of the page's lists and of the tables beside its charts, out of CSV and JSON."""
    from django.test import Client

    stored(
        session(1),
        session(2, "no_face"),
        session(3, "interrupted", perclos=0.0),
        session(3, valid_s=100.0, blink_rate_per_min=31.0),
        session(5, long_closure_count=0),
        session(6, synchronized=False),
    )
    browser = Client()
    browser.force_login(world.anna)
    with translation.override("en"):
        page = browser.get("/people/anna/?days=7").content.decode()
        query = {"from": "2000-01-01"}
        sessions = [
            json.loads(exported(**query | {"as": "json"}))["sessions"],
            [numbers(line) for line in lines_of(exported(**query))],
        ]
        listed = page.partition('class="history"')[2]
        for found in sessions:
            assert [each["id"] for each in found] == re.findall(r"/sessions/([^/]*)/", listed)
            for each in found:
                row = listed.partition(each["id"])[2].partition("</tr>")[0]
                cells = re.findall(r"<td[^>]*>([^<]*)</td>", row)[1:]
                assert cells == [shown(key, each[key]) for key in LISTED]
        first = (timezone.now() - timedelta(days=6)).date().isoformat()
        days = [numbers(line) for line in lines_of(exported(of="days", **{"from": first}))]
        of_json = json.loads(exported(of="days", **{"as": "json", "from": first}))["days"]
        assert len(days) >= 7
        for key in FIGURES:
            table = page.partition(f'id="table-{key}"')[2].partition("</table>")[0]
            cells = re.findall(r"</th><td[^>]*>([^<]*)</td><td>(\d+)</td>", table)
            told = [(shown(key, day[key]), f"{day['sessions']:.0f}") for day in days[::-1]]
            assert told[: len(cells)] == cells
            assert [each["metrics"][key]["value"] for each in of_json] == [d[key] for d in days]


LISTED = ("blink_rate_per_min", "long_closure_count", "perclos", "coverage")
FIGURES = ("blink_rate_per_min", "ear_mean", "perclos", "long_closure_count", "coverage")


def shown(key, value):
    metric = next(metric for metric in SHOWN if metric.key == key)
    text = metric.formatted(value)
    return "no data" if text is None else text


def numbers(line):
    """A line of CSV with its numbers as numbers, and nothing as nothing."""
    number = re.compile(r"-?\d+(\.\d+)?(e-?\d+)?")
    return {
        key: None if text == "" else float(text) if number.fullmatch(text) else text
        for key, text in line.items()
    }


def test_csv_is_as_rfc_4180_says(world, stored, exported):
    Device.objects.filter(pk=world.device.pk).update(label='Hall, "left"\nside é')
    stored(session(1), session(2))
    text = exported()
    assert text.endswith("\r\n")
    assert text.split("\r\n")[0] == ",".join(column.name for column in SESSIONS.columns)
    assert '"Hall, ""left""\nside é"' in text
    assert [line["device"] for line in lines_of(text)] == ['Hall, "left"\nside é'] * 2


@pytest.mark.parametrize(
    "label",
    ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", " =1", "＝1"],  # noqa: RUF001
)
def test_no_text_becomes_a_formula(world, stored, exported, label):
    Device.objects.filter(pk=world.device.pk).update(label=label)
    stored(session(1, zone="=cmd|'/c calc'!A1"))
    (line,) = lines_of(exported())
    assert line["device"] == f"'{label}"
    assert line["timezone"].startswith("'=cmd")


def test_a_negative_number_is_a_number(stored, exported):
    document = session(1)
    document["clock"] |= {"utc_offset_minutes": -300}
    stored(document)
    assert lines_of(exported())[0]["utc_offset_minutes"] == "-300"


def test_a_range_is_the_one_of_the_history(api, stored, exported):
    stored(*(session(n) for n in range(1, 30)))
    bounds = {
        "from": str((timezone.now() - timedelta(days=20)).date()),
        "to": str((timezone.now() - timedelta(days=10)).date()),
    }
    history = api("anna").get("/api/session/history/", limit="200", **bounds).json()["results"]
    assert [line["id"] for line in lines_of(exported(**bounds))] == [each["id"] for each in history]


def test_a_long_history_is_read_in_pages_and_none_is_lost(stored, exported, monkeypatch):
    monkeypatch.setattr(reading, "CHUNK", 4)
    stored(*(session(1 + n % 5) for n in range(30)))
    seen = [line["id"] for line in lines_of(exported())]
    assert len(seen) == len(set(seen)) == 30


# FHIR


def bundle_of(text):
    """Checked against the published structure: it raises for whatever is not in it."""
    found = json.loads(text)
    Bundle.model_validate(found)
    return [entry["resource"] for entry in found["entry"]]


def component(observation, key):
    (found,) = [
        each for each in observation["component"] if each["code"]["coding"][0]["code"] == key
    ]
    return found


def test_fhir_is_a_valid_bundle_of_observations_and_their_device(world, stored, exported):
    (session_id,) = stored(session(1))
    device, observation = bundle_of(exported(**{"as": "fhir"}))
    assert (device["resourceType"], device["id"]) == ("Device", str(world.device.pk))
    assert device["deviceName"] == [{"name": "Kitchen", "type": "user-friendly-name"}]
    assert (observation["resourceType"], observation["id"]) == ("Observation", session_id)
    assert observation["device"]["reference"] == f"urn:uuid:{device['id']}"
    row = SessionData.objects.get()
    assert (
        observation["effectivePeriod"]["start"]
        == f"{row.started_at:%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z"
    )
    codes = [each["code"]["coding"][0]["code"] for each in observation["component"]]
    assert codes == list(METRICS)
    rate = component(observation, "blink_rate_per_min")["valueQuantity"]
    assert (rate["value"], rate["code"]) == (row.blink_rate_per_min, "{blink}/min")
    assert rate["system"] == "http://unitsofmeasure.org"


def test_in_fhir_each_eye_is_a_component_of_its_own(stored, exported):
    stored(session(1, "final_one_eye"), session(2))
    _device, one_eye, older = bundle_of(exported(**{"as": "fhir"}))
    left = component(one_eye, "blink_closure_left_median")
    assert (left["valueQuantity"]["value"], left["valueQuantity"]["code"]) == (0.08, "1")
    assert component(one_eye, "blink_closure_right_median")["valueQuantity"]["value"] == 0.88
    assert reason(one_eye, "looking_down") == "unknown"
    assert reason(older, "blink_closure_left_median") == "unknown"


def test_in_fhir_null_is_absent_with_a_reason_and_never_a_value(stored, exported):
    still = {"blink_count": 0, "partial_blink_count": 0, "long_closure_count": 0}
    none = {"blink_duration_median_ms": None, "longest_closure_s": None}
    stored(session(1, "no_face"), session(2, **still, **none))
    _device, unseen, quiet = bundle_of(exported(**{"as": "fhir"}))
    assert "valueQuantity" not in component(unseen, "blink_count")
    assert reason(unseen, "blink_count") == "unknown"
    assert component(unseen, "coverage")["valueQuantity"]["value"] == 0
    assert component(quiet, "blink_count")["valueQuantity"]["value"] == 0
    assert reason(quiet, "blink_duration_median_ms") == "not-applicable"
    assert reason(quiet, "blink_closure_left_median") == "not-applicable"
    assert reason(quiet, "longest_closure_s") == "not-applicable"


def reason(observation, key):
    return component(observation, key)["dataAbsentReason"]["coding"][0]["code"]


def test_in_fhir_an_uncertain_date_is_no_date(stored, exported):
    stored(session(1, synchronized=False), session(2, "interrupted"))
    uncertain, cut = [
        each for each in bundle_of(exported(**{"as": "fhir"})) if each["resourceType"] != "Device"
    ]
    assert set(uncertain["effectivePeriod"]) == {"_start", "_end"}
    assert "clock was not set" in uncertain["note"][0]["text"]
    assert "This session was interrupted" in cut["note"][0]["text"]


def test_in_fhir_a_session_without_a_device_has_none(world, exported):
    accept_own(world.anna, session(1))
    (observation,) = bundle_of(exported(**{"as": "fhir"}))
    assert "device" not in observation
    assert bundle_of(exported("otto", **{"as": "fhir"})) == []


def test_every_component_has_a_name_and_a_unit():
    assert set(fhir.COMPONENTS) == set(METRICS) <= set(COLUMNS)


# Who, and what it leaves behind


def test_it_needs_the_permission_for_history(world, api):
    assert api("otto").get(EXPORT, user="anna").status_code == 404
    assert api("device").get(EXPORT).status_code == 403
    assert api("nobody").get(EXPORT).status_code == 401
    link = CareLink.objects.get(caregiver=world.carl, ended_at=None)
    link.may_see_history = False
    link.save()
    assert api("carl").get(EXPORT, user="anna").status_code == 404


def test_an_export_is_noted_where_the_person_can_read_it(world, stored, exported):
    stored(session(1))
    exported("carl", user="anna", **{"as": "fhir", "from": "2026-01-01"})
    look = AccessLog.objects.get(person=world.anna)
    assert (look.viewer_name, look.what) == ("carl", "export")
    entry = AuditEntry.objects.get(event=AuditEvent.EXPORTED)
    assert (entry.actor, entry.subject) == (world.carl, world.anna)
    assert entry.detail == "sessions as fhir, 2026-01-01 to now"


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ({"as": "xml"}, "as"),
        ({"as": ""}, "as"),
        ({"of": "hours"}, "of"),
        ({"of": "days", "as": "fhir"}, "of"),
        ({"format": "csv"}, "format"),
        ({"from": "yesterday"}, "from"),
        ({"from": "2026-06-02", "to": "2026-06-01"}, "to"),
        ({"of": "days", "from": "2026-01-01T00:00:00Z"}, "from"),
        ({"of": "blinks", "as": "fhir"}, "of"),
        ({"of": "days", "device": "0193a1b2-7c3d-7e4f-8a5b-6c7d8e9f0a1b"}, "device"),
        ({"device": "Kitchen"}, "device"),
        ({"people": "anna"}, "people"),
        ({"people": "all", "user": "anna"}, "people"),
        ({"people": "all", "as": "fhir"}, "people"),
        ({"names": "pseudonyms", "as": "fhir"}, "names"),
        ({"names": "none"}, "names"),
        ({"as": "excel", "decimal": "dot"}, "decimal"),
        ({"decimal": "comma"}, "decimal"),
    ],
)
def test_what_is_asked_oddly_is_refused_by_name(api, query, named):
    answer = api("anna").get(EXPORT, **query)
    assert answer.status_code == 400
    assert list(answer.json()["errors"]) == [named]


def test_a_file_has_a_type_and_a_name_whatever_is_accepted(api):
    for form, kind in (
        ("csv", "text/csv"),
        ("json", "application/json"),
        ("fhir", "application/fhir+json"),
        ("excel", "text/csv"),
        ("parquet", "application/vnd.apache.parquet"),
    ):
        for accepted in ("*/*", kind, "text/html"):
            answer = api("anna").client.get(f"{EXPORT}?as={form}", headers={"Accept": accepted})
            assert answer.headers["Content-Type"].startswith(kind)
            assert re.fullmatch(
                rf'attachment; filename="blinklog-anna-sessions[.-][a-z.]*{form[:4]}[a-z.]*"',
                answer.headers["Content-Disposition"],
            )
            assert answer.headers["Cache-Control"] == "private, no-store"


@pytest.mark.slow
@pytest.mark.timeout(300)  # on a machine with other things to do
def test_fifty_thousand_sessions_are_never_held_at_once(world, stored):
    stored(*(session(1) for _ in range(25)))
    while SessionData.objects.count() < 50_000:
        double_the_table()
    rows = session_rows(reading.with_documents(reading.found(world.anna)))
    pieces = exports.in_batches(exports.as_csv(SESSIONS, rows))
    length = sum(len(next(pieces)) for _ in range(300))  # tracing is slow: only what is left
    tracemalloc.start()
    try:
        rest = sum(map(len, pieces))
        _now, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert length + rest > 50_000 * 200
    assert peak < rest / 2


def double_the_table():
    """Each row once more under another id, by the database's own means."""
    new_id = {"sqlite": "lower(hex(randomblob(16)))", "postgresql": "gen_random_uuid()"}
    fields = [field for field in SessionData._meta.concrete_fields if not field.generated]
    quoted = [connection.ops.quote_name(field.column) for field in fields]
    values = [
        new_id[connection.vendor] if field.primary_key else name
        for field, name in zip(fields, quoted, strict=True)
    ]
    table = SessionData._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} ({', '.join(quoted)}) SELECT {', '.join(values)} FROM {table}"
        )
