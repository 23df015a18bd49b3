"""The access log, the audit log, and failed log-ins."""

from typing import Any

from django.db import models
from django.utils.timezone import now
from django.utils.translation import gettext_lazy as _

from server.care.models.institutions import Institution
from server.care.models.people import Person


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


class AuditEvent(models.TextChoices):
    """The kinds of entries in the audit log."""

    LOGIN = "login", _("Logged in")
    LOGIN_FAILED = "login_failed", _("Login failed")
    LOGOUT = "logout", _("Logged out")
    SIGN_UP = "sign_up", _("Account created")
    PASSWORD_CHANGED = "password_changed", _("Password changed")
    ADDRESS_CONFIRMED = "address_confirmed", _("E-mail address confirmed")
    SECOND_FACTOR_ON = "second_factor_on", _("Two-factor authentication turned on")
    SECOND_FACTOR_OFF = "second_factor_off", _("Two-factor authentication turned off")
    TOKEN_ISSUED = "token_issued", _("App access granted")
    TOKEN_REVOKED = "token_revoked", _("App access revoked")
    INVITED = "invited", _("Invitation created")
    INVITATION_ENDED = "invitation_ended", _("Invitation withdrawn")
    LINK_ACCEPTED = "link_accepted", _("Invitation accepted")
    LINK_CHANGED = "link_changed", _("Permissions changed")
    LINK_ENDED = "link_ended", _("Sharing ended")
    ACCESS_ASKED = "access_asked", _("Access requested")
    ACCESS_WITHDRAWN = "access_withdrawn", _("Request for access withdrawn")
    ACCESS_DECLINED = "access_declined", _("Request for access declined")
    ACCESS_GRANTED = "access_granted", _("Request for access accepted")
    CODE_MADE = "code_made", _("Device code created")
    DEVICE_CLAIMED = "device_claimed", _("Device added")
    DEVICE_RENAMED = "device_renamed", _("Device renamed")
    DEVICE_ROTATED = "device_rotated", _("Device credentials renewed")
    DEVICE_REVOKED = "device_revoked", _("Device blocked")
    DEVICE_REASSIGNED = "device_reassigned", _("Device reassigned")
    UPDATE_ASKED = "update_asked", _("Device update requested")
    UPDATE_WITHDRAWN = "update_withdrawn", _("Device update cancelled")
    UPDATE_ENDED = "update_ended", _("Device update ended")
    REMINDING_CHANGED = "reminding_changed", _("Blink reminders changed")
    ALERT_TAKEN = "alert_taken", _("Alert acknowledged")
    ALERT_GIVEN_BACK = "alert_given_back", _("Alert given back")
    ALERT_SNOOZED = "alert_snoozed", _("Alert snoozed")
    ALERT_HANDED_OVER = "alert_handed_over", _("Alert handed over")
    ALERT_ESCALATED = "alert_escalated", _("Alert escalated")
    NOT_THEIRS = "not_theirs", _("Session marked as somebody else's")
    THEIRS_AGAIN = "theirs_again", _("Mark as somebody else's removed")
    ACTIVITY_CHOSEN = "activity_chosen", _("Activity of a session chosen")
    ACTIVITY_TAKEN_BACK = "activity_taken_back", _("Device's activity used again")
    NOTE_ADDED = "note_added", _("Note added")
    NOTE_CHANGED = "note_changed", _("Note changed")
    NOTE_DELETED = "note_deleted", _("Note deleted")
    SHEET_SHARED = "sheet_shared", _("Link to the page for the doctor created")
    SHEET_WITHDRAWN = "sheet_withdrawn", _("Link to the page for the doctor revoked")
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
