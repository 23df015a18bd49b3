"""`GET /api/session/summary/`: a person's days and periods, compared with the periods before."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from server.care.access import note_look, person_for
from server.care.authentication import IsPerson, person_of
from server.care.models import Permission, Person
from server.common.fields import refuse
from server.common.paging import check_names, parameter, read_parameter
from server.replica.reading import from_replica
from server.session_data.filters import (
    ACTIVITIES_OR_NONE,
    ACTIVITY_PARAMETER,
    NO_ACTIVITY,
    read_activity,
)
from server.session_data.models import ACTIVITIES, SUMMARY_COLUMNS, SessionData, State
from server.session_data.summary.alike import activities_of, of_activity
from server.session_data.summary.statistics import (
    WAYS,
    Counts,
    DaySummary,
    Measured,
    PeriodSummary,
    Spread,
    by_day,
    change,
    day_summary,
    each_day,
    least_days,
    period_summary,
)

PERIODS = (7, 30, 90)
LONGEST = 366  # maximum days of a period given by `from` and `to`
# Limits for `from` and `to`, so that date arithmetic never overflows.
FIRST_DAY, LAST_DAY = date(2000, 1, 1), date(2199, 1, 1)


@dataclass(frozen=True, slots=True)
class Brief:
    """The part of a finished session that a summary needs."""

    day: date
    state: str
    date_uncertain: bool
    values: Mapping[str, float | None]
    activity: str | None = None


def briefs(person: Person, first: date, last: date, most: int | None = None) -> list[Brief]:
    """Return the person's finished sessions of these days, in one query on a covering index.

    At most `most` of them, the newest days first.
    """
    over = SessionData.objects.filter(
        user=person,
        local_day__gte=first,
        local_day__lte=last,
        state__in=(State.ENDED, State.INTERRUPTED),
    )
    rows = over.order_by("-local_day")[:most] if most else over.order_by()
    return [
        Brief(day, state, uncertain, _values(measured), activity)
        for day, state, uncertain, *measured, activity in rows.values_list(
            "local_day", *SUMMARY_COLUMNS
        )
    ]


def of_asked(sessions: Sequence[Brief], activity: str | None) -> Sequence[Brief]:
    """Return the sessions of an activity, or with `NO_ACTIVITY`; all of them for `None`."""
    if activity is None:
        return sessions
    wanted = None if activity == NO_ACTIVITY else activity
    return [each for each in sessions if each.activity == wanted]


def _values(measured: Sequence[float | None]) -> dict[str, float | None]:
    """Return the values by name. Coverage is computed, because the index doesn't contain it."""
    values = dict(zip(SUMMARY_COLUMNS[2:-1], measured, strict=True))
    valid_s, duration_s = values["valid_s"], values["duration_s"]
    share = valid_s / duration_s if valid_s is not None and duration_s else None
    return {**values, "coverage": share}


class DayMetricSerializer(serializers.Serializer[Any]):
    """The day's value (null if not measured), and the quartiles of its `sessions`."""

    value = serializers.FloatField(allow_null=True)
    q1 = serializers.FloatField(allow_null=True)
    q3 = serializers.FloatField(allow_null=True)
    sessions = serializers.IntegerField()


class MedianSerializer(serializers.Serializer[Any]):
    """Median and quartiles of the daily values, over the `days` that have one."""

    median = serializers.FloatField(allow_null=True)
    q1 = serializers.FloatField(allow_null=True)
    q3 = serializers.FloatField(allow_null=True)
    days = serializers.IntegerField()


class PeriodMetricSerializer(MedianSerializer):
    """The median, that of the period before, and the change; null if either has too few days."""

    before = MedianSerializer()
    change = serializers.FloatField(allow_null=True)
    change_ratio = serializers.FloatField(allow_null=True)


class CountsSerializer(serializers.Serializer[Any]):
    """The number of finished sessions, and how many of them are of each kind."""

    sessions = serializers.IntegerField()
    short = serializers.IntegerField()
    uncertain = serializers.IntegerField()
    interrupted = serializers.IntegerField()


class DayMetricsSerializer(serializers.Serializer[Any]):
    """A day's values: medians; for long closures and measured time sums; for coverage a share."""

    def get_fields(self) -> dict[str, Any]:
        """Return a field for each metric of a summary."""
        return {key: DayMetricSerializer() for key in WAYS}


class PeriodMetricsSerializer(serializers.Serializer[Any]):
    """A period's values: medians of its days' values."""

    def get_fields(self) -> dict[str, Any]:
        """Return a field for each metric of a summary."""
        return {key: PeriodMetricSerializer() for key in WAYS}


class DaySerializer(CountsSerializer):
    """A local day. The summary has one for each day of the longest period."""

    day = serializers.DateField()
    duration_s = serializers.FloatField(allow_null=True)
    metrics = DayMetricsSerializer()


class OfActivitySerializer(serializers.Serializer[Any]):
    """What `metrics` is, from only the sessions of one activity."""

    activity = serializers.ChoiceField(choices=ACTIVITIES)
    sessions = serializers.IntegerField()
    metrics = PeriodMetricsSerializer()


class PeriodSerializer(CountsSerializer):
    """A period. `least_days` is how many days must have a value to compute a change.

    `activities` has those of this period and the one before.
    """

    days = serializers.IntegerField()
    first = serializers.DateField()
    last = serializers.DateField()
    measured_days = serializers.IntegerField()
    least_days = serializers.IntegerField()
    duration_s = serializers.FloatField(allow_null=True)
    valid_s = serializers.FloatField(allow_null=True)
    coverage = serializers.FloatField(allow_null=True)
    sessions_before = serializers.IntegerField()
    metrics = PeriodMetricsSerializer()
    activities = OfActivitySerializer(many=True)


class SummarySerializer(serializers.Serializer[Any]):
    """A person's summary. Null means "no data", never 0."""

    user = serializers.CharField()
    timezone = serializers.CharField()
    today = serializers.DateField()
    activity = serializers.ChoiceField(choices=ACTIVITIES_OR_NONE, allow_null=True)
    periods = PeriodSerializer(many=True)
    days = DaySerializer(many=True)


class SummaryView(APIView):
    """`GET /api/session/summary/`."""

    permission_classes = [IsPerson]

    @extend_schema(
        operation_id="session_summary",
        parameters=[
            parameter("user", "A user name; yourself by default"),
            parameter(
                "period", "7, 30 or 90 days up to today; a comma-separated list; by default all"
            ),
            parameter("from", "A local day; with `to`, a period of at most 366 days"),
            parameter("to", "A local day, inclusive"),
            ACTIVITY_PARAMETER,
        ],
        responses=SummarySerializer,
    )
    def get(self, request: Request) -> Response:
        """Summarise a person's days and periods: values, spread and change."""
        viewer = person_of(request)
        person = person_for(viewer, request.query_params.get("user"), Permission.HISTORY)
        today = timezone.now().astimezone(person.zone).date()
        spans = _spans(request.query_params, today)
        activity = read_parameter(request.query_params, "activity", read_activity)
        reach = _reach(spans)
        rows = from_replica((viewer, person), lambda: briefs(person, *reach))
        days = by_day(of_asked(rows, activity), *reach)
        note_look(viewer, person, "summary")
        shown = max(spans, key=lambda span: span[1] - span[0])
        return Response(
            {
                "user": person.username,
                "timezone": person.timezone,
                "today": today.isoformat(),
                "activity": activity,
                "periods": [period_answer(days, *span) for span in spans],
                "days": [day_answer(day_summary(day, days[day])) for day in each_day(*shown)],
            }
        )


Span = tuple[date, date]


def before(first: date, last: date) -> Span:
    """Return the period of the same length that ends the day before `first`."""
    return first - (last - first) - timedelta(days=1), first - timedelta(days=1)


def _reach(spans: Sequence[Span]) -> Span:
    """Return the first and the last day of all periods and the periods before them."""
    return min(before(*span)[0] for span in spans), max(last for _, last in spans)


def _spans(query: Any, today: date) -> list[Span]:
    check_names(query, ("user", "period", "from", "to", "activity"))
    first, last = (read_parameter(query, name, _day) for name in ("from", "to"))
    if first is None and last is None:
        lengths = read_parameter(query, "period", _lengths) or PERIODS
        return [(today - timedelta(days=days - 1), today) for days in lengths]
    if "period" in query:
        raise ValidationError({"period": "expected either period, or from and to"})
    if first is None or last is None:
        missing = "from" if first is None else "to"
        raise ValidationError({missing: "expected from and to together"})
    if not 0 <= (last - first).days < LONGEST:
        raise ValidationError({"to": f"expected 1 to {LONGEST} days, counted from `from`"})
    return [(first, last)]


def _lengths(text: str) -> list[int]:
    names = [str(days) for days in PERIODS]
    if not set(text.split(",")) <= set(names):
        refuse(f"a comma-separated list of {', '.join(names)}", text)
    return [days for days in PERIODS if str(days) in text.split(",")]


def _day(text: str) -> date:
    try:
        day = date.fromisoformat(text) if len(text) == len("2026-11-22") else date.min
    except ValueError:
        day = date.min
    if not FIRST_DAY <= day <= LAST_DAY:
        refuse("a day such as 2026-11-22", text)
    return day


def period_answer(days: Mapping[date, Any], first: date, last: date) -> dict[str, Any]:
    """Return the period in the form of `PeriodSerializer`."""
    spans = (first, last), before(first, last)
    now, then = (period_summary(days, *span) for span in spans)
    sessions = [each for span in spans for day in each_day(*span) for each in days[day]]
    return {
        "days": now.days,
        "first": first.isoformat(),
        "last": last.isoformat(),
        "measured_days": now.measured_days,
        "least_days": least_days(now.days),
        **_counts(now.counts),
        "duration_s": now.duration_s,
        "valid_s": now.valid_s,
        "coverage": now.coverage,
        "sessions_before": then.counts.sessions,
        "metrics": {key: _period_metric(key, now, then) for key in WAYS},
        "activities": [_of_activity(name, days, *spans) for name in activities_of(sessions)],
    }


def _of_activity(
    name: str, days: Mapping[date, Sequence[Measured]], period: Span, earlier: Span
) -> dict[str, Any]:
    """Return a part of the period in the form of `OfActivitySerializer`."""
    mine = {day: of_activity(sessions, name) for day, sessions in days.items()}
    now, then = period_summary(mine, *period), period_summary(mine, *earlier)
    metrics = {key: _period_metric(key, now, then) for key in WAYS}
    return {"activity": name, "sessions": now.counts.sessions, "metrics": metrics}


def _period_metric(key: str, now: PeriodSummary, then: PeriodSummary) -> dict[str, Any]:
    changed = change(then.metrics[key], now.metrics[key], now.days)
    return {
        **_median(now.metrics[key]),
        "before": _median(then.metrics[key]),
        "change": changed.absolute,
        "change_ratio": changed.relative,
    }


def _median(spread: Spread) -> dict[str, Any]:
    return {
        "median": spread.middle,
        "q1": spread.low,
        "q3": spread.high,
        "days": spread.count,
    }


def day_answer(summary: DaySummary) -> dict[str, Any]:
    """Return the day in the form of `DaySerializer`."""
    return {
        "day": summary.day.isoformat(),
        **_counts(summary.counts),
        "duration_s": summary.duration_s,
        "metrics": {
            key: {
                "value": spread.middle,
                "q1": spread.low,
                "q3": spread.high,
                "sessions": spread.count,
            }
            for key, spread in summary.metrics.items()
        },
    }


def _counts(counts: Counts) -> dict[str, int]:
    return {
        "sessions": counts.sessions,
        "short": counts.short,
        "uncertain": counts.uncertain,
        "interrupted": counts.interrupted,
    }
