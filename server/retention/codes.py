"""Delete used and expired codes and tokens, and failed logins that no longer count."""

from datetime import datetime, timedelta

from django.db.models import Q
from django_otp.plugins.otp_totp.models import TOTPDevice

from server.care.attempts import WINDOW
from server.care.models import AccessRequest, Activation, Invitation, LoginFailure, PersonToken
from server.devices.models import ClaimCode
from server.visit.models import SheetLink

# Codes are kept so long that questions about one that was handed out can be answered.
# A declined request for access holds off the next one for as long.
KEPT = timedelta(days=30)
# Tokens are kept for so long after they expire, revoked ones too: a restored backup could make one
# valid again.
TOKENS_KEPT = timedelta(days=90)


def tidy(now: datetime) -> dict[str, int]:
    """Delete what is over and return how much of each kind."""
    over = Q(used_at__lt=now - KEPT) | Q(expires_at__lt=now - KEPT)
    begun = TOTPDevice.objects.filter(confirmed=False, created_at__lt=now - timedelta(days=1))
    return {
        "codes": sum(
            model._default_manager.filter(over).delete()[0]
            for model in (ClaimCode, Invitation, Activation)
        ),
        "requests for access": AccessRequest.objects.filter(expires_at__lt=now - KEPT).delete()[0],
        "tokens": PersonToken.objects.filter(expires_at__lt=now - TOKENS_KEPT).delete()[0],
        "links to the page for the doctor": SheetLink.objects.filter(
            expires_at__lt=now - TOKENS_KEPT
        ).delete()[0],
        "failed logins": LoginFailure.objects.filter(at__lt=now - 2 * WINDOW).delete()[0],
        "second factors begun": begun.delete()[0],
    }
