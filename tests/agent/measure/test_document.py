"""The session document: the golden copies, its two corrections, and invalid arguments."""

import json
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from agent.measure.document import interrupted, iso_utc, parse_utc, session_document, with_true_time
from agent.measure.session import BlinkColumns, Metrics, Minute, Session

EYES = {
    "ear_open_left", "ear_open_right", "blink_closure_left_median", "blink_closure_right_median",
    "looking_down", "closure_left", "closure_right",
}  # fmt: skip
GOLDEN = Path(__file__).parents[2] / "golden"
STARTED_AT = datetime(2026, 11, 22, 10, 15, 30, 123000, tzinfo=UTC)


def golden(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((GOLDEN / f"{name}.json").read_text())
    return document


def session_of(document: dict[str, Any]) -> Session:
    columns = document.get("blinks")
    return Session(
        metrics=Metrics(**document["metrics"]),
        quality=tuple(document["quality"]),
        minutes=tuple(Minute(**minute) for minute in document["minutes"]),
        blinks=columns and BlinkColumns(**{name: tuple(c) for name, c in columns.items()}),
        fps=document["camera"]["fps"],
    )


def rebuilt(document: dict[str, Any], session: Session | None = None) -> dict[str, Any]:
    ended_at = document["ended_at"]
    return session_document(
        session or session_of(document),
        session_id=document["session_id"],
        revision=document["revision"],
        state=document["state"],
        started_at=parse_utc(document["started_at"]),
        ended_at=ended_at and parse_utc(ended_at),
        ended_by=document["ended_by"],
        clock=document["clock"],
        camera={key: document["camera"][key] for key in ("source", "width", "height")},
        agent=document["agent"],
        activity=document.get("activity"),
    )


def without_eyes(document: dict[str, Any]) -> dict[str, Any]:
    """As devices wrote it that did not keep the eyes apart."""
    older = {**document, "metrics": {k: v for k, v in document["metrics"].items() if k not in EYES}}
    if "blinks" in older:
        older["blinks"] = {k: v for k, v in older["blinks"].items() if k not in EYES}
    return older


NEWEST = [
    "checkpoint_eyes", "checkpoint_activity", "final_eyes", "final_activity", "final_one_eye",
]  # fmt: skip


@pytest.mark.parametrize("name", NEWEST)
def test_a_document_has_the_keys_and_order_of_its_golden_copy(name: str) -> None:
    assert json.dumps(rebuilt(golden(name))) == json.dumps(golden(name))


@pytest.mark.parametrize("name", ["started", "checkpoint", "final", "interrupted", "no_face"])
def test_an_older_document_has_the_same_keys_but_those_of_each_eye(name: str) -> None:
    assert json.dumps(without_eyes(rebuilt(golden(name)))) == json.dumps(golden(name))


def test_a_checkpoint_that_was_cut_off_becomes_the_golden_interrupted_document() -> None:
    assert json.dumps(interrupted(golden("checkpoint"))) == json.dumps(golden("interrupted"))


def test_a_session_that_was_cut_off_keeps_its_activity() -> None:
    cut_off = interrupted(golden("checkpoint_activity"))
    assert cut_off["activity"] == "reading"
    assert with_true_time(cut_off, STARTED_AT, {})["activity"] == "reading"
    assert "activity" not in interrupted(golden("checkpoint_eyes"))


def test_the_last_known_time_ends_an_interrupted_session_where_it_is_known() -> None:
    document = interrupted(golden("checkpoint"), STARTED_AT + timedelta(seconds=70))
    assert document["ended_at"] == "2026-11-22T10:16:40.123Z"


def test_a_corrected_clock_moves_both_dates_and_raises_the_revision() -> None:
    before = golden("final")
    before["clock"]["synchronized"] = False
    zone = {"utc_offset_minutes": 120, "timezone": None}
    after = with_true_time(before, STARTED_AT + timedelta(days=3), zone)
    assert after["started_at"] == "2026-11-25T10:15:30.123Z"
    assert after["ended_at"] == "2026-11-25T10:20:30.323Z"
    assert after["revision"] == before["revision"] + 1
    assert after["clock"] == before["clock"] | {"synchronized": True, **zone}
    assert after["metrics"] == before["metrics"]


def test_repairs_leave_the_document_they_were_given_alone() -> None:
    document = golden("checkpoint")
    interrupted(document)
    with_true_time(document, STARTED_AT, {"utc_offset_minutes": 0})
    assert document == golden("checkpoint")


def test_numbers_are_rounded_to_their_decimals() -> None:
    document = golden("final_eyes")
    metrics = Metrics(**document["metrics"] | {"coverage": 0.95649, "blink_duration_p90_ms": 301.4})
    exact = session_of(document)
    session = replace(exact, metrics=metrics, fps=29.8321)
    assert rebuilt(document, session) == document


LONG = 12345.678912
WHOLE, TENTHS, HUNDREDTHS, THOUSANDTHS = 12346, 12345.7, 12345.68, 12345.679


def exact(session: Session) -> Session:
    """Each number of a finished session with more decimals than any is worth."""
    counts = {"frames", "frames_dropped", "blink_count", "partial_blink_count"}
    counts |= {"long_closure_count"}
    metrics = {name: 7 if name in counts else LONG for name in asdict(session.metrics)}
    columns = dict.fromkeys(asdict(BlinkColumns((), (), (), ())), (LONG,))
    return replace(
        session,
        metrics=Metrics(**metrics),
        minutes=(Minute(3, LONG, 7, LONG, LONG),),
        blinks=replace(BlinkColumns(**columns), complete=(True,)),
        fps=LONG,
    )


def test_each_number_has_its_own_decimals() -> None:
    document = rebuilt(golden("final_eyes"), exact(session_of(golden("final_eyes"))))
    assert document["camera"]["fps"] == TENTHS
    assert document["metrics"] == {
        "duration_s": TENTHS, "valid_s": TENTHS, "coverage": THOUSANDTHS,
        "frames": 7, "frames_dropped": 7, "blink_count": 7, "partial_blink_count": 7,
        "blink_rate_per_min": TENTHS, "inter_blink_interval_median_s": TENTHS,
        "blink_duration_median_ms": WHOLE, "blink_duration_p90_ms": WHOLE,
        "ear_mean": THOUSANDTHS, "ear_open": THOUSANDTHS, "perclos": THOUSANDTHS,
        "long_closure_count": 7, "longest_closure_s": TENTHS,
        "ear_open_left": THOUSANDTHS, "ear_open_right": THOUSANDTHS,
        "blink_closure_left_median": HUNDREDTHS, "blink_closure_right_median": HUNDREDTHS,
        "looking_down": THOUSANDTHS,
    }  # fmt: skip
    assert document["minutes"] == [
        {"minute": 3, "valid_s": TENTHS, "blinks": 7, "ear_mean": THOUSANDTHS,
         "perclos": THOUSANDTHS},
    ]  # fmt: skip
    assert document["blinks"] == {
        "at_s": [HUNDREDTHS], "duration_ms": [WHOLE], "amplitude": [HUNDREDTHS],
        "complete": [True], "closure_left": [HUNDREDTHS], "closure_right": [HUNDREDTHS],
    }  # fmt: skip
    assert isinstance(document["blinks"]["duration_ms"][0], int)


def test_times_are_utc_with_milliseconds_whatever_their_zone() -> None:
    berlin = timezone(timedelta(hours=1))
    assert (
        iso_utc(datetime(2026, 11, 22, 11, 0, 0, 999, tzinfo=berlin)) == "2026-11-22T10:00:00.000Z"
    )


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="expected a time with a zone"):
        iso_utc(datetime(2026, 11, 22))  # noqa: DTZ001


@pytest.mark.parametrize(
    ("name", "change"),
    [("final", {"ended_at": None}), ("final", {"ended_by": None}), ("started", {"state": "ended"})],
)
def test_an_end_that_contradicts_the_state_is_refused(name: str, change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="expected ended_at and ended_by"):
        rebuilt(golden(name) | change)
