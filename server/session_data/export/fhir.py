"""Export sessions as FHIR R4: an Observation per session with a component per metric, and Devices.

Bundle, Observation and Device have the same elements in R4 (4.0.1) and R4B (4.3.0). The codes are
our own (`SYSTEM`, an OID made from a UUID), because none are published for these measurements.
Units are UCUM. A metric that was not measured has a `dataAbsentReason` and no value. A session
whose date is uncertain has an unknown `effectivePeriod`, and a note.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from itertools import chain
from typing import Any
from uuid import UUID

from server.common.fields import instant_text
from server.session_data.models import METRICS

Row = Mapping[str, Any]
Resource = dict[str, Any]

SYSTEM = "urn:oid:2.25.122603928967592738001864436533321995377"
UCUM = "http://unitsofmeasure.org"
ABSENT = "http://terminology.hl7.org/CodeSystem/data-absent-reason"
ABSENT_EXTENSION = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"

# Metric -> display name, unit for people, unit in UCUM.
COMPONENTS: dict[str, tuple[str, str, str]] = {
    "duration_s": ("Length of the session", "s", "s"),
    "valid_s": ("Time in which the eyes were measured", "s", "s"),
    "coverage": ("Share of the session in which the eyes were measured", "1", "1"),
    "frames": ("Frames measured", "frames", "{frame}"),
    "frames_dropped": ("Frames that could not be measured", "frames", "{frame}"),
    "blink_count": ("Blinks", "blinks", "{blink}"),
    "partial_blink_count": ("Partial blinks", "blinks", "{blink}"),
    "blink_rate_per_min": ("Blinks per minute of measured time", "blinks/min", "{blink}/min"),
    "inter_blink_interval_median_s": ("Median time between blinks", "s", "s"),
    "blink_duration_median_ms": ("Median duration of blinks", "ms", "ms"),
    "blink_duration_p90_ms": ("90th percentile of the duration of blinks", "ms", "ms"),
    "ear_mean": ("Mean eye aspect ratio", "1", "1"),
    "ear_open": ("Eye aspect ratio with open eyes", "1", "1"),
    "perclos": ("Share of measured time with the eyes at least 80 % closed", "1", "1"),
    "long_closure_count": ("Closures of 500 ms and more", "closures", "{closure}"),
    "longest_closure_s": ("Longest closure", "s", "s"),
    "ear_open_left": ("Eye aspect ratio of the left eye when open", "1", "1"),
    "ear_open_right": ("Eye aspect ratio of the right eye when open", "1", "1"),
    "blink_closure_left_median": ("Median closure of the left eye in blinks", "1", "1"),
    "blink_closure_right_median": ("Median closure of the right eye in blinks", "1", "1"),
    "looking_down": ("Share of measured time spent looking down", "1", "1"),
}
assert tuple(COMPONENTS) == METRICS

NOTES = {
    "interrupted": "This session was interrupted; it contains what was measured until then.",
    "uncertain": "The device's clock was not set, so the date is uncertain. By its clock, the "
    "session lasted from {started_at} to {ended_at}.",
}


def bundle(
    rows: Iterable[Row],
    person: Mapping[str, str],
    now: datetime,
    before: Iterable[Resource] = (),
) -> Iterator[str]:
    """Yield a Bundle as pieces of JSON: an entry for each session, and one for each device before
    its first session.

    `person` has the keys `username` and `name`. `before` are resources that come first.
    """
    head = {"resourceType": "Bundle", "type": "collection", "timestamp": instant_text(now)}
    yield json.dumps(head)[:-1] + ', "entry": ['
    comma = ""
    seen: set[UUID] = set()
    measured = (resource for row in rows for resource in _resources(row, person, seen))
    for resource in chain(before, measured):
        full = {"fullUrl": f"urn:uuid:{resource['id']}", "resource": resource}
        yield comma + json.dumps(full)
        comma = ",\n"
    yield "]}\n"


def _resources(row: Row, person: Mapping[str, str], seen: set[UUID]) -> Iterator[Resource]:
    device_id = row["device_id"]
    if device_id is not None and device_id not in seen:
        seen.add(device_id)
        yield device(device_id, row["device__label"])
    yield observation(row, person)


def device(device_id: UUID, label: str) -> Resource:
    """Return a Device."""
    return {
        "resourceType": "Device",
        "id": str(device_id),
        "identifier": [identifier(device_id)],
        "deviceName": [{"name": label, "type": "user-friendly-name"}],
        "type": {"text": "Camera that measures blinks"},
    }


def observation(row: Row, person: Mapping[str, str]) -> Resource:
    """Return the Observation of a session. `row` has the columns `history.COLUMNS`."""
    found: Resource = {
        "resourceType": "Observation",
        "id": str(row["id"]),
        "meta": {"versionId": str(row["revision"])},
        "identifier": [identifier(row["id"])],
        "status": "final",
        "category": [{"coding": [{"system": CATEGORY, "code": "procedure"}]}],
        "code": own_code("session", "Blink measurement session"),
        "subject": subject(person),
        "effectivePeriod": _period(row),
        "issued": instant_text(row["updated_at"]),
        "component": [*(_component(key, row) for key in METRICS), *_activity(row)],
    }
    if row["device_id"] is not None:
        reference = f"urn:uuid:{row['device_id']}"
        found["device"] = {"reference": reference, "display": row["device__label"]}
    if row["agent_version"]:
        found["method"] = {"text": f"Blinklog agent {row['agent_version']}"}
    if notes := _notes(row):
        found["note"] = notes
    return found


def subject(person: Mapping[str, str]) -> Resource:
    """Return a Reference to the person, by user name."""
    return {"identifier": {"value": person["username"]}, "display": person["name"]}


def identifier(value: UUID) -> Resource:
    """Return a UUID as an Identifier."""
    return {"system": "urn:ietf:rfc:3986", "value": f"urn:uuid:{value}"}


def own_code(code: str, display: str) -> Resource:
    """Return a CodeableConcept of our own code system."""
    return {"coding": [{"system": SYSTEM, "code": code, "display": display}], "text": display}


def _period(row: Row) -> Resource:
    if row["date_uncertain"]:
        unknown = {"extension": [{"url": ABSENT_EXTENSION, "valueCode": "unknown"}]}
        return {"_start": unknown, "_end": unknown}
    return {"start": instant_text(row["started_at"]), "end": instant_text(row["ended_at"])}


def _notes(row: Row) -> list[Resource]:
    notes = []
    if row["state"] == "interrupted":
        notes.append(NOTES["interrupted"])
    if row["date_uncertain"]:
        times = {name: instant_text(row[name]) for name in ("started_at", "ended_at")}
        notes.append(NOTES["uncertain"].format(**times))
    return [{"text": text} for text in notes]


def _component(key: str, row: Row) -> Resource:
    name, unit, ucum = COMPONENTS[key]
    component: Resource = {"code": own_code(key, name)}
    if row[key] is None:
        reason = "not-applicable" if _has_none(key, row) else "unknown"
        component["dataAbsentReason"] = {"coding": [{"system": ABSENT, "code": reason}]}
    else:
        quantity = {"value": row[key], "unit": unit, "system": UCUM, "code": ucum}
        component["valueQuantity"] = quantity
    return component


def _activity(row: Row) -> list[Resource]:
    """Return a component with what the person did, if that is known."""
    name = row["activity"]
    if name is None:
        return []
    code = own_code("activity", "Activity during the session")
    return [{"code": code, "valueCodeableConcept": own_code(f"activity-{name}", name.capitalize())}]


def _has_none(key: str, row: Row) -> bool:
    """Return whether the metric doesn't apply, such as the duration of blinks without blinks."""
    blinks = row["blink_count"]
    if key == "longest_closure_s":
        return bool(row["long_closure_count"] == 0)
    if key.startswith(("blink_duration", "blink_closure")):
        return bool(blinks == 0)
    return key.startswith("inter_blink") and blinks is not None and blinks < 2
