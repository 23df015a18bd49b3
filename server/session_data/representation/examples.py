"""Examples of requests and answers about sessions, for the OpenAPI description."""

from typing import Any

from drf_spectacular.utils import OpenApiExample

from server.session_data.models import METRICS

SESSION = "0193a1b2-7c3d-7e4f-8a5b-6c7d8e9f0a1b"
DEVICE = {"id": "6f2c1d0e-4b3a-4c5d-9e8f-7a6b5c4d3e2f", "label": "Kitchen"}
MEASURED = {
    "duration_s": 290.2,
    "valid_s": 281.4,
    "coverage": 0.97,
    "frames": 8706,
    "frames_dropped": 4,
    "blink_count": 71,
    "partial_blink_count": 5,
    "blink_rate_per_min": 15.1,
    "ear_mean": 0.28,
    "perclos": 0.02,
}
ENTRY = {
    "id": SESSION,
    "state": "ended",
    "revision": 31,
    "placed_at": "2026-11-22T10:15:30.123Z",
    "started_at": "2026-11-22T10:15:30.123Z",
    "ended_at": "2026-11-22T10:20:20.323Z",
    "ended_by": "button",
    "local_day": "2026-11-22",
    "timezone": "Europe/Berlin",
    "utc_offset_minutes": 60,
    "date_uncertain": False,
    "received_at": "2026-11-22T10:15:31.004Z",
    "updated_at": "2026-11-22T10:20:20.810Z",
    "device": DEVICE,
    "fps": 30.0,
    "agent_version": "0.1.0",
    "activity": "reading",
    "activity_chosen": False,
    **dict.fromkeys(METRICS),
    **MEASURED,
}
PERSON = {"user": "eileen", "timezone": "Europe/Berlin", "limit": 50, "has_more": False}


def _sent(name: str, value: dict[str, Any]) -> OpenApiExample:
    return OpenApiExample(name, value, request_only=True)


def _answered(name: str, value: dict[str, Any], status: int = 200) -> OpenApiExample:
    return OpenApiExample(name, value, response_only=True, status_codes=[status])


STORED = {"session_id": SESSION, "revision": 2, "outcome": "stored", "reason": None}
START = [
    _sent("Without a device", {"timezone": "Europe/Berlin"}),
    _sent("On a device", {"device": DEVICE["id"]}),
]
PATCH = [_sent("A count", {"metrics": {"blink_count": 13}}), _answered("Stored", STORED)]
END = [
    _sent("With its numbers", {"metrics": {"blink_count": 14, "ear_mean": 0.28}}),
    _sent("Without any", {}),
    _answered("Stored", STORED),
]
HISTORY = [
    _answered(
        "A page",
        PERSON
        | {"from": "2026-11-01", "to": None, "state": None, "activity": None}
        | {"next": None, "previous": None}
        | {"results": [ENTRY]},
    ),
    _answered(
        "What has changed",
        PERSON
        | {"next": None, "cursor": "WyI5ZjBjN2U1YS0uLi4iLCA0MSwgIi4uLiJd"}
        | {
            "results": [
                {"kind": "session", **ENTRY},
                {"kind": "deletion", "id": SESSION, "deleted_at": "2026-11-23T08:00:00.000Z"},
            ]
        },
    ),
]
