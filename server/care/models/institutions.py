"""Institutions, their members, and activation codes for accounts that they create."""

from datetime import timedelta

from django.db import models
from django.utils.timezone import now
from django.utils.translation import gettext_lazy as _

from server.care.models.people import Person
from server.common.codes import HashedCode


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
