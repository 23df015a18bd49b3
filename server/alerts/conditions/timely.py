"""Check whether a document arrived while its events were happening, by the server's clock.

A device that was offline may deliver days later. Such old events must not alert anybody.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

# A checkpoint is sent every 10 s; with a poor network it arrives a little late.
CHECKPOINT_SLACK = timedelta(minutes=2)
# A final document may have waited for a restart of the network.
END_SLACK = timedelta(minutes=10)
# If the device's clock is wrong: how much longer the measured time may be than the time since the
# server first received the session.
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
    """Return whether the newest document of a session arrived in time.

    With a reliable device clock: the measured time must end within `slack` of the document's
    arrival. Otherwise the measured time must not exceed the time since the server first received
    the session.
    """
    length = timedelta(seconds=session["duration_s"] or 0)
    came: datetime = session["updated_at"]
    if session["date_uncertain"]:
        return bool(length <= came - session["received_at"] + UNDATED_SLACK)
    told = session["ended_at"] or session["started_at"] + length
    return bool(abs(came - told) <= slack)
