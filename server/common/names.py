"""Rules for user names and for the names that are shown.

User names follow RFC 8265, UsernameCaseMapped: compared without regard to case, width and how
accents are encoded. Only letters, digits and @ . + - _ are allowed.
"""

import re
import unicodedata

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

ALLOWED = re.compile(r"[\w.@+-]+")


def case_mapped(name: str) -> str:
    """Return the form in which a user name is stored: lower case, usual width, composed."""
    narrow = "".join(
        unicodedata.normalize("NFKC", letter)
        if unicodedata.decomposition(letter).startswith(("<wide>", "<narrow>"))
        else letter
        for letter in name
    )
    return unicodedata.normalize("NFC", narrow.lower())


def validate_username(name: str) -> None:
    """Raise `ValidationError` unless the name is allowed and can be a part of an address."""
    mapped = case_mapped(name)
    if not ALLOWED.fullmatch(mapped) or unicodedata.normalize("NFKC", mapped) != mapped:
        raise ValidationError(_("Use only letters, digits and @ . + - _"))
    if not mapped.strip("."):  # browsers resolve "." and ".." in addresses
        raise ValidationError(_("Use at least one letter or digit."))


def validate_shown_name(name: str) -> None:
    """Raise `ValidationError` for line breaks, and for invisible and direction characters."""
    if not name.isprintable():
        raise ValidationError(_("Enter a name on one line, without invisible characters."))


def validate_shown_text(text: str) -> None:
    """Raise `ValidationError` for line breaks, and for invisible and direction characters."""
    if not text.isprintable():
        raise ValidationError(_("Enter text on one line, without invisible characters."))
