"""ETags of sessions, and the conditions If-Match and If-None-Match (RFC 9110, section 13)."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils.http import parse_etags
from rest_framework.exceptions import APIException
from rest_framework.request import Request

from server.common.version import our_version
from server.session_data.accept import Writer, owner_of
from server.session_data.models import SessionData

# What a session's representation follows from, besides this program and what never changes. It is
# the same for everybody who may see the session.
TAGGED = (
    "revision",
    "state",
    "activity",
    "activity_chosen",
    "updated_at",
    "user__username",
    "device_id",
    "device__label",
)
VERSION = our_version()
CONDITIONS = ("If-Match", "If-None-Match")


class PreconditionFailed(APIException):
    """The session is not as the request's condition says: status 412."""

    status_code = 412
    default_code = "precondition_failed"
    default_detail = "the session has changed: read it again"


def tag_of(row: Mapping[str, Any]) -> str:
    """Return the strong ETag of a session with the columns `TAGGED`: `"7-0123456789abcdef"`."""
    parts = [VERSION, *(row[name] for name in TAGGED)]
    digest = hashlib.sha256(json.dumps(parts, default=str).encode()).hexdigest()
    return f'"{row["revision"]}-{digest[:16]}"'


def has_conditions(request: Request) -> bool:
    """Return whether the request has a condition on ETags."""
    return any(name in request.headers for name in CONDITIONS)


def is_known(request: Request, tag: str) -> bool:
    """Return whether If-None-Match has the tag: the client has this representation."""
    return _has(request.headers.get("If-None-Match"), tag, weak=True)


def expect_unchanged(request: Request, session_id: UUID) -> None:
    """Check the request's conditions on a session that the client may know of.

    In a transaction, the session stays locked. Raises `PreconditionFailed`.
    """
    rows = SessionData.objects.filter(pk=session_id)
    rows.select_for_update().values_list("pk").first()
    row = rows.values(*TAGGED).first()
    tag = tag_of(row) if row else None
    wanted, known = (request.headers.get(name) for name in CONDITIONS)
    if wanted is not None and not _has(wanted, tag, weak=False):
        raise PreconditionFailed
    if _has(known, tag, weak=True):
        raise PreconditionFailed


@contextmanager
def if_unchanged(
    request: Request, writer: Writer, session_id: UUID, *, creates: bool = False
) -> Iterator[None]:
    """Write in the block only if the request's conditions hold; nobody else writes meanwhile.

    They are not checked for somebody else's session, or for none unless the request `creates` it:
    the answer is the same as without them.
    """
    if not has_conditions(request):
        yield
        return
    with transaction.atomic():
        owner = _owner(session_id)
        if owner == writer.owns or (owner is None and creates):
            expect_unchanged(request, session_id)
        yield


def _owner(session_id: UUID) -> Any:
    """Return the session's owner, `None` without the session, and `()` if there is no owner."""
    row = SessionData.objects.filter(pk=session_id)
    found = row.values_list("user_id", "device_id", "from_device").first()
    return found and (owner_of(*found) or ())


def _has(header: str | None, tag: str | None, *, weak: bool) -> bool:
    """Return whether a condition has the tag, compared weakly or strongly."""
    if header is None or tag is None:
        return False
    tags = parse_etags(header)
    return tags == ["*"] or tag in [each.removeprefix("W/") if weak else each for each in tags]
