"""The wall clock, which may be wrong, and the monotonic clock, which only counts seconds."""

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
_TIMEX_BYTES = 512  # more than struct timex, which is 208 bytes


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

    def timezone(self) -> str:
        """Return the name of the local time zone, such as Europe/Berlin; UTC if it is unknown."""
        named = os.environ.get("TZ", "").removeprefix(":")
        link = str(LOCALTIME.resolve()).partition("/zoneinfo/")[2]
        for name in (named, link):
            if name and _is_zone(name):
                return name
        return "UTC"

    def utc_offset_minutes(self, moment: datetime) -> int:
        """Return the offset of local time from UTC at `moment`, in minutes."""
        offset = moment.astimezone(zoneinfo.ZoneInfo(self.timezone())).utcoffset()
        return 0 if offset is None else round(offset.total_seconds() / 60)


def _is_zone(name: str) -> bool:
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def _kernel_synchronized() -> bool:
    """Ask the kernel with adjtimex(2), changing nothing. This covers chrony and ntpd too."""
    try:
        adjtimex = ctypes.CDLL(None, use_errno=True).adjtimex
    except (OSError, AttributeError):
        return False
    state: int = adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
    return state not in (-1, _TIME_ERROR)
