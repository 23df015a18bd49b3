"""What people share with each other, and invitations to it."""

from collections.abc import Collection
from datetime import timedelta

from django.db import models
from django.utils.timezone import now
from django.utils.translation import gettext_lazy as _

from server.care.models.people import Person
from server.common.codes import HashedCode


class Permission(models.TextChoices):
    """A caregiver's permissions: see past sessions, see the current one, start and stop, alerts."""

    HISTORY = "history", _("History")
    LIVE = "live", _("Live")
    CONTROL = "control", _("Start and stop")
    ALERTS = "alerts", _("Alerts")


# The column of each permission in links and invitations.
COLUMNS = {
    Permission.HISTORY: "may_see_history",
    Permission.LIVE: "may_see_live",
    Permission.CONTROL: "may_control",
    Permission.ALERTS: "may_get_alerts",
}


class Permitting(models.Model):
    """Permission columns. Viewing is on by default; control and alerts must be granted."""

    may_see_history = models.BooleanField(default=True)
    may_see_live = models.BooleanField(default=True)
    may_control = models.BooleanField(default=False)
    may_get_alerts = models.BooleanField(default=False)

    class Meta:
        abstract = True

    @property
    def permissions(self) -> frozenset[Permission]:
        """The granted permissions."""
        return frozenset(each for each, column in COLUMNS.items() if getattr(self, column))

    def permit(self, permissions: Collection[str]) -> None:
        """Grant exactly these permissions, without saving."""
        for permission, column in COLUMNS.items():
            setattr(self, column, permission in permissions)


class CareLink(Permitting):
    """`caregiver` has permissions for `person` from `created_at` until `ended_at`."""

    caregiver = models.ForeignKey(Person, models.CASCADE, related_name="caring_for")
    person = models.ForeignKey(Person, models.CASCADE, related_name="cared_for_by")
    created_at = models.DateTimeField(default=now, editable=False)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["caregiver", "person"],
                condition=models.Q(ended_at=None),
                name="one_open_link_per_pair",
            ),
            models.CheckConstraint(
                condition=~models.Q(caregiver=models.F("person")), name="nobody_links_to_themselves"
            ),
        ]
        ordering = ["-created_at", "-id"]

    def __str__(self) -> str:
        return f"{self.caregiver} → {self.person}"

    def end(self) -> bool:
        """End the link, effective from the next request.

        Returns False if it had already ended.
        """
        self.ended_at = self.ended_at or now()
        rows = CareLink.objects.filter(pk=self.pk, ended_at=None)
        return rows.update(ended_at=self.ended_at) == 1


class Invitation(HashedCode, Permitting):
    """An invitation: whoever accepts it becomes a caregiver of `person` with these permissions.

    `name` is the person's own note on whom the invitation is for.
    """

    LENGTH = 12  # longer than other codes, because it is valid for longer
    LIFE = timedelta(days=7)
    LONGEST_LIFE = timedelta(days=30)
    MOST_LIVE = 20

    person = models.ForeignKey(Person, models.CASCADE, related_name="invitations")
    name = models.CharField(max_length=100, blank=True)
    link = models.OneToOneField(CareLink, models.SET_NULL, null=True, related_name="invitation")

    def __str__(self) -> str:
        return f"invitation by {self.person}"
