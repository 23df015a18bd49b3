"""The wall clock, which may be wrong, and the monotonic clock, which only counts seconds."""

import ctypes
import os
import time
import zoneinfo
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

TIMESYNC_FLAG = Path("/run/systemd/timesync/synchronized")  # systemd-timesyncd(8)
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
LOCALTIME = Path("/etc/localtime")
TIMEZONE = Path("/etc/timezone")  # Debian's copy of the name

# What zoneinfo finds beside the zones: the time of the machine that reads it, the unset time, and
# copies of the zones in folders. No such name may go into a document.
_NO_ZONES = ("localtime", "Factory", "posixrules", "posix/", "right/")

_TIME_ERROR = 5  # adjtimex(2): the clock is not synchronised
_TIMEX_BYTES = 512  # more than struct timex, which is 208 bytes


@dataclass(frozen=True, slots=True)
class Zone:
    """The local time zone. `name` is None if no known name has the offsets of the system.

    `guessed` is whether the system does not say the name itself.
    """

    name: str | None
    guessed: bool


@dataclass(frozen=True, slots=True)
class Clock:
    """Both clocks of this machine. Tests pass in their own.

    With `trusted`, the wall clock is believed without a time service.
    """

    trusted: bool = field(default=False, kw_only=True)

    def now(self) -> datetime:
        """Return the wall clock's time, in UTC."""
        return datetime.now(UTC)

    def monotonic_s(self) -> float:
        """Return the monotonic clock's time, in seconds since an arbitrary moment of this boot."""
        return time.monotonic()

    def synchronized(self) -> bool:
        """Return whether the wall clock is trusted, or reported as synchronised by the time service
        or the kernel."""
        return self.trusted or TIMESYNC_FLAG.exists() or _kernel_synchronized()

    def boot_id(self) -> str:
        """Return the id of this boot. Monotonic times of different boots can't be compared."""
        try:
            return BOOT_ID.read_text().strip()
        except OSError:
            return "unknown"

    def timezone(self) -> str | None:
        """Return the name of the local time zone, such as Europe/Berlin; None if it has none."""
        return self.zone().name

    def zone(self) -> Zone:
        """Return the zone that the system uses: that of TZ, else of /etc/localtime.

        A name is believed only if it has the system's offsets for a year. /etc/localtime may be a
        copy of a zone's file, and TZ a path or a rule such as CET-1CEST: these have no name.
        """
        time.tzset()  # the zone may have been changed since this process began
        months = _months(self.now())
        for name, guessed in _names():
            if _has_offsets(name, months):
                return Zone(name, guessed)
        return Zone(None, guessed=True)

    def utc_offset_minutes(self, moment: datetime) -> int:
        """Return the system's offset of local time from UTC at `moment`, in minutes."""
        time.tzset()
        return round(_offset(moment).total_seconds() / 60)

    def zone_facts(self, moment: datetime) -> dict[str, int | str | None]:
        """Return a session document's facts about the zone: its name, and the offset at `moment`.

        Without a name, a server goes by the offset.
        """
        return {
            "utc_offset_minutes": self.utc_offset_minutes(moment),
            "timezone": self.timezone(),
        }


def _names() -> list[tuple[str, bool]]:
    """Return the names that the zone may have, each with whether it is a guess."""
    named = os.environ.get("TZ")
    if named is None:
        return [(_name_of(LOCALTIME), False), (_debian_name(), True), ("UTC", True)]
    named = named.removeprefix(":")
    return [(named or "UTC", False), (_name_of(Path(named)), False), ("UTC", True)]


def _name_of(path: Path) -> str:
    """Return the name of the zone whose file `path` is or links to; empty if it is elsewhere."""
    try:
        name = str(path.resolve()).partition("/zoneinfo/")[2]
    except (OSError, RuntimeError):  # links in a circle
        return ""
    return name.removeprefix("posix/").removeprefix("right/")  # the same zones once more


def _debian_name() -> str:
    try:
        return TIMEZONE.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _months(now: datetime) -> list[datetime]:
    """Return moments of the year around `now`, summer and winter among them."""
    return [now + timedelta(days=30 * month) for month in range(-6, 7)]


def _has_offsets(name: str, moments: Sequence[datetime]) -> bool:
    """Return whether there is a zone called `name`, with the system's offsets at `moments`."""
    if name.startswith(_NO_ZONES):
        return False
    try:
        zone = zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return all(moment.astimezone(zone).utcoffset() == _offset(moment) for moment in moments)


def _offset(moment: datetime) -> timedelta:
    return moment.astimezone().utcoffset() or timedelta()


def _kernel_synchronized() -> bool:
    """Ask the kernel with adjtimex(2), changing nothing. This covers chrony and ntpd too."""
    try:
        adjtimex = ctypes.CDLL(None, use_errno=True).adjtimex
    except (OSError, AttributeError):
        return False
    state: int = adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
    return state not in (-1, _TIME_ERROR)
