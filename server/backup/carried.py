"""Re-apply deletions and revocations after a restore.

They are read before the database is replaced, and applied once the restored one is migrated. In
between, the restored database has them in the table `TABLE`, which appears with the restored data
and goes with being applied: a kill or a failed migration loses nothing, and `migrate` or another
`restore` goes on. Two rows count as the same if their random ids or exact times are equal; a backup
of another installation has none of these, so all of it is restored.
"""

import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection, models, transaction

from server.care.models import (
    COLUMNS,
    AccessRequest,
    Activation,
    AuditEntry,
    CareLink,
    Invitation,
    Person,
    PersonToken,
)
from server.common.batches import batched
from server.devices.credentials import end_tokens
from server.devices.models import ClaimCode, Device, DeviceToken
from server.notes.deletion import delete_restored
from server.notes.models import Note
from server.session_data.changes.numbers import begin_new_series
from server.session_data.models import SessionData, Tombstone
from server.session_data.tombstones import mark_of

# No model: it is in no schema that has been migrated.
TABLE = "restore_carried_over"
CREATE = f"CREATE TABLE IF NOT EXISTS {TABLE} (told text NOT NULL)"

Row = dict[str, Any]
LINK = ("pk", "created_at")
CODE = ("digest",), ("used_at", "expires_at")


@dataclass(frozen=True)
class Rule:
    """Carry `columns` over to restored rows with the same `key`.

    It applies to rows that do not match `live`, such as revoked ones; without `live`, to all rows.
    """

    model: type[models.Model]
    key: tuple[str, ...]
    columns: tuple[str, ...]
    live: Row = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Return a name that stays the same across versions."""
        return f"{self.model._meta.label} {' '.join(self.columns)}"

    def rows(self) -> list[Row]:
        """Read the rows to carry over; none if an older schema lacks the columns."""
        if not _knows(self.model, self.columns):
            return []
        return list(
            self.model._default_manager.exclude(**self.live).values(*self.key, *self.columns)
        )

    def apply(self, rows: list[Row]) -> None:
        """Apply the rows to the restored database."""
        for row in rows:
            same = self.model._default_manager.filter(**{name: row[name] for name in self.key})
            same.filter(**self.live).update(**{name: row[name] for name in self.columns})


RULES = (
    Rule(CareLink, LINK, tuple(COLUMNS.values())),
    Rule(CareLink, LINK, ("ended_at",), {"ended_at": None}),
    Rule(Person, ("pk", "date_joined"), ("is_active",), {"is_active": True}),
    Rule(Device, ("pk",), ("revoked_at",), {"revoked_at": None}),
    Rule(DeviceToken, ("digest",), ("revoked_at",), {"revoked_at": None}),
    Rule(PersonToken, ("digest",), ("revoked_at",), {"revoked_at": None}),
    Rule(PersonToken, ("digest",), ("ended_why",), {"ended_why": ""}),
    *(
        Rule(AccessRequest, ("pk", "made_at"), (column,), {column: None})
        for column in ("withdrawn_at", "declined_at", "granted_at")
    ),
    Rule(Invitation, *CODE),
    Rule(Activation, *CODE),
    Rule(ClaimCode, *CODE),
    Rule(Note, ("pk",), ("shared",), {"shared": True}),
)


@dataclass(frozen=True)
class Carried:
    """The data carried over.

    `orphaned` are audit entries about deleted accounts, by key; `owned` is when each device was
    reassigned last.
    """

    buried: set[UUID]
    orphaned: dict[int, datetime]
    owned: dict[UUID, datetime | None]
    rows: dict[str, list[Row]]

    @classmethod
    def read(cls) -> "Carried":
        """Read the data from the current database, of any version."""
        tombs = Tombstone.objects.values_list("pk", flat=True)
        gone = AuditEntry.objects.filter(subject=None).exclude(subject_name="")
        owners = Device.objects.values_list("pk", "reassigned_at")
        return cls(
            set(tombs) if _knows(Tombstone) else set(),
            dict(gone.values_list("pk", "at")) if _knows(AuditEntry) else {},
            dict(owners) if _knows(Device, ("reassigned_at",)) else {},
            {rule.name: rule.rows() for rule in RULES},
        )

    def as_json(self) -> str:
        """Return the data as JSON; times keep their microseconds."""
        told = {
            "buried": [*self.buried],
            "orphaned": [*self.orphaned.items()],
            "owned": [*self.owned.items()],
            "rows": self.rows,
        }
        return json.dumps(told, default=str)

    @classmethod
    def from_json(cls, text: str) -> "Carried":
        """Read what `as_json` wrote. Django takes the times and ids in `rows` as text."""
        told = json.loads(text)
        return cls(
            {UUID(pk) for pk in told["buried"]},
            {pk: datetime.fromisoformat(at) for pk, at in told["orphaned"]},
            {UUID(pk): at and datetime.fromisoformat(at) for pk, at in told["owned"]},
            told["rows"],
        )

    def apply(self) -> None:
        """Apply the data to the restored and migrated database."""
        with transaction.atomic():
            deleted = self._deleted()
            for some in batched(deleted, 500):
                SessionData.objects.filter(pk__in=some).delete()
            delete_restored(self.buried, deleted)
            for some in batched(self.buried, 500):
                Tombstone.objects.bulk_create(
                    (Tombstone(pk=pk) for pk in some), ignore_conflicts=True
                )
            for keys in batched(self.orphaned, 500):
                found = AuditEntry.objects.filter(pk__in=keys).exclude(subject=None)
                same = [each.pk for each in found if each.at == self.orphaned[each.pk]]
                Person.objects.filter(acts_upon__in=same).delete()
            for device in Device.objects.filter(pk__in=self.owned):
                if device.reassigned_at != self.owned[device.pk]:
                    # Its broker account is the next person's, and it measures them.
                    end_tokens(device)
                    device.save(update_fields=["credentials_ended"])
            for rule in RULES:
                rule.apply(self.rows.get(rule.name, []))
            begin_new_series()

    def _deleted(self) -> list[UUID]:
        """Return the restored sessions that have a tombstone."""
        rows = SessionData.objects.order_by().values_list("pk", "user_id")
        return [
            pk
            for pk, person in rows.iterator()
            if pk in self.buried or mark_of(pk, person) in self.buried
        ]


def waiting() -> list[str]:
    """Return what interrupted restores carried over to the current database, as JSON."""
    with connection.cursor() as cursor:
        if TABLE not in connection.introspection.table_names(cursor):
            return []
        cursor.execute(f"SELECT told FROM {TABLE}")
        return [told for (told,) in cursor.fetchall()]


def finish() -> None:
    """Apply what a restore carried over, if anything waits. The schema must be migrated."""
    if found := waiting():
        with transaction.atomic():
            for told in found:
                Carried.from_json(told).apply()
            with connection.cursor() as cursor:
                cursor.execute(f"DROP TABLE {TABLE}")


def _knows(model: type[models.Model], columns: tuple[str, ...] = ()) -> bool:
    """Return whether the database has the model's table and those columns."""
    table = model._meta.db_table
    with connection.cursor() as cursor:
        if table not in connection.introspection.table_names(cursor):
            return False
        found = connection.introspection.get_table_description(cursor, table)
    return {each.name for each in found} >= set(columns)
