"""Parse the parameters of an export. Unknown ones, and ones that don't go together, are errors."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any
from uuid import UUID

from django.db.models import Q
from django.http import QueryDict
from django.utils.formats import get_format
from rest_framework.exceptions import ValidationError

from server.care.access import person_for, visible_people
from server.care.models import Permission, Person
from server.common.fields import CANONICAL_UUID, refuse
from server.common.paging import check_names, read_parameter
from server.session_data.export import parquet
from server.session_data.export.codebook import TABLES
from server.session_data.export.excel import Decimal
from server.session_data.filters import Asked, Bound, read_bounds

PARAMETERS = ("as", "of", "user", "people", "device", "from", "to", "names", "decimal")
ALL = "all"
NAMES = ("user", "pseudonyms")


class Form(StrEnum):
    """The format of a file."""

    CSV = "csv"
    EXCEL = "excel"
    JSON = "json"
    PARQUET = "parquet"
    FHIR = "fhir"


@dataclass(frozen=True, slots=True)
class Export:
    """What is exported. `people` are those who grant the viewer their history, by user name.

    `person` is `None` for all people. Moments without an offset are in the time zone of the person,
    or of the viewer.
    """

    viewer: Person
    form: Form
    part: str
    person: Person | None
    people: tuple[Person, ...]
    device: UUID | None
    first: Bound | None
    last: Bound | None
    pseudonyms: bool
    decimal: Decimal

    @property
    def wanted(self) -> Q:
        """The filter for the sessions."""
        asked = Asked(None, self.first, self.last, (), None, 0)
        return asked.range() & (Q() if self.device is None else Q(device=self.device))

    @property
    def detail(self) -> str:
        """The export in a few words, for the audit log."""
        span = f"{self.first or 'all'} to {self.last or 'now'}"
        device = f", device {self.device}" if self.device else ""
        names = ", with pseudonyms" if self.pseudonyms else ""
        return f"{self.part} as {self.form}, {span}{device}{names}"

    @property
    def name(self) -> str:
        """The beginning of the file's name; it names nobody who has a pseudonym."""
        named = self.person is not None and not self.pseudonyms
        who = f"-{self.person.username}" if self.person and named else ""
        return f"blinklog{who}-{self.part}"


def read_export(viewer: Person, query: QueryDict) -> Export:
    """Parse the query. Raises `ValidationError`, which names the parameter, or `Http404`."""
    person = person_for(viewer, query.get("user"), Permission.HISTORY)
    check_names(query, PARAMETERS)
    everyone = read_parameter(query, "people", one_of((ALL,))) is not None
    first, last = read_bounds(query, person.timezone)
    export = Export(
        viewer=viewer,
        form=Form(read_parameter(query, "as", one_of(tuple(Form))) or Form.CSV),
        part=read_parameter(query, "of", one_of(tuple(TABLES))) or "sessions",
        person=None if everyone else person,
        people=tuple(visible_people(viewer)) if everyone else (person,),
        device=read_parameter(query, "device", _device),
        first=first,
        last=last,
        pseudonyms=read_parameter(query, "names", one_of(NAMES)) == "pseudonyms",
        decimal=Decimal(read_parameter(query, "decimal", one_of(tuple(Decimal))) or usual()),
    )
    _check(export, query)
    return export


def usual() -> Decimal:
    """Return the decimal sign of the reader's language."""
    return Decimal.COMMA if get_format("DECIMAL_SEPARATOR") == "," else Decimal.POINT


def _check(export: Export, query: QueryDict) -> None:
    """Raise `ValidationError` for parameters that don't go together."""
    if export.person is None and "user" in query:
        raise ValidationError({"people": "expected either user or people"})
    if export.part == "days" and export.device is not None:
        raise ValidationError({"device": "expected no device: days are of all devices"})
    if export.part == "days" and not all(
        bound is None or type(bound) is date for bound in (export.first, export.last)
    ):
        raise ValidationError({"from": "expected local days to export days"})
    if "decimal" in query and export.form != Form.EXCEL:
        raise ValidationError({"decimal": "expected only with as=excel"})
    if export.form == Form.PARQUET and not parquet.available():
        raise ValidationError({"as": parquet.MISSING})
    if export.form == Form.FHIR:
        _check_fhir(export)


def _check_fhir(export: Export) -> None:
    if export.part != "sessions":
        raise ValidationError({"of": f"expected sessions: FHIR has no {export.part}"})
    if export.person is None:
        raise ValidationError({"people": "expected one person: FHIR names the person"})
    if export.pseudonyms:
        raise ValidationError({"names": "expected user: FHIR names the person"})


def one_of(names: tuple[str, ...]) -> Callable[[str], str]:
    """Return a reader of a parameter that is one of `names`."""

    def read(text: str) -> str:
        if text not in names:
            refuse(f"one of {', '.join(names)}", text)
        return text

    return read


def _device(text: str) -> Any:
    if not CANONICAL_UUID.fullmatch(text):
        refuse("a device's id: a UUID in lower case with dashes", text)
    return UUID(text)
