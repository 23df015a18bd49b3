"""Documents that could not be accepted, kept for somebody to look at."""

from server.devices.models import Device
from server.session_data.models import DeadLetter


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
        payload=kept.decode("utf-8", "replace").replace("\x00", "\N{REPLACEMENT CHARACTER}"),
    )
    of_sender = DeadLetter.objects.filter(sender=sender)
    newest = list(of_sender.order_by("-id").values_list("id", flat=True)[: DeadLetter.MOST_KEPT])
    of_sender.filter(id__lt=newest[-1]).delete()
