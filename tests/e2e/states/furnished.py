"""What the seeded people lack for every state of every page:  python -m tests.e2e.states.furnished

It is added to the database of the environment. Codes and ids that the pages need are printed.
"""

import json
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from tests.e2e.seed import PASSWORD

LANGUAGES = ("en", "de")


def alerts(now: datetime) -> dict[str, str]:
    """Ines has one rule of each kind about Jonas, an open alert, and a past one about Marta.

    Return the token of the link in the message about the open one.
    """
    from django.core import signing

    from server.alerts.handling.links import SALT
    from server.alerts.judge import judge
    from server.alerts.models import Alert, Delivery, Kind, Notice, Receiver, Rule, Way, Why
    from server.care.models import CareLink, Person

    people = {person.username: person for person in Person.objects.all()}
    ines, jonas, marta = people["ines"], people["jonas"], people["marta"]
    CareLink.objects.filter(caregiver=ines).update(may_get_alerts=True)
    long_ago = now - timedelta(days=3)
    limits: dict[Kind, dict[str, Any]] = {
        Kind.DEVICE_SILENT: {"minutes": 60},
        Kind.NO_SESSION: {"by": "12:00", "weekdays": "12345"},
        Kind.LONG_CLOSURES: {"closures": 500, "closure_s": 30.0},
        Kind.BLINK_RATE: {"spread": 2.0},
        Kind.PERCLOS: {"spread": 2.0},
    }
    for kind, limit in limits.items():
        Rule.objects.create(
            receiver=ines,
            person=jonas,
            kind=kind,
            **limit,
            created_at=long_ago,
            changed_at=long_ago,
        )
    for _ in range(2):  # the first pass can't say how long a device has been silent
        judge(now)
    Alert.objects.create(
        receiver=ines,
        person=marta,
        kind=Kind.NO_SESSION,
        cause="past",
        measured={"by": "12:00", "day": long_ago.date().isoformat()},
        opened_at=long_ago,
        resolved_at=long_ago + timedelta(hours=5),
        why=Why.CLEARED,
    )
    Receiver.objects.create(person=ines, by_email=True, email="ines.baumann@example.org")
    Receiver.objects.create(
        person=marta,
        by_email=True,
        email="marta@example.org",
        confirmed_email="marta@example.org",
        webhook_url="https://example.org/a/long/address/of/a/webhook",
    )
    message = Delivery.objects.create(
        alert=Alert.objects.get(resolved_at=None),
        notice=Notice.OPENED,
        way=Way.EMAIL,
        attempts=1,
        created_at=long_ago,
        problem="the mail server refused it",
    )
    return {"alert_link": signing.dumps(message.pk, salt=SALT)}


def devices(now: datetime) -> dict[str, Any]:
    """Marta's other devices, codes that were used and that expired, and what the server refused."""
    from server.care.models import Person
    from server.devices.models import ClaimCode, DeadLetter, Device, DeviceToken

    marta = Person.objects.get(username="marta")
    mine = Device.objects.get(person=marta)
    mine.agent_version = "0.1.0"
    mine.save(update_fields=["agent_version"])
    blocked = Device.objects.create(person=marta, label="Cellar", revoked_at=now)
    new = Device.objects.create(person=marta, label="Winter garden")
    ended = Device.objects.create(person=marta, label="Loft", credentials_ended=True)
    for device in (new, ended):
        DeviceToken.issue(device)
    DeadLetter.objects.create(
        device=mine,
        person=marta,
        sender=str(mine.pk),
        door="http",
        reason="metrics.blink_count: expected a whole number from 0 on, found -1",
        size=100,
        payload="{}",
    )
    arrived, _ = ClaimCode.issue(person=marta, label="Winter garden", made_by=marta)
    ClaimCode.objects.filter(pk=arrived.pk).update(used_at=now, device=new)
    gone, _ = ClaimCode.issue(person=marta, label="Cellar", made_by=marta)
    ClaimCode.objects.filter(pk=gone.pk).update(used_at=now, device=blocked)
    expired, _ = ClaimCode.issue(person=marta, label="Attic", made_by=marta)
    ClaimCode.objects.filter(pk=expired.pk).update(expires_at=now - timedelta(minutes=1))
    return {
        "blocked": str(blocked.pk),
        "ended": str(ended.pk),
        "code_arrived": arrived.pk,
        "code_gone": gone.pk,
        "code_expired": expired.pk,
    }


def checks(now: datetime) -> dict[str, str]:
    """Checks of Marta's counting that were asked for: just now, long ago, and one that came."""
    from server.care.models import Person
    from server.devices.models import Command, CommandName, Device
    from server.session_data.models import SessionData, State

    marta = Person.objects.get(username="marta")
    device = Device.objects.get(person=marta, label="Living room")
    done = SessionData.objects.filter(user=marta, state=State.CHECK).values_list("pk", flat=True)[0]
    asked = {
        "check_asked": (uuid4(), now + timedelta(days=1)),  # a state that lasts for the test
        "check_late": (uuid4(), now - timedelta(minutes=10)),
        "check_done": (done, now - timedelta(minutes=10)),
    }
    for session_id, at in asked.values():
        Command.objects.create(
            device=device,
            person=marta,
            asked_by=marta,
            asked_by_name="marta",
            command=CommandName.CHECK,
            session_id=session_id,
            asked_at=at,
            expires_at=at,
        )
    return {name: str(session_id) for name, (session_id, _) in asked.items()}


def notes(now: datetime) -> dict[str, str]:
    """Notes of each kind about Marta, in the last days, and one that Ines wrote on a session."""
    from server.care.models import Person
    from server.notes import write
    from server.notes.models import Kind
    from server.session_data.models import SessionData

    marta, ines = (Person.objects.get(username=name) for name in ("marta", "ines"))
    for n, kind in enumerate(Kind.values):
        given = {"kind": kind, "text": "Timolol 0.5 %, one drop in the left eye, as every evening"}
        at = now - timedelta(days=2 + n // 2, hours=n)
        shared = write.add(marta, marta, None, given | {"at": at, "shared": n != 1})
    last = SessionData.objects.filter(user=marta, state="ended").order_by("-started_at")[0].pk
    write.add(ines, marta, last, {"kind": "text", "text": "W" * 200})
    return {"note": str(shared.pk)}


def odd_sessions() -> dict[str, str]:
    """The ids of Jonas's sessions of which a page has to explain something."""
    from server.session_data.models import SessionData

    ended = SessionData.objects.filter(user__username="jonas").order_by("-started_at")
    found = {
        "uncertain": ended.filter(date_uncertain=True),
        "interrupted": ended.filter(state="interrupted"),
        "slow": ended.filter(fps__lt=15, fps__gte=10),
        "slower": ended.filter(fps__lt=10),
        "faceless": ended.filter(coverage=0),
        "short": ended.filter(valid_s__gt=0, valid_s__lt=180, state="ended"),
    }
    return {
        f"jonas_{name}": str(rows.values_list("pk", flat=True)[0]) for name, rows in found.items()
    }


def accounts(now: datetime) -> dict[str, Any]:
    """Apps, invitations, an account that waits for its owner, and one with a second factor."""
    from django_otp.plugins.otp_totp.models import TOTPDevice

    from server.care import second_factor
    from server.care.asking import requests
    from server.care.models import (
        Activation,
        Institution,
        Invitation,
        Membership,
        Person,
        PersonToken,
        TokenEnd,
    )

    ines, marta, jonas = (Person.objects.get(username=n) for n in ("ines", "marta", "jonas"))
    PersonToken.issue(marta, name="Spreadsheet of the clinic", expires_at=now + timedelta(days=5))
    PersonToken.issue(marta, name="Phone")
    PersonToken.issue(marta, name="Old phone")
    PersonToken.objects.filter(name="Old phone").update(
        revoked_at=now, ended_why=TokenEnd.LOGGED_OUT
    )
    _, invitation = Invitation.issue(person=marta, name="Tom from next door", may_see_history=True)
    Invitation.issue(person=marta, may_see_history=True, may_control=True)
    TOTPDevice.objects.create(user=jonas, name="app", confirmed=True)
    codes = second_factor.new_recovery_codes(jonas)
    home = Institution.objects.get()
    otto = Person.objects.create_user(username="otto", first_name="Otto", last_name="Brandt")
    Membership.objects.create(institution=home, person=otto)
    Membership.objects.create(institution=home, person=marta)
    marie = Person.objects.get(username="marie")
    requests.ask(marie, home, "marta", ["history", "alerts"], "I look after you on weekends.")
    activation = Activation.issue(person=otto, made_by=ines)[1]
    leaving = [f"leaving-{number}" for number in range(8)]  # who delete their accounts
    for name in leaving:
        Person.objects.create_user(name, password=PASSWORD, timezone="UTC")
    return {
        "invitation": invitation,
        "activation": activation,
        "recovery_codes": codes,
        "leaving": leaving,
    }


def errors() -> dict[str, dict[str, str]]:
    """The pages of errors in each language, which nobody reaches on purpose."""
    from django.template.loader import render_to_string
    from django.utils import translation

    pages = ("400", "403", "403_csrf", "404", "429", "500", "503")
    found: dict[str, dict[str, str]] = {}
    for language in LANGUAGES:
        with translation.override(language):
            found[language] = {name: render_to_string(f"{name}.html") for name in pages}
    return found


def main() -> None:
    """Add all of it."""
    import django

    django.setup()
    from django.utils import timezone

    now = timezone.now()
    made = alerts(now) | devices(now) | checks(now) | notes(now) | odd_sessions() | accounts(now)
    print(json.dumps(made | {"errors": errors()}))  # noqa: T201


if __name__ == "__main__":
    main()
