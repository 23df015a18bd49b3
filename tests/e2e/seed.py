"""People and sessions that look like life: the same every time for the same `now`.

Everything goes in as session documents through `accept_many`, as from devices.
"""

import json
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from scripts.made_up import Document, Life, documents, gap, session

PASSWORD = "quiet-harbour-lamp"

MARTA = Life(
    "marta", "Marta", "Lindqvist", "Europe/Berlin", 13.6, 0.304, 0.017, closes=(0.82, 0.85)
)
JONAS = Life(
    "jonas", "Jonas", "Weber", "Europe/Berlin", 9.2, 0.262, 0.041, a_day=(0, 2), closes=(0.84, 0.21)
)
AMAL = Life("amal", "Amal", "Haddad", "Europe/Lisbon", 17.1, 0.331, 0.009, days=34, a_day=(0, 2))
LIVES = (MARTA, JONAS, AMAL)


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


def checked(life: Life, now: datetime) -> Document:
    """A check of the counting, five days ago; Jonas's was not passed."""
    document = session(Random(f"check {life.username}"), life, now - timedelta(days=5), minutes=1)
    found = 6 if life is JONAS else 10
    return document | {
        "check": {
            "asked": 10,
            "found": found,
            "false": 0,
            "look_down": "told_apart",
            "shut_s": 3.1,
            "passed": found == 10,
        }
    }


def under_way(life: Life, now: datetime, minutes: int = 7) -> Document:
    """A session that began some minutes ago and goes on."""
    started_at = now - timedelta(minutes=minutes)
    random = Random(f"live {life.username}")
    return session(random, life, started_at, minutes=minutes, gaps=(), state="active")


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
    document["minutes"] = [gap(each["minute"]) for each in document["minutes"]]
    document["blinks"] = {name: [] for name in document["blinks"]}
    return document


def seed(now: datetime) -> dict[str, Any]:
    """A caregiver who sees three people, and somebody who sees nobody; in Django's database.

    Answers the devices' tokens and ids, and the ids of the sessions, oldest first, all by person.
    """
    from server.care.models import CareLink, Institution, Membership
    from server.devices.models import Device, DeviceToken
    from server.session_data.accept import Writer, accept_many

    caregiver = _person("ines", "Ines", "Baumann", "Europe/Berlin")
    _person("tom", "Tom", "Novak", "Europe/Berlin")
    told: dict[str, Any] = {"tokens": {}, "sessions": {}, "devices": {}}
    for life in LIVES:
        person = _person(life.username, life.first_name, life.last_name, life.zone)
        CareLink.objects.create(caregiver=caregiver, person=person, may_control=True)
        device = Device.objects.create(person=person, label="Living room", **presence(life, now))
        told["tokens"][life.username] = DeviceToken.issue(device)
        told["devices"][life.username] = str(device.pk)
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
    if life is not AMAL:
        found.append(checked(life, now))
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
