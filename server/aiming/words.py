"""What to do so that the eyes are seen well, in the viewer's language."""

from collections.abc import Mapping
from typing import Any

from django.utils.formats import number_format
from django.utils.translation import gettext_lazy as _

from server.aiming.kept import verdict_of

PHRASES = {
    "no_face": _("No face is seen: point the camera at the face."),
    "turned": _("The face is not upright: turn the camera."),
    "dark": _("More light: the face's brightness is %(found)s, %(needed)s is needed."),
    "nearer": _("Nearer: the eyes are %(found)s pixels apart, %(needed)s are needed."),
    "sideways": _(
        "More from the front: the head is turned by %(found)s degrees, %(needed)s is the most."
    ),
    "blurred": _(
        "Blurred or reflecting: the sharpness is %(found)s, %(needed)s is needed. Focus the lens, "
        "clean it, or keep reflections off the spectacles."
    ),
    "slow": _("Too slow: %(found)s pictures a second, %(needed)s are needed. More light helps."),
    "second_face": _("A second face is in the picture: let only one person be in it."),
    "good": _("Good: the eyes are seen well."),
}


def sentence(view: Mapping[str, Any]) -> str:
    """Return what to do, from a view that was checked."""
    places = 2 if view["advice"] == "blurred" else 0
    numbers = {
        name: "?" if view[name] is None else number_format(view[name], places)
        for name in ("found", "needed")
    }
    return str(PHRASES[view["advice"]]) % numbers


def aim_words(document: Any) -> str:
    """Return what to do if a running session's document says that it is badly aimed, or nothing."""
    verdict = verdict_of(document)
    return sentence(verdict) if verdict and verdict["advice"] != "good" else ""
