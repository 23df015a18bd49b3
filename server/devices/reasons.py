"""Why a document was rejected, in the reader's language. Codes and names of fields stay."""

from dataclasses import dataclass

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

WHOLE = {
    "unknown or revoked device": gettext_lazy("The device was unknown or blocked."),
    "the account that this document belongs to has been deleted": gettext_lazy(
        "The account of the person measured has been deleted."
    ),
    "the database can't store this document": gettext_lazy("The database can't store it."),
    "the document was not stored completely: too long, or not text": gettext_lazy(
        "It was too long to be kept, or is no text."
    ),
    "this session id can't be used": gettext_lazy("This session belongs to another device."),
    "this session began before the device was assigned to its present owner": gettext_lazy(
        "The session began before the device was assigned to its present owner."
    ),
}


@dataclass(frozen=True)
class Reason:
    """A sentence, and the server's own words if they say more: English, with names of fields."""

    sentence: str
    detail: str


def reason_words(reason: str) -> Reason:
    """Return a reason in the reader's language."""
    if reason in WHOLE:
        return Reason(str(WHOLE[reason]), "")
    if not reason:
        return Reason(_("The server kept no reason."), "")
    if reason.startswith("invalid JSON"):
        return Reason(_("The document can't be read."), reason)
    return Reason(_("The document is not as the server expects it. Details for support:"), reason)
