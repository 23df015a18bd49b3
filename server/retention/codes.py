"""Delete used and expired codes, tokens, requests for access and links to the page for the doctor.

Also delete failed logins that no longer count, and second factors whose set-up was not finished.
"""

from datetime import datetime, timedelta

from django.db.models import Q
from django_otp.plugins.otp_totp.models import TOTPDevice

from server.care.attempts import WINDOW
from server.care.models import AccessRequest, Activation, Invitation, LoginFailure, PersonToken
from server.devices.models import ClaimCode
from server.visit.models import SheetLink

# Keep codes for this long after they were used or expired, so that an administrator can answer
# questions about them. Requests for access must be kept for at least `AccessRequest.DECLINED_FOR`
# after they were declined: until then, a new request does not reach the person.
KEPT = timedelta(days=30)
# Keep tokens for this long after they expire, even revoked ones: after a restore, these rows revoke
# a token that is still valid in the backup.
TOKENS_KEPT = timedelta(days=90)


def tidy(now: datetime) -> dict[str, int]:
    """Delete expired rows and return the number of each kind."""
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
        "unfinished two-factor set-ups": begun.delete()[0],
    }
