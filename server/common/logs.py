"""Logging without names, addresses, devices or sessions.

Our own messages contain none. Messages of libraries can contain a path, a host or personal data:
only the kind of the error and where it was raised are kept.
"""

import logging
import traceback
from types import TracebackType
from typing import Any

OURS = "server"
# The messages of these loggers contain data that a client sent.
REQUEST_LOGGERS = ("django.request", "django.security", "gunicorn.error", "gunicorn.access")

ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]


class PrivacyFilter(logging.Filter):
    """Remove data of clients and database rows from log records."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Strip the record and return True: no record is dropped."""
        if isinstance(record.exc_info, tuple) and record.exc_info[1] is not None:
            record.msg = f"{self._words(record)}: {place_of(record.exc_info[1])}"
            record.args = None
        elif record.name.startswith(REQUEST_LOGGERS) and record.levelno >= logging.WARNING:
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
        if record.name.startswith("gunicorn") and not record.exc_info:
            return record.getMessage()  # about its own workers: process ids and exit codes
        return str(record.msg) if record.args or record.exc_info else record.getMessage()


def place_of(error: BaseException) -> str:
    """Return the error's type and where it was raised, without its message."""
    places = traceback.extract_tb(error.__traceback__)[-3:]
    steps = " > ".join(f"{place.name}:{place.lineno}" for place in places)
    return f"{type(error).__name__} in {steps or 'unknown place'}"


def logging_settings(kind: str) -> dict[str, Any]:
    """Return the settings for `dictConfig`. `kind` is `line` or `json` (one object per line)."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"privacy": {"()": PrivacyFilter}},
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
                "filters": ["privacy"],
            }
        },
        "root": {"handlers": ["stderr"], "level": "INFO"},
        "loggers": {
            # This logger reports the path of every 4xx response: noise, and paths can contain ids.
            "django.request": {"level": "ERROR"},
            # Django's own handlers would bypass the filter and e-mail tracebacks.
            "django": {"handlers": [], "propagate": True, "level": "INFO"},
            "gunicorn.error": {"handlers": [], "propagate": True, "level": "INFO"},
            "gunicorn.access": {"handlers": [], "propagate": False},
        },
    }
