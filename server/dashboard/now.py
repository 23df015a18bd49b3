"""A person's live status: devices, running sessions, and the newest command."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from hashlib import blake2s

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from server.care.models import Permission, Person
from server.common.words import clock, day_name, roughly
from server.dashboard import read
from server.dashboard.marks import Mark, marks_of
from server.dashboard.metrics import BLINK_RATE, MEASURED, PERCLOS, Reading, Text, reading
from server.dashboard.rows import SessionRow
from server.devices.models import Command, CommandName, Device
from server.session_data.activity.words import NAMES
from server.session_data.commands.ask import outcome

HIGHLIGHTS = (BLINK_RATE, PERCLOS, MEASURED)
# For a connected device, "last seen" is shown only after this time.
A_WHILE = timedelta(minutes=3)
# How long the result of a command stays on the page.
ASKED_LATELY = timedelta(minutes=3)
# Seconds between two refreshes: while something is running, and otherwise.
OFTEN_S, SELDOM_S = 5, 30


@dataclass(frozen=True)
class DeviceState:
    """A device on the page. `may_start` is whether to show a start button."""

    device: Device
    mark: Mark | None
    words: str
    pending: str
    may_start: bool

    @property
    def needs_a_look(self) -> bool:
        """Whether the device is not connected, or has something to send."""
        return self.device.is_online is False or bool(self.pending)


@dataclass(frozen=True)
class RunningSession:
    """A running session. `may_stop` is whether to show a stop button."""

    row: SessionRow
    since: str
    marks: Sequence[Mark]
    readings: Sequence[Reading]
    may_stop: bool

    @property
    def aim(self) -> str:
        """What to do if the session is badly aimed, or nothing. Reads the document."""
        return read.aim_of(self.row.id)


@dataclass(frozen=True)
class Asked:
    """The outcome of the newest command. `kind` is the CSS class, `session` the one concerned."""

    kind: str
    words: str
    session: str | None
    waiting: bool


@dataclass(frozen=True)
class Now:
    """The live panel."""

    devices: Sequence[DeviceState]
    sessions: Sequence[RunningSession]
    asked: Asked | None

    @property
    def activities(self) -> Iterable[tuple[str, Text]]:
        """The activities to choose from at a start."""
        return NAMES.items()

    @property
    def is_silent(self) -> bool:
        """Whether a device is not connected."""
        return bool(self.silent)

    @property
    def silent(self) -> Sequence[Device]:
        """The devices that are not connected."""
        return [each.device for each in self.devices if each.device.is_online is False]

    @property
    def version(self) -> str:
        """A short hash that changes with the content."""
        said = [
            *((each.device.pk, each.mark, each.words, each.pending) for each in self.devices),
            *((each.row.id, each.row.heard_at, each.marks) for each in self.sessions),
            *(each.may_start for each in self.devices),
            *(each.may_stop for each in self.sessions),
            self.asked,
        ]
        return blake2s(repr(said).encode(), digest_size=8).hexdigest()

    @property
    def every(self) -> int:
        """Seconds until the next refresh."""
        return OFTEN_S if self.sessions or (self.asked and self.asked.waiting) else SELDOM_S


def now_of(
    person: Person, given: Collection[Permission], rows: Sequence[SessionRow], now: datetime
) -> Now:
    """Return the live panel, as far as permissions are `given`; `rows` are the active sessions."""
    if Permission.LIVE not in given:
        return Now((), (), None)
    zone, may_control = person.zone, Permission.CONTROL in given
    devices = read.devices_of([person]).get(person.pk, [])
    today = now.astimezone(zone).date()
    busy = {row.device_id for row in rows if not row.silent_for(now)}
    return Now(
        devices=[device_state(each, now, may_control and each.pk not in busy) for each in devices],
        sessions=[_under_way(row, devices, today, now, may_control) for row in rows],
        asked=_asked(person, zone, now) if may_control else None,
    )


def device_state(device: Device, now: datetime, may_control: bool = False) -> DeviceState:
    """Return the state of a device, as last reported by the device and the broker."""
    waiting = device.pending_sessions or 0
    pending = ngettext(
        "%(n)d unsent session",
        "%(n)d unsent sessions",
        waiting,
    ) % {"n": waiting}
    return DeviceState(
        device=device,
        mark=_presence(device),
        words=_seen(device, now),
        pending=pending if waiting else "",
        may_start=may_control and device.is_online is True,
    )


def _presence(device: Device) -> Mark | None:
    if device.is_online is None:  # it uses no broker or never connected to one
        return None
    return (
        Mark("good", _("connected"), "")
        if device.is_online
        else Mark("silent", _("not connected"), "")
    )


def _seen(device: Device, now: datetime) -> str:
    if device.last_seen_at is None:
        return _("Not seen yet")
    ago = now - device.last_seen_at
    if device.is_online and ago < A_WHILE:
        return ""
    if ago < timedelta(minutes=1):
        return _("Last seen just now")
    return _("Last seen %(time)s ago") % {"time": roughly(ago)}


def _under_way(
    row: SessionRow, devices: Sequence[Device], today: date, now: datetime, may_control: bool
) -> RunningSession:
    theirs = {device.pk for device in devices}
    return RunningSession(
        row=row,
        since=since_words(row, today),
        marks=marks_of(row, now),
        readings=[reading(metric, row.values, row.fps, active=True) for metric in HIGHLIGHTS],
        may_stop=may_control and row.device_id in theirs and not row.silent_for(now),
    )


def since_words(row: SessionRow, today: date) -> str:
    """Return `"Session running since 10:15"`, with the day unless it is today."""
    words = {"day": day_name(row.day, today), "clock": clock(row.placed_at, row.zone)}
    if row.day == today:
        return _("Session running since %(clock)s") % words
    return _("Session running since %(day)s, %(clock)s") % words


def _asked(person: Person, zone: tzinfo, now: datetime) -> Asked | None:
    """Return the newest recent command to one of the person's devices."""
    lately = Command.objects.filter(person=person, asked_at__gt=now - ASKED_LATELY)
    lately = lately.exclude(command__in=(CommandName.AIM, CommandName.CHECK))
    command = lately.select_related("device").first()
    if command is None:
        return None
    became = outcome(command)
    kinds = {"sent": "", "obeyed": "success", "expired": "warning", "failed": "error"}
    session = str(command.session_id) if became == "obeyed" else None
    words = _words(command, became) % {
        "device": command.device.label,
        "clock": clock(command.asked_at, zone),
    }
    return Asked(kinds[became], words, session, became == "sent")


def _words(command: Command, became: str) -> str:
    is_start = command.command == CommandName.START
    said: Mapping[str, str] = {
        "sent": _("Start request sent to %(device)s at %(clock)s. Waiting for a response …")
        if is_start
        else _("Stop request sent to %(device)s at %(clock)s. Waiting for a response …"),
        "obeyed": _("%(device)s has started a session.")
        if is_start
        else _("%(device)s has stopped the session."),
        "expired": _(
            "%(device)s did not respond in time. If it has started a session, the session "
            "appears here when its data arrives."
        )
        if is_start
        else _("%(device)s did not respond in time. The session may still be running."),
        "failed": _("%(device)s is not connected. Use the device's button.")
        if "not connected" in command.problem
        else _("The server can't reach %(device)s. Use the device's button."),
    }
    return said[became]
