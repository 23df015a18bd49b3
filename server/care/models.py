"""People, links between them, who looked at whom, and who did what."""

import zoneinfo
from collections.abc import Collection
from datetime import timedelta, tzinfo
from typing import Any

from django.conf import settings
from django.contrib.auth.models import AbstractUser
from django.core.exceptions import ValidationError
from django.db import models
from django.utils.timezone import now
from django.utils.translation import gettext_lazy as _

from server.common.codes import HashedCode
from server.common.days import zone_of
from server.common.tokens import HashedToken


def validate_timezone(name: str) -> None:
    """Refuse what is not an IANA zone of this machine."""
    if name not in zoneinfo.available_timezones():
        raise ValidationError(
            _("“%(name)s” is not a time zone, such as Europe/Berlin."), params={"name": name}
        )


class Person(AbstractUser):
    """Somebody who is measured, cares for somebody, or both."""

    timezone = models.CharField(
        max_length=64,
        default="UTC",
        validators=[validate_timezone],
        help_text="IANA name: today, and sessions that don't say their own zone, are judged by it",
    )
    language = models.CharField(max_length=8, default="en", choices=settings.LANGUAGES)

    class Meta(AbstractUser.Meta):
        verbose_name = "person"
        verbose_name_plural = "people"

    @property
    def label(self) -> str:
        """How this person is called on a page."""
        return self.get_full_name() or self.username

    @property
    def zone(self) -> tzinfo:
        """The person's time zone; UTC if this machine no longer knows its name."""
        return zone_of(self.timezone, None, "UTC")


class Permission(models.TextChoices):
    """What is given to a caregiver: past sessions, the one under way, start and stop, be told."""

    HISTORY = "history", _("History")
    LIVE = "live", _("Live")
    CONTROL = "control", _("Start and stop")
    ALERTS = "alerts", _("Alerts")


# The column in which each is kept, of a link and of an invitation to one.
COLUMNS = {
    Permission.HISTORY: "may_see_history",
    Permission.LIVE: "may_see_live",
    Permission.CONTROL: "may_control",
    Permission.ALERTS: "may_get_alerts",
}


class Permitting(models.Model):
    """The permissions given. Viewing is on by default; control and alerts must be granted."""

    may_see_history = models.BooleanField(default=True)
    may_see_live = models.BooleanField(default=True)
    may_control = models.BooleanField(default=False)
    may_get_alerts = models.BooleanField(default=False)

    class Meta:
        abstract = True

    @property
    def permissions(self) -> frozenset[Permission]:
        """Those that are given."""
        return frozenset(each for each, column in COLUMNS.items() if getattr(self, column))

    def permit(self, permissions: Collection[str]) -> None:
        """Give these and no other; not saved."""
        for permission, column in COLUMNS.items():
            setattr(self, column, permission in permissions)


class CareLink(Permitting):
    """`caregiver` may do what is permitted with `person`, from `created_at` until `ended_at`."""

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
        """From the next request on, the caregiver sees nothing of this person.

        Whether it had not ended before.
        """
        self.ended_at = self.ended_at or now()
        rows = CareLink.objects.filter(pk=self.pk, ended_at=None)
        return rows.update(ended_at=self.ended_at) == 1


class Invitation(HashedCode, Permitting):
    """Lets whoever accepts it become a caregiver of `person`, with these permissions.

    `name`: for whom it is meant, in the person's words.
    """

    LENGTH = 12  # it lives longer than a code that is typed from one screen to the next
    LIFE = timedelta(days=7)
    LONGEST_LIFE = timedelta(days=30)
    MOST_LIVE = 20

    person = models.ForeignKey(Person, models.CASCADE, related_name="invitations")
    name = models.CharField(max_length=100, blank=True)
    link = models.OneToOneField(CareLink, models.SET_NULL, null=True, related_name="invitation")

    def __str__(self) -> str:
        return f"invitation by {self.person}"


class Activation(HashedCode):
    """Sets the first password of `person`, whose account an institution's admin made."""

    LENGTH = 12
    LIFE = timedelta(days=7)
    LONGEST_LIFE = timedelta(days=30)

    person = models.ForeignKey(Person, models.CASCADE, related_name="activations")

    def __str__(self) -> str:
        return f"activation of {self.person}"


class PersonToken(HashedToken):
    """Opens the API for a person, in place of a browser's session."""

    KIND = "blp_"
    HOLDER = FETCHED = "person"
    MOST_LIVE = 20  # a phone, a script or two, some forgotten; not an unbounded pile

    person = models.ForeignKey(Person, models.CASCADE, related_name="tokens")


class AccessLog(models.Model):
    """`viewer` looked at `person`'s data: `views` times between `first_at` and `last_at`."""

    person = models.ForeignKey(Person, models.CASCADE, related_name="looked_at", db_index=False)
    viewer = models.ForeignKey(Person, models.SET_NULL, null=True, related_name="looks")
    viewer_name = models.CharField(max_length=150, help_text="Kept when the account is deleted")
    what = models.CharField(max_length=32)
    session_id = models.UUIDField(null=True, blank=True)
    first_at = models.DateTimeField(default=now)
    last_at = models.DateTimeField(default=now)
    views = models.PositiveIntegerField(default=1)

    class Meta:
        ordering = ["-last_at", "-id"]
        indexes = [models.Index(fields=["person", "-last_at"], name="looks_at_a_person")]
        verbose_name_plural = "access log"

    def __str__(self) -> str:
        return f"{self.viewer_name}: {self.what}"


class Institution(models.Model):
    """A home, a clinic, a study: its admins look after its members' accounts, devices and links.

    They see nobody's measurements by that: nothing in `access.py` asks for an institution.
    """

    name = models.CharField(max_length=100, unique=True)
    created_at = models.DateTimeField(default=now, editable=False)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Role(models.TextChoices):
    """Of somebody in an institution."""

    ADMIN = "admin", _("Administrator")
    MEMBER = "member", _("Member")


class Membership(models.Model):
    """Somebody belongs to an institution: to one at most, so that it is clear who administers."""

    institution = models.ForeignKey(Institution, models.CASCADE, related_name="memberships")
    person = models.OneToOneField(Person, models.CASCADE, related_name="membership")
    role = models.CharField(max_length=8, choices=Role.choices, default=Role.MEMBER)
    since = models.DateTimeField(default=now, editable=False)

    class Meta:
        ordering = ["person__username"]

    def __str__(self) -> str:
        return f"{self.person}: {self.get_role_display()}, {self.institution}"


class AuditEvent(models.TextChoices):
    """What the audit log keeps."""

    LOGIN = "login", _("Logged in")
    LOGIN_FAILED = "login_failed", _("Log-in failed")
    LOGOUT = "logout", _("Logged out")
    SIGN_UP = "sign_up", _("Account made")
    PASSWORD_CHANGED = "password_changed", _("Password changed")
    SECOND_FACTOR_ON = "second_factor_on", _("Second factor on")
    SECOND_FACTOR_OFF = "second_factor_off", _("Second factor off")
    TOKEN_ISSUED = "token_issued", _("App let in")
    TOKEN_REVOKED = "token_revoked", _("App shut out")
    INVITED = "invited", _("Invited somebody")
    INVITATION_ENDED = "invitation_ended", _("Invitation withdrawn")
    LINK_ACCEPTED = "link_accepted", _("Invitation accepted")
    LINK_CHANGED = "link_changed", _("Permissions changed")
    LINK_ENDED = "link_ended", _("Sharing ended")
    CODE_MADE = "code_made", _("Device code made")
    DEVICE_CLAIMED = "device_claimed", _("Device added")
    DEVICE_RENAMED = "device_renamed", _("Device renamed")
    DEVICE_ROTATED = "device_rotated", _("Device credentials renewed")
    DEVICE_REVOKED = "device_revoked", _("Device revoked")
    DEVICE_REASSIGNED = "device_reassigned", _("Device given to somebody else")
    ROLE_CHANGED = "role_changed", _("Role changed")
    EXPORTED = "exported", _("Data exported")
    DELETED = "deleted", _("Data deleted")
    RETENTION_CHANGED = "retention_changed", _("Retention changed")
    BACKUP_RESTORED = "backup_restored", _("Backup restored")


def audit_events() -> list[tuple[str, Any]]:
    """A function, so that one event more is no migration."""
    return AuditEvent.choices


class AuditEntry(models.Model):
    """`actor` did `event`, with or to `subject`. Names are kept when the accounts are deleted.

    `institution`: in whose administration; its admins read it too.
    """

    LONGEST_DETAIL = 200

    at = models.DateTimeField(default=now)
    event = models.CharField(max_length=32, choices=audit_events)
    actor = models.ForeignKey(Person, models.SET_NULL, null=True, related_name="acts")
    actor_name = models.CharField(max_length=150, blank=True)
    subject = models.ForeignKey(Person, models.SET_NULL, null=True, related_name="acts_upon")
    subject_name = models.CharField(max_length=150, blank=True)
    institution = models.ForeignKey(
        Institution, models.SET_NULL, null=True, related_name="audit_entries"
    )
    detail = models.CharField(max_length=LONGEST_DETAIL, blank=True)

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "audit log"

    def __str__(self) -> str:
        return f"{self.actor_name or 'somebody'}: {self.get_event_display()}"


class LoginFailure(models.Model):
    """One failed log-in, counted against a name, an address or both (`key` is keyed and hashed)."""

    key = models.CharField(max_length=64)
    at = models.DateTimeField(default=now)

    class Meta:
        indexes = [
            models.Index(fields=["key", "at"], name="failures_of_a_key"),
            models.Index(fields=["at"], name="failures_by_age"),
        ]

    def __str__(self) -> str:
        return f"{self.key[:8]} {self.at:%H:%M}"
