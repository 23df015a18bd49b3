"""The app's models. Start with people.py and sharing.py."""

from server.care.models.asking import OPEN, AccessRequest
from server.care.models.institutions import Activation, Institution, Membership, Role
from server.care.models.logs import AccessLog, AuditEntry, AuditEvent, LoginFailure, audit_events
from server.care.models.people import Person, named
from server.care.models.sharing import COLUMNS, CareLink, Invitation, Permission, Permitting
from server.care.models.tokens import (
    LONGEST_TOKEN_LIFE,
    PersonToken,
    TokenEnd,
    TokenScope,
    in_a_year,
    token_ends,
)
from server.common.days import validate_timezone  # for the first migration

__all__ = [
    "COLUMNS",
    "LONGEST_TOKEN_LIFE",
    "OPEN",
    "AccessLog",
    "AccessRequest",
    "Activation",
    "AuditEntry",
    "AuditEvent",
    "CareLink",
    "Institution",
    "Invitation",
    "LoginFailure",
    "Membership",
    "Permission",
    "Permitting",
    "Person",
    "PersonToken",
    "Role",
    "TokenEnd",
    "TokenScope",
    "audit_events",
    "in_a_year",
    "named",
    "token_ends",
    "validate_timezone",
]
