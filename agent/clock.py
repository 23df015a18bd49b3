"""The two clocks: the wall's, which may be wrong, and the monotonic one, which only counts."""

import ctypes
import os
import time
import zoneinfo
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

TIMESYNC_FLAG = Path("/run/systemd/timesync/synchronized")  # systemd-timesyncd(8)
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
LOCALTIME = Path("/etc/localtime")

_TIME_ERROR = 5  # adjtimex(2): the clock is not synchronised
_TIMEX_BYTES = 512  # struct timex is 208 bytes; the kernel fills it in


@dataclass(frozen=True, slots=True)
class Clock:
    """Both clocks of this machine. Tests pass their own.

    With `trusted` the wall clock is believed without a time service.
    """

    trusted: bool = field(default=False, kw_only=True)

    def now(self) -> datetime:
        """The wall clock, in UTC."""
        return datetime.now(UTC)

    def monotonic_s(self) -> float:
        """Seconds since some moment of this boot."""
        return time.monotonic()

    def synchronized(self) -> bool:
        """Whether the wall clock can be believed: the time service, or the kernel, says so."""
        return self.trusted or TIMESYNC_FLAG.exists() or _kernel_synchronized()

    def boot_id(self) -> str:
        """Which boot this is: monotonic times of another boot mean nothing."""
        try:
            return BOOT_ID.read_text().strip()
        except OSError:
            return "unknown"

    def timezone(self) -> str:
        """The zone's name, as Europe/Berlin; UTC where it can't be known."""
        named = os.environ.get("TZ", "").removeprefix(":")
        link = str(LOCALTIME.resolve()).partition("/zoneinfo/")[2]
        for name in (named, link):
            if name and _is_zone(name):
                return name
        return "UTC"

    def utc_offset_minutes(self, moment: datetime) -> int:
        """Local time's distance from UTC at `moment`."""
        offset = moment.astimezone(zoneinfo.ZoneInfo(self.timezone())).utcoffset()
        return 0 if offset is None else round(offset.total_seconds() / 60)


def _is_zone(name: str) -> bool:
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def _kernel_synchronized() -> bool:
    """Asks adjtimex(2) with no change wanted: it answers for chrony and ntpd as well."""
    try:
        adjtimex = ctypes.CDLL(None, use_errno=True).adjtimex
    except (OSError, AttributeError):
        return False
    state: int = adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
    return state not in (-1, _TIME_ERROR)
