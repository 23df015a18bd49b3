"""Sessions, minutes and blinks of many people, as tables that join."""

import json
import tracemalloc
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from server.care.models import AccessLog, AuditEntry, CareLink
from server.devices.models import Device
from server.session_data.accept import accept_own
from server.session_data.export import parquet, reading
from server.session_data.export.codebook import TABLES
from server.session_data.models import SessionData
from tests.server.session_data.exports import (
    CODEBOOK,
    EXPORT,
    exported,
    lines_of,
    moment,
    session,
    store,
    table_of,
)
from tests.server.session_data.test_checks import check

GOLDEN = ("final", "final_eyes", "final_one_eye", "no_face", "interrupted")


@pytest.fixture
def anna(world, api):
    """One session of each kind, of a device; one without; one under way; and a check."""
    store(world.anna, world.device, check(10))
    store(world.anna, world.device, *(session(n, name) for n, name in enumerate(GOLDEN, 1)))
    store(world.anna, world.device, session(0, "checkpoint"))
    accept_own(world.anna, session(9))
    return api("anna")


@pytest.mark.parametrize("part", TABLES)
def test_every_file_has_the_columns_of_the_codebook(anna, part):
    names = [column.name for column in TABLES[part].columns]
    assert list(lines_of(exported(anna, of=part))[0]) == names
    assert table_of(exported(anna, of=part, **{"as": "parquet"})).column_names == names
    rows = json.loads(exported(anna, of=part, **{"as": "json"}))[part]
    if part in ("minutes", "blinks"):
        assert {tuple(row) for row in rows} == {tuple(names)}


@pytest.mark.parametrize("part", TABLES)
def test_only_columns_whose_codebook_says_so_have_nothing_and_numbers_are_in_range(anna, part):
    table = table_of(exported(anna, of=part, **{"as": "parquet"}))
    assert table.num_rows
    for column in TABLES[part].columns:
        values = table[column.name].to_pylist()
        assert column.null or None not in values, column.name
        if column.low is not None or column.high is not None:
            known = [value for value in values if value is not None]
            assert all(value >= (column.low or 0) for value in known), column.name
            assert column.high is None or all(value <= column.high for value in known)


def test_the_codebook_is_a_file_and_json_in_the_readers_language(anna):
    told = anna.get(CODEBOOK).json()["tables"]
    assert {table["name"]: [each["name"] for each in table["columns"]] for table in told} == {
        name: [column.name for column in table.columns] for name, table in TABLES.items()
    }
    for table in told:
        for column in table["columns"]:
            assert column["meaning"], column
            assert column["source"], column
            assert column["type"] not in ("integer", "number") or column["low"] is not None, column
    perclos = {"type": "number", "unit": "1", "low": 0, "high": 1, "null": "Not measured"}
    (found,) = [each for each in told[0]["columns"] if each["name"] == "perclos"]
    assert perclos.items() <= found.items()
    assert found["source"] == "metrics.perclos"
    answer = anna.get(CODEBOOK, of="blinks", **{"as": "csv"})
    assert [each["name"] for each in lines_of(answer.content)] == [
        column.name for column in TABLES["blinks"].columns
    ]
    german = anna.client.get(CODEBOOK, headers={"Accept-Language": "de"}).json()["tables"]
    assert german[3]["row"] == "Ein Lidschlag einer beendeten Messung"
    assert anna.get(CODEBOOK, of="hours").status_code == 400


def test_each_file_says_where_its_codebook_is(anna):
    answer = anna.get(EXPORT, of="blinks")
    address = answer["Link"].removeprefix("<").removesuffix('>; rel="describedby"')
    assert address == f"http://testserver{CODEBOOK}?of=blinks"
    assert anna.client.get(address).json()["tables"][0]["name"] == "blinks"


def test_parquet_has_types_zones_and_nothing_in_place_of_nothing(anna):
    import pyarrow as arrow

    sessions = table_of(exported(anna, **{"as": "parquet"}))
    assert sessions.schema.field("started_at").type == arrow.timestamp("us", tz="UTC")
    assert sessions.schema.field("blink_count").type == arrow.int32()
    assert sessions.schema.field("local_day").type == arrow.date32()
    assert sessions.schema.field("quality").type == arrow.list_(arrow.string())
    rows = sessions.to_pylist()
    assert len(rows) == len(GOLDEN) + 1
    (unseen,) = [row for row in rows if "no_face" in row["quality"]]
    assert (unseen["blink_count"], unseen["perclos"], unseen["coverage"]) == (None, None, 0)
    for row in rows:
        stored = SessionData.objects.get(pk=row["id"])
        assert row["started_at"] == stored.started_at
        assert (row["utc_offset_minutes"], row["user"]) == (60, "anna")
    about = sessions.schema.field("perclos").metadata
    assert about[b"description"].startswith(b"PERCLOS: share of valid time")
    assert sessions.schema.metadata[b"definitions"] == b"http://testserver/export/definitions/"


def test_minutes_and_blinks_are_those_of_the_documents_and_join_the_sessions(anna):
    sessions = {row["id"] for row in rows_of(anna, "sessions")}
    minutes, blinks = rows_of(anna, "minutes"), rows_of(anna, "blinks")
    assert {row["session_id"] for row in minutes + blinks} <= sessions
    for pk in sessions:
        stored = SessionData.objects.get(pk=pk)
        of_it = [row for row in minutes if row["session_id"] == pk]
        names = ("minute", "valid_s", "blinks", "ear_mean", "perclos")
        assert [{name: row[name] for name in names} for row in of_it] == stored.document["minutes"]
        for row in of_it:
            assert row["started_at"] == stored.started_at + timedelta(minutes=row["minute"])
        known = stored.document.get("blinks") or {"at_s": []}
        of_it = [row for row in blinks if row["session_id"] == pk]
        assert [row["blink"] for row in of_it] == list(range(len(known["at_s"])))
        for name in ("at_s", "duration_ms", "amplitude", "complete", "closure_left"):
            nothing = [None] * len(of_it)
            assert [row[name] for row in of_it] == known.get(name, nothing), name
        for row in of_it:
            assert row["at"] == stored.started_at + timedelta(seconds=row["at_s"])


def rows_of(client, part, **query):
    return table_of(exported(client, of=part, **query, **{"as": "parquet"})).to_pylist()


def test_blinks_say_the_same_in_every_format(anna):
    of_parquet = rows_of(anna, "blinks")
    of_json = json.loads(exported(anna, of="blinks", **{"as": "json"}))["blinks"]
    of_csv = lines_of(exported(anna, of="blinks"))
    assert len(of_parquet) == len(of_json) == len(of_csv) > 0
    for one, other, line in zip(of_parquet, of_json, of_csv, strict=True):
        assert abs(one["at"] - moment(other["at"])) < timedelta(milliseconds=1)
        assert line["at"] == other["at"]
        for name in ("session_id", "at_s", "duration_ms", "closure_left"):
            assert one[name] == other[name]
            assert line[name] == ("" if other[name] is None else str(other[name]))
        assert line["complete"] == str(other["complete"]).lower()


def test_a_time_of_an_uncertain_date_is_no_time(world, api):
    document = session()
    document["clock"] = {**document["clock"], "synchronized": False}
    store(world.anna, world.device, document)
    blinks, minutes = rows_of(api("anna"), "blinks"), rows_of(api("anna"), "minutes")
    assert {row["at"] for row in blinks} == {row["started_at"] for row in minutes} == {None}
    assert rows_of(api("anna"), "sessions")[0]["date_uncertain"] is True


def test_what_cannot_be_read_of_a_newer_document_is_left_out(world, api):
    newer = session(1, schema=2, blinks=[[1, 2], [3, 4]], minutes={"0": 60}, quality={"short": 1})
    (fine,) = store(world.anna, world.device, session(2))
    store(world.anna, world.device, newer)
    assert {row["session_id"] for row in rows_of(api("anna"), "blinks")} == {fine}
    assert {row["session_id"] for row in rows_of(api("anna"), "minutes")} == {fine}
    assert [row["quality"] for row in rows_of(api("anna"), "sessions")] == [[], []]


def test_quality_is_in_every_table_of_sessions(world, api):
    flags = ["short", "low_coverage"]
    store(world.anna, world.device, session(quality=flags))
    for form in ("csv", "excel"):
        (line,) = lines_of(exported(api("anna"), **{"as": form, "to": "2100-01-01"}))[:1]
        assert line["quality"] == "short low_coverage"
    (row,) = json.loads(exported(api("anna"), **{"as": "json"}))["sessions"]
    assert row["quality"] == rows_of(api("anna"), "sessions")[0]["quality"] == flags


def test_days_may_be_more_than_a_year(anna):
    first = "2020-02-01"
    days = lines_of(exported(anna, of="days", **{"from": first, "to": "2026-01-31"}))
    assert len(days) == len({day["day"] for day in days}) == 6 * 365 + 2
    assert (days[0]["day"], days[-1]["day"]) == (first, "2026-01-31")


# Of whom


def test_all_people_are_those_whose_history_one_may_see(everybody, api):
    store(everybody.anna, everybody.device, session())
    store(everybody.otto, everybody.other_device, session())
    accept_own(everybody.carl, session())
    expected = {
        "anna": {"anna"}, "carl": {"anna", "carl"}, "hana": {"anna"}, "otto": {"otto"},
        "ella": set(), "liv": set(), "conny": set(), "alma": set(), "irma": set(),
    }  # fmt: skip
    for who, seen in expected.items():
        for part in ("sessions", "minutes", "blinks"):
            assert {row["user"] for row in rows_of(api(who), part, people="all")} == seen, who
        days = json.loads(exported(api(who), of="days", people="all", **{"as": "json"}))["days"]
        assert {day["user"] for day in days} == seen | {who}
        assert all(day["sessions"] == 0 for day in days if day["user"] not in seen)


def test_one_device_is_only_that_device_and_says_nothing_of_anothers(world, api):
    other = Device.objects.create(person=world.anna, label="Bedroom")
    (kitchen,) = store(world.anna, world.device, session())
    (bedroom,) = store(world.anna, other, session())
    store(world.otto, world.other_device, session())
    for device, expected in ((world.device, [kitchen]), (other, [bedroom])):
        found = rows_of(api("carl"), "sessions", people="all", device=str(device.pk))
        assert [row["id"] for row in found] == expected
    assert rows_of(api("carl"), "blinks", people="all", device=str(world.other_device.pk)) == []


def test_an_export_of_all_people_is_noted_with_each_of_them(world, api):
    exported(api("carl"), people="all", of="blinks", names="pseudonyms", **{"from": "2026-01-01"})
    entries = AuditEntry.objects.filter(event="exported", actor=world.carl)
    assert {entry.subject for entry in entries} == {world.anna, world.carl}
    detail = "blinks as csv, 2026-01-01 to now, with pseudonyms"
    assert {entry.detail for entry in entries} == {detail}
    look = AccessLog.objects.get()
    assert (look.person, look.viewer_name, look.what) == (world.anna, "carl", "export")


def test_access_that_ends_during_an_export_ends_in_it_with_the_next_person(world, api):
    for person in (world.anna, world.otto):
        accept_own(person, session())
    CareLink.objects.create(caregiver=world.carl, person=world.otto)
    answer = api("carl").get(EXPORT, people="all")
    CareLink.objects.get(caregiver=world.carl, person=world.otto).end()
    assert [line["user"] for line in lines_of(b"".join(answer))] == ["anna"]


# Pseudonyms


def test_with_pseudonyms_no_file_has_a_name_an_id_or_a_label(everybody, api):
    (known,) = store(everybody.anna, everybody.device, session())
    client = api("carl")
    secret = ("anna", "Kitchen", known, str(everybody.device.pk))
    for part in TABLES:
        for form in ("csv", "excel", "json", "parquet"):
            query = {"of": part, "as": form, "names": "pseudonyms", "user": "anna"}
            answer = client.get(EXPORT, **query)
            file = b"".join(answer)
            text = str(table_of(file).to_pylist()) if form == "parquet" else file.decode()
            for word in secret:
                assert word not in text, (part, form, word)
            assert "anna" not in answer["Content-Disposition"]


def test_pseudonyms_join_and_stay_for_one_reader_and_are_others_for_another(everybody, api):
    store(everybody.anna, everybody.device, session(1), session(2))
    asked = {"user": "anna", "names": "pseudonyms"}
    (user,) = {row["user"] for row in rows_of(api("carl"), "sessions", **asked)}
    sessions = {row["id"] for row in rows_of(api("carl"), "sessions", **asked)}
    blinks = rows_of(api("carl"), "blinks", people="all", names="pseudonyms")
    assert {row["session_id"] for row in blinks} == sessions
    assert len(sessions) == 2
    assert {row["user"] for row in blinks} == {user}
    for other in ("hana", "anna"):
        rows = rows_of(api(other), "sessions", **asked)
        assert not {row["user"] for row in rows} & {user}
        assert not {row["id"] for row in rows} & sessions


# Without pyarrow, and much


def test_without_pyarrow_parquet_is_refused_with_what_to_install(api, monkeypatch):
    monkeypatch.setattr(parquet, "find_spec", lambda name: None)
    answer = api("anna").get(EXPORT, **{"as": "parquet"})
    assert answer.status_code == 400
    assert "pip install 'blinklog[research]'" in answer.json()["errors"]["as"][0]
    assert exported(api("anna")).startswith(b"id,local_day")


def test_a_session_deleted_during_an_export_is_left_out(world, api, monkeypatch):
    monkeypatch.setattr(reading, "DOCUMENTS", 1)
    newest, deleted, oldest = store(world.anna, world.device, *map(session, (1, 2, 3)))
    rows = reading.with_documents(reading.found(world.anna))
    seen = [str(next(rows).row["id"])]
    SessionData.objects.filter(pk=deleted).delete()
    assert seen + [str(each.row["id"]) for each in rows] == [newest, oldest]


def test_a_query_reads_few_documents_and_none_before_it_is_needed(world, api, monkeypatch):
    monkeypatch.setattr(reading, "DOCUMENTS", 3)
    store(world.anna, world.device, *(session(n) for n in range(1, 9)))
    with CaptureQueriesContext(connection) as queries:
        answer = api("anna").get(EXPORT, of="blinks")
    assert not read(queries)
    with CaptureQueriesContext(connection) as queries:
        assert len(lines_of(b"".join(answer))) == 8 * 5
    assert len(read(queries)) == 3


def read(queries):
    return [each["sql"] for each in queries if '"document_json"' in each["sql"]]


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_memory_stays_the_same_however_many_sessions_there_are(world, api, form, monkeypatch):
    """Four times as many sessions take no more of it."""
    monkeypatch.setattr(reading, "CHUNK", 4)
    monkeypatch.setattr(reading, "DOCUMENTS", 2)
    monkeypatch.setattr(parquet, "ROW_GROUP", 300)
    peaks, sizes = [], []
    for count in (10, 30):
        store(world.anna, world.device, *(long_session(n) for n in range(count)))
        exported(api("anna"), of="blinks", **{"as": form, "to": "2026-01-01"})  # imports, caches
        answer = api("anna").get(EXPORT, of="blinks", **{"as": form})
        tracemalloc.start()
        sizes.append(sum(map(len, answer)))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert sizes[1] > 3.5 * sizes[0]
    assert peaks[1] < 1.4 * peaks[0], peaks


def long_session(number, blinks=300):
    document = session(1 + number / 100)
    document["blinks"] = {
        "at_s": [n * 0.1 for n in range(blinks)],
        "duration_ms": [100 + n / 7 for n in range(blinks)],
        "amplitude": [0.5 + n / 1e5 for n in range(blinks)],
        "complete": [True] * blinks,
    }
    return document
