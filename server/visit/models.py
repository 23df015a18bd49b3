"""Links to a sheet, for somebody without an account."""

from django.conf import settings
from django.db import models
from django.utils.timezone import now

from server.common.tokens import HashedToken


class SheetLink(HashedToken):
    """A link that shows one person's sheet of the days `first` to `last`, until `expires_at`.

    `name` says whom it is for; only the person sees it.
    """

    KIND = "bls_"
    HOLDER = FETCHED = "person"
    MOST_LIVE = 20
    LONGEST_NAME = 100
    DAYS = (1, 7, 30)  # for how many days a link can be valid

    person = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="sheet_links")
    name = models.CharField(max_length=LONGEST_NAME, blank=True)
    first = models.DateField()
    last = models.DateField()
    expires_at = models.DateTimeField()

    @classmethod
    def live(cls, holder: models.Model) -> models.QuerySet["SheetLink"]:
        """Return the person's valid links, newest first."""
        return super().live(holder).filter(expires_at__gt=now())

    @classmethod
    def find(cls, token: str) -> "SheetLink | None":
        """Return the valid link with this text, with its person prefetched."""
        found = super().find(token)
        return found if found and found.expires_at > now() and found.person.is_active else None
