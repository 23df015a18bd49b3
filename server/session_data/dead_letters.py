"""Documents that could not be accepted: kept for somebody to look at, and to try again."""

from django.db import DataError, transaction

from server.devices.models import Device
from server.session_data.accept import Acceptance, accept_session, rejected
from server.session_data.fields import CANONICAL_UUID
from server.session_data.models import DeadLetter
from server.session_data.parsing import UnreadableError, parse_document

REPLACED = "\N{REPLACEMENT CHARACTER}"


def keep_dead_letter(
    door: str, sender: str, device: Device | None, reason: str | None, payload: bytes
) -> None:
    """Keep one, and of its sender's no more than the newest `DeadLetter.MOST_KEPT`."""
    whole = len(payload) <= DeadLetter.LONGEST_KEPT
    kept = payload if whole else payload[: DeadLetter.LONGEST_PART]
    DeadLetter.objects.create(
        device=device,
        sender=sender,
        door=door,
        reason=reason or "",
        size=len(payload),
        payload=kept.decode("utf-8", "replace").replace("\x00", REPLACED),
    )
    of_sender = DeadLetter.objects.filter(sender=sender)
    newest = list(of_sender.order_by("-id").values_list("id", flat=True)[: DeadLetter.MOST_KEPT])
    of_sender.filter(id__lt=newest[-1]).delete()


def retry(letter: DeadLetter) -> Acceptance:
    """Accept it now, if it can be: then the letter is gone; else it says why not.

    For after an upgrade, or after its device was readmitted. Its device need not send again: the
    revision rule makes that a no-op.
    """
    row = DeadLetter.objects.filter(pk=letter.pk)
    try:
        with transaction.atomic():
            acceptance = _accept(letter)
            if acceptance.outcome != "rejected":
                row.delete()
    except DataError:
        acceptance = rejected(None, "the database can't keep this document")
    if acceptance.outcome == "rejected":
        row.update(reason=acceptance.reason or "")
    return acceptance


def _accept(letter: DeadLetter) -> Acceptance:
    device = letter.device
    if device is None and CANONICAL_UUID.fullmatch(letter.sender):  # not known, or revoked, then
        device = Device.objects.select_related("person").filter(pk=letter.sender).first()
    if device is None or device.revoked_at:
        return rejected(None, "no such device, or revoked")
    payload = letter.payload.encode()
    if len(payload) != letter.size or REPLACED in letter.payload:
        return rejected(None, "it was not kept as it came, being too long or no text")
    try:
        return accept_session(device, parse_document(payload))
    except UnreadableError as error:
        return rejected(None, str(error))
