"""Middleware that notes the primary's position after each request that may have written."""

import logging
from collections.abc import Callable

from django.core.exceptions import MiddlewareNotUsed
from django.db import DatabaseError, IntegrityError, InterfaceError, connection
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from server.care.models import Person
from server.replica.lag import is_configured

_READING = ("GET", "HEAD", "OPTIONS", "TRACE")
_LSN = "(pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::bigint"
# The update reads the position while it has the row's lock. So of two requests of one person, the
# later position stays.
_NOTE = f"""
    INSERT INTO replica_lastwrite (person_id, lsn, at) VALUES (%s, {_LSN}, clock_timestamp())
    ON CONFLICT (person_id) DO UPDATE SET lsn = {_LSN}, at = clock_timestamp()
"""

_log = logging.getLogger(__name__)


class NoteWrites:
    """Note a person's writes before they get the response, for `has_writes_of`."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        if not is_configured():
            raise MiddlewareNotUsed
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        if request.method not in _READING and response.status_code < 500:
            # After the view, because the API's views authenticate tokens.
            user = getattr(request, "user", None)
            if isinstance(user, Person) and user.pk is not None:
                note_write(user.pk)
        return response


def note_write(person_id: int) -> None:
    """Note the primary's position. A failure is logged: the write itself has succeeded."""
    try:
        with connection.cursor() as cursor:
            cursor.execute(_NOTE, [person_id])
    except IntegrityError:
        return  # the request deleted the account
    except (DatabaseError, InterfaceError) as error:
        _log.warning("a write was not noted, and may be missing for a moment: %s", error)
