"""Realistic made-up sessions, always the same for the same `now`.

The demo and the tests of the pages fill the history with them.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random
from statistics import median, quantiles
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

Document = dict[str, Any]


@dataclass(frozen=True)
class Life:
    """How one person's sessions are: `rate` blinks a minute, `ear` with the eyes open.

    `closes` is how far the left and the right eye close in a blink; `None`: an older device, which
    doesn't tell.
    """

    username: str
    first_name: str
    last_name: str
    zone: str
    rate: float
    ear: float
    perclos: float
    days: int = 95
    a_day: tuple[int, int] = (1, 3)
    closes: tuple[float, float] | None = None


def documents(life: Life, now: datetime) -> list[Document]:
    """A person's sessions up to the day before `now`, oldest first, with some days left out."""
    random = Random(life.username)
    zone = ZoneInfo(life.zone)
    today = now.astimezone(zone).date()
    found: list[Document] = []
    for back in range(life.days, 0, -1):
        if back % 30 in (11, 12) or random.random() < 0.06:
            continue
        day = today - timedelta(days=back)
        for hour in sorted(random.sample(range(8, 21), random.randint(*life.a_day))):
            start = datetime(day.year, day.month, day.day, hour, random.randrange(60), tzinfo=zone)
            found.append(session(random, life, start.astimezone(UTC), rate=_rate(life, back)))
    return found


def _rate(life: Life, back: int) -> float:
    """The rate so many days ago: it goes up and down over the weeks."""
    return life.rate * (1 + 0.12 * (back % 41 - 20) / 20)


def of_today(life: Life, now: datetime) -> list[Document]:
    """Two sessions of the last two hours, as far as they began on this day."""
    random, zone = Random(f"today {life.username}"), ZoneInfo(life.zone)
    starts = [now - timedelta(minutes=ago) for ago in (100, 40)]
    today = now.astimezone(zone).date()
    return [
        session(random, life, start, minutes=6, gaps=(), rate=_rate(life, 0))
        for start in starts
        if start.astimezone(zone).date() == today
    ]


def session(
    random: Random,
    life: Life,
    started_at: datetime,
    *,
    minutes: int | None = None,
    rate: float | None = None,
    fps: float = 29.8,
    gaps: tuple[int, ...] | None = None,
    state: str = "ended",
) -> Document:
    """One session of a person; `gaps` are minutes without a face."""
    length = minutes or random.choice((4, 5, 5, 6, 8, 10))
    missing = gaps if gaps is not None else ((length // 2,) if random.random() < 0.12 else ())
    pace = max(random.gauss(rate or life.rate, 1.3), 2)
    each = [
        gap(number) if number in missing else _minute(random, life, number, pace)
        for number in range(length)
    ]
    blinks = _blinks(random, each)
    over = state != "active"
    ended_at = started_at + timedelta(minutes=length)
    document = {
        "schema": 1,
        "session_id": _id(random, started_at),
        "revision": 3 + length,
        "state": state,
        "started_at": _text(started_at),
        "ended_at": _text(ended_at) if over else None,
        "ended_by": {"ended": "button", "interrupted": "power_loss"}.get(state),
        "clock": {"synchronized": True, "utc_offset_minutes": 60, "timezone": life.zone},
        "camera": {"source": "picamera2", "width": 640, "height": 480, "fps": fps},
        "metrics": _metrics(life, each, blinks, fps),
        "minutes": each,
        "agent": {"version": "1.0.0", "model": "face_landmark@1055cb9d"},
    }
    document |= {"blinks": blinks} if state == "ended" else {}
    return document if life.closes is None else _with_eyes(document, life, life.closes)


def _minute(random: Random, life: Life, number: int, pace: float) -> Document:
    seen = round(min(60.0, random.gauss(58.6, 1.2)), 1)
    return {
        "minute": number,
        "valid_s": seen,
        "blinks": max(round(random.gauss(pace, 2.2) * seen / 60), 0),
        "ear_mean": round(random.gauss(life.ear - 0.01, 0.004), 3),
        "perclos": round(max(random.gauss(life.perclos, 0.006), 0), 4),
    }


def gap(number: int) -> Document:
    return {"minute": number, "valid_s": 0.0, "blinks": None, "ear_mean": None, "perclos": None}


def _blinks(random: Random, minutes: list[Document]) -> dict[str, list[Any]]:
    at_s = sorted(
        round(60 * each["minute"] + random.uniform(0.5, 59.5), 2)
        for each in minutes
        for _ in range(each["blinks"] or 0)
    )
    amplitude = [round(min(random.gauss(0.78, 0.17), 1.0), 2) for _ in at_s]
    return {
        "at_s": at_s,
        "duration_ms": [round(min(120 + random.expovariate(1 / 85), 495)) for _ in at_s],
        "amplitude": amplitude,
        "complete": [each >= 0.7 for each in amplitude],
    }


def _metrics(
    life: Life, minutes: list[Document], blinks: dict[str, list[Any]], fps: float
) -> Document:
    seen = [each for each in minutes if each["blinks"] is not None]
    valid_s, duration_s = sum(each["valid_s"] for each in seen), 60.0 * len(minutes)
    durations, at_s = blinks["duration_ms"], blinks["at_s"]
    pauses = [late - early for early, late in pairwise(at_s)]
    long = round(valid_s / 420)
    return {
        "duration_s": duration_s,
        "valid_s": round(valid_s, 1),
        "coverage": round(valid_s / duration_s, 3),
        "frames": round(duration_s * fps),
        "frames_dropped": 3,
        "blink_count": len(at_s),
        "partial_blink_count": blinks["complete"].count(False),
        "blink_rate_per_min": round(len(at_s) / valid_s * 60, 1),
        "inter_blink_interval_median_s": round(median(pauses), 1),
        "blink_duration_median_ms": median(durations),
        "blink_duration_p90_ms": round(quantiles(durations, n=10)[-1]),
        "ear_mean": round(median(each["ear_mean"] for each in seen), 3),
        "ear_open": life.ear,
        "perclos": round(sum(each["perclos"] for each in seen) / len(seen), 4),
        "long_closure_count": long,
        "longest_closure_s": 0.7 if long else None,
    }


def _with_eyes(document: Document, life: Life, closes: tuple[float, float]) -> Document:
    """As a newer device sends it: each eye by itself, and looking down."""
    random = Random(document["session_id"])
    for side, usual in zip(("left", "right"), closes, strict=True):
        column = [
            round(min(max(random.gauss(usual, 0.08), 0), 1), 2)
            for _ in range(document["metrics"]["blink_count"])
        ]
        document["metrics"] |= {
            f"ear_open_{side}": life.ear,
            f"blink_closure_{side}_median": round(median(column), 2),
        }
        if "blinks" in document:
            document["blinks"][f"closure_{side}"] = column
    document["metrics"]["looking_down"] = round(random.uniform(0, 0.2), 3)
    document["agent"]["model"] = "face_landmark_with_attention@e06a804e"
    return document


def _id(random: Random, moment: datetime) -> str:
    """A UUIDv7 of that moment."""
    stamp = int(moment.timestamp() * 1000) << 80
    return str(UUID(int=stamp | 0x7 << 76 | 0b10 << 62 | random.getrandbits(62)))


def _text(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.000Z"
