"""Whether a document came while what it tells was happening, by the server's clock.

A device that was offline delivers days later what was under way then. Nobody is to be woken by it.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

# Seconds. A checkpoint is sent every 10 s; a device whose network stutters is a little behind.
CHECKPOINT_SLACK = timedelta(minutes=2)
# A final document may have waited for a restart of the network.
END_SLACK = timedelta(minutes=10)
# Without a believable clock: how much more may have been measured than the server has seen pass.
UNDATED_SLACK = timedelta(seconds=30)

COLUMNS = (
    "id",
    "user_id",
    "state",
    "started_at",
    "ended_at",
    "date_uncertain",
    "received_at",
    "updated_at",
    "duration_s",
)


def is_timely(session: Mapping[str, Any], slack: timedelta) -> bool:
    """Whether the newest document of a session told of what had just happened.

    By the device's clock where it can be believed: what was measured last ended when the document
    came, or up to `slack` before. Else by the server's alone: since it first heard of the session
    as much time has passed as was measured.
    """
    length = timedelta(seconds=session["duration_s"] or 0)
    came: datetime = session["updated_at"]
    if session["date_uncertain"]:
        return bool(length <= came - session["received_at"] + UNDATED_SLACK)
    told = session["ended_at"] or session["started_at"] + length
    return bool(abs(came - told) <= slack)
