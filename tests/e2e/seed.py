"""People and sessions that look like life: the same every time for the same `now`.

Everything goes in as session documents through `accept_many`, as from devices.
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random
from statistics import median, quantiles
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

PASSWORD = "quiet-harbour-lamp"

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


MARTA = Life(
    "marta", "Marta", "Lindqvist", "Europe/Berlin", 13.6, 0.304, 0.017, closes=(0.82, 0.85)
)
JONAS = Life(
    "jonas", "Jonas", "Weber", "Europe/Berlin", 9.2, 0.262, 0.041, a_day=(0, 2), closes=(0.84, 0.21)
)
AMAL = Life("amal", "Amal", "Haddad", "Europe/Lisbon", 17.1, 0.331, 0.009, days=34, a_day=(0, 2))
LIVES = (MARTA, JONAS, AMAL)


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
        drift = 1 + 0.12 * (back % 41 - 20) / 20
        for hour in sorted(random.sample(range(8, 21), random.randint(*life.a_day))):
            start = datetime(day.year, day.month, day.day, hour, random.randrange(60), tzinfo=zone)
            found.append(session(random, life, start.astimezone(UTC), rate=life.rate * drift))
    return found


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
        _gap(number) if number in missing else _minute(random, life, number, pace)
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


def oddities(life: Life, now: datetime) -> list[Document]:
    """One of each kind that a page has to explain, in the days before `now`."""
    random = Random(f"odd {life.username}")
    at = [now - timedelta(days=days, hours=3) for days in range(1, 8)]
    uncertain = session(random, life, at[1], minutes=6)
    uncertain["clock"]["synchronized"] = False
    return [
        session(random, life, at[0], minutes=2),
        uncertain,
        session(random, life, at[2], minutes=5, state="interrupted"),
        _slow(session(random, life, at[3], minutes=5, fps=12.4)),
        _slow(session(random, life, at[4], minutes=5, fps=8.1)),
        _faceless(session(random, life, at[5], minutes=4)),
    ]


def of_today(life: Life, now: datetime) -> list[Document]:
    """Two finished sessions of the last hours."""
    random = Random(f"today {life.username}")
    first = session(random, life, now - timedelta(hours=3), minutes=12, gaps=(4, 5))
    first["minutes"][8] |= {"blinks": 0}
    first["minutes"][10] |= {"valid_s": 22.4, "blinks": 4}
    return [first, session(random, life, now - timedelta(minutes=70), minutes=6, gaps=())]


def under_way(life: Life, now: datetime, minutes: int = 7) -> Document:
    """A session that began some minutes ago and goes on."""
    started_at = now - timedelta(minutes=minutes)
    random = Random(f"live {life.username}")
    return session(random, life, started_at, minutes=minutes, gaps=(), state="active")


def _minute(random: Random, life: Life, number: int, pace: float) -> Document:
    seen = round(min(60.0, random.gauss(58.6, 1.2)), 1)
    return {
        "minute": number,
        "valid_s": seen,
        "blinks": max(round(random.gauss(pace, 2.2) * seen / 60), 0),
        "ear_mean": round(random.gauss(life.ear - 0.01, 0.004), 3),
        "perclos": round(max(random.gauss(life.perclos, 0.006), 0), 4),
    }


def _gap(number: int) -> Document:
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


def _slow(document: Document) -> Document:
    """As a camera of few frames a second leaves it: no durations, below ten no counts either."""
    metrics, fps = document["metrics"], document["camera"]["fps"]
    count = len(document["blinks"]["at_s"])
    document["blinks"]["duration_ms"] = [None] * count
    for name in ("blink_duration_median_ms", "blink_duration_p90_ms", "longest_closure_s"):
        metrics[name] = None
    if fps < 10:
        document["blinks"] = {name: [] for name in document["blinks"]}
        for name in (
            "blink_count",
            "partial_blink_count",
            "blink_rate_per_min",
            "long_closure_count",
            "blink_closure_left_median",
            "blink_closure_right_median",
        ):
            metrics[name] = None
        metrics["inter_blink_interval_median_s"] = None
        for each in document["minutes"]:
            each["blinks"] = None
    return document


def _faceless(document: Document) -> Document:
    """As a session leaves it in which nobody sat before the camera."""
    kept = {"duration_s", "frames", "frames_dropped"}
    document["metrics"] = {n: v if n in kept else None for n, v in document["metrics"].items()}
    document["metrics"] |= {"valid_s": 0.0, "coverage": 0.0}
    document["minutes"] = [_gap(each["minute"]) for each in document["minutes"]]
    document["blinks"] = {name: [] for name in document["blinks"]}
    return document


def _id(random: Random, moment: datetime) -> str:
    """A UUIDv7 of that moment."""
    stamp = int(moment.timestamp() * 1000) << 80
    return str(UUID(int=stamp | 0x7 << 76 | 0b10 << 62 | random.getrandbits(62)))


def _text(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.000Z"


def seed(now: datetime) -> dict[str, Any]:
    """A caregiver who sees three people, and somebody who sees nobody; in Django's database.

    Answers the devices' tokens and the ids of the sessions, oldest first, both by person.
    """
    from server.care.models import CareLink, Institution, Membership
    from server.devices.models import Device, DeviceToken
    from server.session_data.accept import Writer, accept_many

    caregiver = _person("ines", "Ines", "Baumann", "Europe/Berlin")
    _person("tom", "Tom", "Novak", "Europe/Berlin")
    told: dict[str, Any] = {"tokens": {}, "sessions": {}}
    for life in LIVES:
        person = _person(life.username, life.first_name, life.last_name, life.zone)
        CareLink.objects.create(caregiver=caregiver, person=person, may_control=True)
        device = Device.objects.create(person=person, label="Living room", **presence(life, now))
        told["tokens"][life.username] = DeviceToken.issue(device)
        sent = everything(life, now)
        answers = accept_many([(Writer(person, device), document) for document in sent])
        assert {answer.outcome for answer in answers} == {"stored"}, answers
        told["sessions"][life.username] = [answer.session_id for answer in answers]
    _arrive_in_time()
    home = Institution.objects.create(name="Haus am See")
    Membership.objects.create(institution=home, person=caregiver, role="admin")
    Membership.objects.create(institution=home, person=_person("marie", "Marie", "", "UTC"))
    return told


def presence(life: Life, now: datetime) -> dict[str, Any]:
    """What a device last said of itself: Jonas's lost its network hours ago."""
    if life is JONAS:
        heard = now - timedelta(hours=3)
        return {"online": False, "last_seen_at": heard, "status_at": heard, "pending_sessions": 2}
    return {"online": True, "last_seen_at": now, "status_at": now, "pending_sessions": 0}


def _arrive_in_time() -> None:
    """Those of an uncertain date arrived when they were over, not all of them just now."""
    from server.session_data.models import SessionData

    for row in SessionData.objects.filter(date_uncertain=True):
        row.received_at, row.local_day = row.ended_at, row.ended_at.date()
        row.save(update_fields=["received_at", "local_day"])


def everything(life: Life, now: datetime) -> list[Document]:
    """All of a person's sessions, oldest first."""
    found = documents(life, now)
    if life is JONAS:
        found += oddities(life, now)
    found += [under_way(life, now)] if life is AMAL else of_today(life, now)
    return sorted(found, key=lambda document: str(document["started_at"]))


def _person(username: str, first_name: str, last_name: str, zone: str) -> Any:
    from server.care.models import Person

    return Person.objects.create_user(
        username, password=PASSWORD, first_name=first_name, last_name=last_name, timezone=zone
    )


def main() -> None:
    """Make the database of the environment, fill it, and print what was made as JSON."""
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    print(json.dumps(seed(datetime.now(UTC))))  # noqa: T201


if __name__ == "__main__":
    main()
