"""The log: what happened, without anybody's name, address, device or session.

Our own messages are written so. Those of libraries can hold a path, a host or a value out of
somebody's data; of these the kind and the place stay.
"""

import logging
import traceback
from types import TracebackType
from typing import Any

OURS = "server"
# What each of these says is made of what a client sent.
MADE_OF_REQUESTS = ("django.request", "django.security", "gunicorn.error", "gunicorn.access")

ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]


class Discreet(logging.Filter):
    """Takes out of a record what a client or a database row put into it."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Always lets it through, with less in it."""
        if isinstance(record.exc_info, tuple) and record.exc_info[1] is not None:
            record.msg = f"{self._words(record)}: {place_of(record.exc_info[1])}"
            record.args = None
        elif record.name.startswith(MADE_OF_REQUESTS) and record.levelno >= logging.WARNING:
            record.msg, record.args = self._words(record), None
        record.exc_info = record.exc_text = record.stack_info = None
        for name in ("request", "status_code"):  # a structured log would print them
            record.__dict__.pop(name, None)
        return True

    def _words(self, record: logging.LogRecord) -> str:
        if record.name.startswith(OURS):
            return record.getMessage()
        request = getattr(record, "request", None)
        match = getattr(request, "resolver_match", None)
        route = f" of {match.route}" if match else ""
        if record.name.startswith("django.security"):
            return f"a request{route} was refused ({record.name.rpartition('.')[2]})"
        if record.name.startswith("django.request"):
            return f"a request{route} failed"
        if record.name.startswith("gunicorn") and "worker" not in str(record.msg).lower():
            return "the web server refused or failed a request"
        return str(record.msg) if record.args or record.exc_info else record.getMessage()


def place_of(error: BaseException) -> str:
    """The error's kind and where it was raised, without its text."""
    places = traceback.extract_tb(error.__traceback__)[-3:]
    steps = " > ".join(f"{place.name}:{place.lineno}" for place in places)
    return f"{type(error).__name__} in {steps or 'no place'}"


def logging_settings(kind: str) -> dict[str, Any]:
    """For `dictConfig`: `line`, or `json`, an object on each line."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"discreet": {"()": Discreet}},
        "formatters": {
            "line": {"format": "{levelname} {name}: {message}", "style": "{"},
            "json": {
                "()": "pythonjsonlogger.json.JsonFormatter",
                "fmt": "{asctime}{levelname}{name}{message}",
                "style": "{",
                "rename_fields": {"asctime": "time", "levelname": "level", "name": "logger"},
                "datefmt": "%Y-%m-%dT%H:%M:%S%z",
            },
        },
        "handlers": {
            "stderr": {
                "class": "logging.StreamHandler",
                "formatter": kind,
                "filters": ["discreet"],
            }
        },
        "root": {"handlers": ["stderr"], "level": "INFO"},
        "loggers": {
            # The request logger names paths with 4xx: noise here, and a path can hold an id.
            "django.request": {"level": "ERROR"},
            # Django's own handlers would write past the filter, and mail tracebacks.
            "django": {"handlers": [], "propagate": True, "level": "INFO"},
            "gunicorn.error": {"handlers": [], "propagate": True, "level": "INFO"},
            "gunicorn.access": {"handlers": [], "propagate": False},
        },
    }
