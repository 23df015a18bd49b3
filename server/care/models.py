"""Models of people, the links between them, institutions, the access log and the audit log."""

from collections.abc import Collection
from datetime import datetime, timedelta, tzinfo
from typing import Any, ClassVar

from django.conf import settings
from django.contrib.auth.models import AbstractUser, UserManager
from django.db import models, transaction
from django.db.models.functions import Coalesce
from django.utils.timezone import now
from django.utils.translation import gettext_lazy as _

from server.common.codes import HashedCode
from server.common.days import validate_timezone, zone_of
from server.common.names import case_mapped, validate_shown_name, validate_username
from server.common.tokens import HashedToken


def named(people: models.QuerySet["Person"], username: str) -> "Person | None":
    """Return the person with this user name in any case, width and encoding.

    Old names that differ in case alone are told apart by their exact spelling.
    """
    found = people.filter(username__in={username, case_mapped(username)})
    by_name = {person.username: person for person in found}
    return by_name.get(username) or by_name.get(case_mapped(username))


class PersonManager(UserManager["Person"]):
    """Finds people as `named` does when they log in."""

    use_in_migrations = False

    def get_by_natural_key(self, username: str | None) -> "Person":
        """Return the person. Raises `Person.DoesNotExist`."""
        if (person := named(self.all(), username or "")) is None:
            raise Person.DoesNotExist
        return person


class Person(AbstractUser):
    """A user: someone who is measured, a caregiver, or both."""

    username = models.CharField(
        _("User name"),
        max_length=150,
        unique=True,
        validators=[validate_username],
        error_messages={"unique": _("This user name is already taken.")},
    )
    first_name = models.CharField(
        _("First name"), max_length=150, blank=True, validators=[validate_shown_name]
    )
    last_name = models.CharField(
        _("Last name"), max_length=150, blank=True, validators=[validate_shown_name]
    )
    timezone = models.CharField(
        max_length=64,
        default="UTC",
        validators=[validate_timezone],
        help_text="IANA name. Used for today's date, and for sessions without a time zone",
    )
    language = models.CharField(max_length=8, default="en", choices=settings.LANGUAGES)

    objects: ClassVar[PersonManager] = PersonManager()

    _password: str | None  # Django's: set by `set_password` until the next `save`

    class Meta(AbstractUser.Meta):
        verbose_name = "person"
        verbose_name_plural = "people"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save. A changed password ends the API tokens, as it ends the browsers' sessions.

        This is here because passwords are also changed by Django's own pages and commands. When
        Django only renews a password's hash, `_password` is `None`.
        """
        if self._password is None or self._state.adding:
            super().save(*args, **kwargs)
            return
        with transaction.atomic():
            super().save(*args, **kwargs)
            live = PersonToken.objects.filter(person=self, revoked_at=None)
            live.update(revoked_at=now(), ended_why=TokenEnd.PASSWORD)

    @classmethod
    def normalize_username(cls, username: str) -> str:
        """Return the form in which the user name is stored."""
        return case_mapped(username)

    def clean(self) -> None:
        """Normalize the user name, unless it is an old one that stays as it is."""
        written = self.username
        super().clean()
        if not self._state.adding and Person.objects.filter(pk=self.pk, username=written).exists():
            self.username = written

    @property
    def label(self) -> str:
        """The name to show on pages."""
        return self.get_full_name() or self.username

    @property
    def zone(self) -> tzinfo:
        """The person's time zone; UTC if this machine no longer knows its name."""
        return zone_of(self.timezone, None, "UTC")


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


class Activation(HashedCode):
    """Allows `person` to set the first password of an account that an institution admin created.

    It ends when that admin, `made_by`, no longer administers the person's institution.
    """

    LENGTH = 12
    LIFE = timedelta(days=7)
    LONGEST_LIFE = timedelta(days=30)

    person = models.ForeignKey(Person, models.CASCADE, related_name="activations")
    made_by = models.ForeignKey(Person, models.CASCADE, null=True, related_name="activations_made")

    def __str__(self) -> str:
        return f"activation of {self.person}"


class TokenScope(models.TextChoices):
    """What an API token allows."""

    READ = "read", _("Read only")
    WRITE = "write", _("Read and write")


class TokenEnd(models.TextChoices):
    """Why an API token was revoked."""

    REVOKED = "revoked", _("revoked on the account page")
    LOGGED_OUT = "logged_out", _("logged out by the app")
    PASSWORD = "password", _("the password was changed")
    REPLACED = "replaced", _("too many apps: a newer one took its place")
    ADMINISTRATOR = "administrator", _("revoked by an administrator")


LONGEST_TOKEN_LIFE = timedelta(days=365)


def in_a_year() -> datetime:
    """Return when a token issued now expires, unless specified otherwise."""
    return now() + LONGEST_TOKEN_LIFE


def token_ends() -> list[tuple[str, Any]]:
    """Return the choices. A function, so that adding a reason needs no migration."""
    return TokenEnd.choices


class PersonToken(HashedToken):
    """A person's API token, used instead of a browser session.

    It ends at `expires_at`, or at `revoked_at` for the reason `ended_why`. `name` says which app
    has it.
    """

    KIND = "blp_"
    HOLDER = FETCHED = "person"
    MOST_LIVE = 20  # enough for phones, scripts and forgotten ones
    REPLACED = {"ended_why": TokenEnd.REPLACED}
    LONGEST_NAME = 64

    person = models.ForeignKey(Person, models.CASCADE, related_name="tokens")
    name = models.CharField(max_length=LONGEST_NAME, default="App")
    scope = models.CharField(max_length=8, choices=TokenScope.choices, default=TokenScope.WRITE)
    expires_at = models.DateTimeField(default=in_a_year)
    ended_why = models.CharField(max_length=16, choices=token_ends, blank=True, editable=False)

    @classmethod
    def live(cls, holder: models.Model) -> models.QuerySet["PersonToken"]:
        """Return the person's valid tokens, newest first."""
        return super().live(holder).filter(expires_at__gt=now())

    @classmethod
    def by_use(cls, holder: models.Model) -> models.QuerySet["PersonToken"]:
        """Return the person's valid tokens, those unused for longest last."""
        return cls.live(holder).order_by(Coalesce("last_used_at", "created_at").desc(), "-id")

    @classmethod
    def find(cls, token: str) -> "PersonToken | None":
        """Return the valid token with this text, with its person prefetched."""
        found = super().find(token)
        return found if found and found.expires_at > now() else None

    @property
    def label(self) -> str:
        """The name with the token's first characters, as in the audit log."""
        return f"{self.name} ({self.prefix}…)"

    def revoke(self, why: TokenEnd = TokenEnd.REVOKED) -> None:
        """Revoke the token: the next request with it fails, and is told why."""
        self.revoked_at, self.ended_why = self.revoked_at or now(), why
        self.save(update_fields=["revoked_at", "ended_why"])


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
        indexes = [
            models.Index(fields=["person", "-last_at"], name="looks_at_a_person"),
            models.Index(fields=["last_at"], name="looks_by_age"),
            models.Index(
                fields=["session_id"],
                condition=models.Q(session_id__isnull=False),
                name="looks_at_a_session",
            ),
        ]
        verbose_name_plural = "access log"

    def __str__(self) -> str:
        return f"{self.viewer_name}: {self.what}"


class Institution(models.Model):
    """A home, clinic or study, whose admins manage its members' accounts, devices and links.

    This gives admins no access to measurements: `access.py` ignores institutions.
    """

    name = models.CharField(max_length=100, unique=True)
    created_at = models.DateTimeField(default=now, editable=False)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Role(models.TextChoices):
    """A member's role in an institution."""

    ADMIN = "admin", _("Administrator")
    MEMBER = "member", _("Member")


class Membership(models.Model):
    """A person's membership in an institution: at most one, so that it is clear who administers."""

    institution = models.ForeignKey(Institution, models.CASCADE, related_name="memberships")
    person = models.OneToOneField(Person, models.CASCADE, related_name="membership")
    role = models.CharField(max_length=8, choices=Role.choices, default=Role.MEMBER)
    since = models.DateTimeField(default=now, editable=False)

    class Meta:
        ordering = ["person__username"]

    def __str__(self) -> str:
        return f"{self.person}: {self.get_role_display()}, {self.institution}"


class AuditEvent(models.TextChoices):
    """The kinds of entries in the audit log."""

    LOGIN = "login", _("Logged in")
    LOGIN_FAILED = "login_failed", _("Login failed")
    LOGOUT = "logout", _("Logged out")
    SIGN_UP = "sign_up", _("Account created")
    PASSWORD_CHANGED = "password_changed", _("Password changed")
    SECOND_FACTOR_ON = "second_factor_on", _("Two-factor authentication turned on")
    SECOND_FACTOR_OFF = "second_factor_off", _("Two-factor authentication turned off")
    TOKEN_ISSUED = "token_issued", _("App access granted")
    TOKEN_REVOKED = "token_revoked", _("App access revoked")
    INVITED = "invited", _("Invitation created")
    INVITATION_ENDED = "invitation_ended", _("Invitation withdrawn")
    LINK_ACCEPTED = "link_accepted", _("Invitation accepted")
    LINK_CHANGED = "link_changed", _("Permissions changed")
    LINK_ENDED = "link_ended", _("Sharing ended")
    CODE_MADE = "code_made", _("Device code created")
    DEVICE_CLAIMED = "device_claimed", _("Device added")
    DEVICE_RENAMED = "device_renamed", _("Device renamed")
    DEVICE_ROTATED = "device_rotated", _("Device credentials renewed")
    DEVICE_REVOKED = "device_revoked", _("Device blocked")
    DEVICE_REASSIGNED = "device_reassigned", _("Device reassigned")
    ROLE_CHANGED = "role_changed", _("Role changed")
    ACCOUNT_CHANGED = "account_changed", _("Account changed by an administrator")
    EXPORTED = "exported", _("Data exported")
    DELETED = "deleted", _("Data deleted")
    RETENTION_CHANGED = "retention_changed", _("Retention changed")
    BACKUP_RESTORED = "backup_restored", _("Backup restored")


def audit_events() -> list[tuple[str, Any]]:
    """Return the choices. A function, so that adding an event needs no migration."""
    return AuditEvent.choices


class AuditEntry(models.Model):
    """An entry of the audit log: `actor` did `event`, to or concerning `subject`.

    It was done `count` times from `at` until `last_at`. The names are kept when the accounts are
    deleted. `institution` is set if its admin acted; all its admins can read the entry.
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
    last_at = models.DateTimeField(default=now)
    count = models.PositiveIntegerField(default=1)

    class Meta:
        ordering = ["-last_at", "-id"]
        indexes = [
            models.Index(fields=["last_at"], name="audit_entries_by_age"),
            models.Index(fields=["event", "at"], name="audit_entries_of_an_event"),
        ]
        verbose_name_plural = "audit log"

    def __str__(self) -> str:
        return f"{self.actor_name or 'somebody'}: {self.get_event_display()}"


class LoginFailure(models.Model):
    """A failed attempt, counted by name, address or both. `key` is a keyed hash."""

    key = models.CharField(max_length=64)
    at = models.DateTimeField(default=now)

    class Meta:
        indexes = [
            models.Index(fields=["key", "at"], name="failures_of_a_key"),
            models.Index(fields=["at"], name="failures_by_age"),
        ]

    def __str__(self) -> str:
        return f"{self.key[:8]} {self.at:%H:%M}"
