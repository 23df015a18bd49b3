"""The page for the doctor as one HTML file, and as a FHIR R4 DocumentReference that contains it."""

import base64
import hashlib
from datetime import datetime
from functools import cache
from pathlib import Path
from uuid import NAMESPACE_OID, uuid5

from django.contrib.staticfiles import finders
from django.template.loader import render_to_string
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from server.common.fields import instant_text
from server.session_data.export import fhir
from server.visit.sheet import Sheet

STYLES = ("dashboard/blinklog.css", "dashboard/measured.css", "visit/paper.css")
TYPE = "text/html; charset=utf-8"


def as_html(sheet: Sheet) -> str:
    """Return the sheet as a whole HTML file that needs no other file and runs no script."""
    return render_to_string("visit/document.html", {"sheet": sheet, "style": _style()})


@cache
def _style() -> SafeString:
    """Return the style sheets of the page in one piece."""
    paths = [finders.find(name) for name in STYLES]
    return mark_safe("\n".join(Path(str(path)).read_text(encoding="utf-8") for path in paths))


def reference(sheet: Sheet, now: datetime) -> fhir.Resource:
    """Return the DocumentReference of a sheet, with the HTML file in the reader's language."""
    content = as_html(sheet).encode()
    digest = hashlib.sha1(content, usedforsecurity=False).digest()  # as R4 defines `hash`
    person, period = sheet.person, sheet.period
    known_as = {"username": person.username, "name": person.label}
    document_id = uuid5(NAMESPACE_OID, f"{person.username} {digest.hex()}")
    attachment = {
        "contentType": TYPE,
        "language": get_language() or "en",
        "data": base64.b64encode(content).decode(),
        "size": len(content),
        "hash": base64.b64encode(digest).decode(),
        "title": f"{_('For the doctor')}, {person.label}, {period.words}",
        "creation": instant_text(now),
    }
    span = {"start": period.first.isoformat(), "end": period.last.isoformat()}
    return {
        "resourceType": "DocumentReference",
        "id": str(document_id),
        "identifier": [fhir.identifier(document_id)],
        "status": "current",
        "docStatus": "final",
        "type": fhir.own_code("sheet", "Blinks of a span of days, on one page"),
        "subject": fhir.subject(known_as),
        "date": instant_text(now),
        "content": [{"attachment": attachment}],
        "context": {"period": span},
    }
