"""The tables of an export and all their columns: the one place that says what is in the files."""

from django.utils.translation import gettext_lazy as _

from server.session_data.export.column_types import (
    DATE_UNCERTAIN,
    NOT_FOUND,
    NOT_MEASURED,
    OLDER_DEVICE,
    UNKNOWN,
    Column,
    Kind,
    Table,
    Text,
    metric,
)
from server.session_data.export.fhir import COMPONENTS
from server.session_data.models import METRICS
from server.session_data.serializers import (
    MAX_MINUTES,
    MAX_REVISION,
    BlinksSerializer,
    CameraSerializer,
    CheckSerializer,
    ClockSerializer,
    MetricsSerializer,
    MinuteSerializer,
)
from server.session_data.summary.statistics import WAYS

# These are missing in the documents of older devices.
NEWER = METRICS[METRICS.index("ear_open_left") :]

MEANINGS: dict[str, Text] = {
    "duration_s": _("Time from the first frame to the last"),
    "valid_s": _("Time in which a face could be measured. Rates and shares refer to it"),
    "coverage": _("valid_s divided by duration_s"),
    "frames": _("Frames that were measured"),
    "frames_dropped": _("Frames of the camera that could not be measured"),
    "blink_count": _("Blinks, complete and partial, without long closures"),
    "partial_blink_count": _("Those of the blinks that were partial"),
    "blink_rate_per_min": _("Blinks per minute of valid time"),
    "inter_blink_interval_median_s": _("Median time between the starts of two blinks in a row"),
    "blink_duration_median_ms": _("Median duration of a blink, at half its depth"),
    "blink_duration_p90_ms": _("The duration that nine of ten blinks do not exceed"),
    "ear_mean": _("Mean eye aspect ratio: the height of an eye divided by its width"),
    "ear_open": _("Mean eye aspect ratio of the open eyes"),
    "perclos": _("PERCLOS: share of valid time with the eyes at least 80 % closed"),
    "long_closure_count": _("Closures of 500 ms and more"),
    "longest_closure_s": _("The longest of the long closures"),
    "ear_open_left": _("Mean eye aspect ratio of the open left eye"),
    "ear_open_right": _("Mean eye aspect ratio of the open right eye"),
    "blink_closure_left_median": _("How far the left eye closes in a blink: median, 1 is closed"),
    "blink_closure_right_median": _("How far the right eye closes in a blink: median, 1 is closed"),
    "looking_down": _("Share of valid time spent looking down"),
}

USER = Column(
    "user",
    Kind.TEXT,
    _("User name of the person measured, or a pseudonym"),
    "server",
)
OFFSET = metric(
    "utc_offset_minutes",
    _("Offset of local time from UTC at the start of the session"),
    UNKNOWN,
    ClockSerializer(),
    "clock",
    "min",
)
SESSION_ID = Column("session_id", Kind.ID, _("The session: id in the table sessions"), "session_id")


def _metric_columns() -> tuple[Column, ...]:
    checked = MetricsSerializer()
    return tuple(
        metric(
            name, MEANINGS[name], OLDER_DEVICE if name in NEWER else NOT_MEASURED, checked,
            "metrics",
        )
        for name in METRICS
    )  # fmt: skip


SESSIONS = Table(
    "sessions",
    _("One finished session"),
    (
        Column("id", Kind.ID, _("The session"), "session_id"),
        Column("local_day", Kind.DAY, _("Local day on which the session ended"), "server"),
        Column("started_at", Kind.INSTANT, _("Start, by the device's clock"), "started_at"),
        Column("ended_at", Kind.INSTANT, _("End, by the device's clock"), "ended_at", UNKNOWN),
        Column(
            "timezone", Kind.TEXT, _("Time zone of the session's day"), "clock.timezone", UNKNOWN
        ),
        OFFSET,
        Column(
            "date_uncertain",
            Kind.FLAG,
            _("The device's clock was not set: local_day is the day of arrival"),
            "server",
        ),
        Column(
            "short", Kind.FLAG, _("Less than three minutes are valid: too few for a rate"), "server"
        ),
        Column(
            "state",
            Kind.TEXT,
            _("ended, or interrupted: the session has what was measured until then"),
            "state",
        ),
        Column("ended_by", Kind.TEXT, _("What ended the session"), "ended_by", UNKNOWN),
        Column(
            "device",
            Kind.TEXT,
            _("Label of the device"),
            "server",
            _("No device, a deleted device, or pseudonyms"),
        ),
        *_metric_columns(),
        metric(
            "fps",
            _("Frames per second that the camera delivered"),
            NOT_MEASURED,
            CameraSerializer(),
            "camera",
            "1/s",
        ),
        Column(
            "agent_version",
            Kind.TEXT,
            _("Version of the device's software"),
            "agent.version",
            UNKNOWN,
        ),
        Column(
            "revision",
            Kind.INTEGER,
            _("Revision of the session document; a higher one replaces a lower one"),
            "revision",
            low=1,
            high=MAX_REVISION,
        ),
        Column("received_at", Kind.INSTANT, _("First arrival, by the server's clock"), "server"),
        Column(
            "quality",
            Kind.WORDS,
            _("Flags that limit the numbers, such as low_coverage; empty without any"),
            "quality",
        ),
        USER,
        Column(
            "device_id",
            Kind.ID,
            _("The device"),
            "server",
            _("No device, or a deleted device"),
        ),
        Column(
            "reminders",
            Kind.INTEGER,
            _("How often the device's light asked for blinks"),
            "reminders.at_s",
            low=0,
            high=MAX_MINUTES,
        ),
        Column(
            "reminder_rate_after_per_min",
            Kind.NUMBER,
            _("Median blink rate in the three valid minutes after the light asked"),
            "reminders.rate_after_per_min",
            _("The light did not ask, or the rate after is not known"),
            "{blink}/min",
            0,
            10_000,
        ),
        Column(
            "activity",
            Kind.TEXT,
            _("What the person did: reading, screen, talking, eating, resting or other"),
            "activity",
            _("Not known, or none of these"),
        ),
        Column(
            "activity_chosen",
            Kind.FLAG,
            _("Whether a person chose the activity afterwards; else it is the device's"),
            "server",
        ),
    ),
)

_minute = MinuteSerializer()
MINUTES = Table(
    "minutes",
    _("One minute of a finished session"),
    (
        SESSION_ID,
        USER,
        metric("minute", _("Minute of the session, from 0"), "", _minute, "minutes"),
        Column(
            "started_at",
            Kind.INSTANT,
            _("Start of the minute: start of the session plus 60 s for each minute"),
            "server",
            DATE_UNCERTAIN,
        ),
        OFFSET,
        metric("valid_s", _("Valid time of the minute"), NOT_MEASURED, _minute, "minutes", "s"),
        metric("blinks", _("Blinks in the minute"), NOT_MEASURED, _minute, "minutes", "blinks"),
        metric("ear_mean", MEANINGS["ear_mean"], NOT_MEASURED, _minute, "minutes", "1"),
        metric("perclos", MEANINGS["perclos"], NOT_MEASURED, _minute, "minutes", "1"),
    ),
)

_blinks = BlinksSerializer()
BLINKS = Table(
    "blinks",
    _("One blink of a finished session"),
    (
        SESSION_ID,
        USER,
        Column(
            "blink", Kind.INTEGER, _("Number of the blink in its session, from 0"), "server", low=0
        ),
        metric("at_s", _("Time since the start of the session"), "", _blinks, "blinks", "s"),
        Column(
            "at",
            Kind.INSTANT,
            _("Time of the blink: start of the session plus at_s"),
            "server",
            DATE_UNCERTAIN,
        ),
        OFFSET,
        metric(
            "duration_ms",
            _("Duration of the blink, at half its depth"),
            NOT_MEASURED,
            _blinks,
            "blinks",
            "ms",
        ),
        metric(
            "amplitude",
            _("Depth of the blink as a share of the person's usual depth"),
            NOT_MEASURED,
            _blinks,
            "blinks",
            "1",
        ),
        metric("complete", _("Whether the blink was complete"), NOT_MEASURED, _blinks, "blinks"),
        metric(
            "closure_left",
            _("How far the left eye closed; 1 is closed"),
            OLDER_DEVICE,
            _blinks,
            "blinks",
            "1",
        ),
        metric(
            "closure_right",
            _("How far the right eye closed; 1 is closed"),
            OLDER_DEVICE,
            _blinks,
            "blinks",
            "1",
        ),
    ),
)

DAY_COUNTS: dict[str, Text] = {
    "sessions": _("Finished sessions of the day"),
    "short": _("Those of them with less than three valid minutes; medians leave them out"),
    "uncertain": _("Those of them with an uncertain date; all values leave them out"),
    "interrupted": _("Those of them that were interrupted"),
}
DAY_MEANINGS: dict[str, Text] = {
    "duration_s": _("Sum over the sessions of the day: their length"),
    "valid_s": _("Sum over the sessions of the day: their valid time"),
    "coverage": _("Valid time of the day divided by the length of its sessions"),
    "long_closure_count": _("Sum over the sessions of the day: closures of 500 ms and more"),
    "blink_rate_per_min": _("Median over the sessions of the day: blinks per minute"),
    "ear_mean": _("Median over the sessions of the day: mean eye aspect ratio"),
    "perclos": _("Median over the sessions of the day: PERCLOS"),
    "blink_closure_left_median": _("Median over the sessions of the day: closure of the left eye"),
    "blink_closure_right_median": _(
        "Median over the sessions of the day: closure of the right eye"
    ),
}


def _day_column(name: str) -> Column:
    unit = COMPONENTS[name][1]
    null = NOT_MEASURED
    return Column(name, Kind.NUMBER, DAY_MEANINGS[name], "server", null, unit, 0)


DAYS = Table(
    "days",
    _("One local day, with or without sessions"),
    (
        Column("day", Kind.DAY, _("The local day"), "server"),
        *(
            Column(name, Kind.INTEGER, meaning, "server", low=0)
            for name, meaning in DAY_COUNTS.items()
        ),
        _day_column("duration_s"),
        *(_day_column(name) for name in WAYS),
        USER,
    ),
)

_check = CheckSerializer()
CHECKS = Table(
    "checks",
    _("One check of the counting"),
    (
        Column("session_id", Kind.ID, _("The check"), "session_id"),
        USER,
        Column("local_day", Kind.DAY, _("Local day on which the check ended"), "server"),
        *(column for column in SESSIONS.columns if column.name in ("started_at", "date_uncertain")),
        metric("asked", _("Blinks that the person was asked for"), "", _check, "check", "blinks"),
        metric("found", _("Those of them that were found"), "", _check, "check", "blinks"),
        metric("false", _("Counted blinks that cannot have been"), "", _check, "check", "blinks"),
        Column(
            "look_down",
            Kind.TEXT,
            _("A look down was told_apart from shut eyes, taken_for_shut, or not_found"),
            "check.look_down",
        ),
        metric("shut_s", _("How long the eyes were found shut"), NOT_FOUND, _check, "check", "s"),
        metric("passed", _("Whether the check was passed"), "", _check, "check"),
        Column("model", Kind.TEXT, _("Model of the face"), "agent.model", UNKNOWN),
        *(
            column
            for column in SESSIONS.columns
            if column.name in ("agent_version", "device", "device_id")
        ),
    ),
)

TABLES = {table.name: table for table in (SESSIONS, DAYS, MINUTES, BLINKS, CHECKS)}
