"""Requests of members of an institution for access to another member's data."""

from datetime import datetime, timedelta

from django.db import models
from django.db.models import Exists, F, OuterRef, Q
from django.utils.timezone import now

from server.care.models.institutions import Institution
from server.care.models.people import Person
from server.care.models.sharing import Permitting


def in_two_weeks() -> datetime:
    """Return when a request made now expires."""
    return now() + AccessRequest.LIFE


class AccessRequest(Permitting):
    """`asker` asks the member whom they called `name` for these permissions.

    `person` is that member. It is `None` if the request reaches nobody: because nobody has the
    name, several do, or the member has declined or has too many requests. What the asker sees
    depends neither on `person` nor on `declined_at`: it is the same for a name that nobody has.
    """

    LIFE = timedelta(days=14)
    DECLINED_FOR = timedelta(days=30)  # in this time, the same asker does not reach the person
    MOST_SENT = 20  # open ones of one asker
    MOST_A_DAY = 30  # of one asker, also withdrawn ones
    MOST_RECEIVED = 20  # open ones that one person has to answer
    LONGEST_NAME = 301  # a first and a last name
    LONGEST_MESSAGE = 200

    asker = models.ForeignKey(Person, models.CASCADE, related_name="access_requests")
    institution = models.ForeignKey(Institution, models.CASCADE, related_name="access_requests")
    name = models.CharField(max_length=LONGEST_NAME)
    person = models.ForeignKey(
        Person, models.SET_NULL, null=True, related_name="access_requests_received"
    )
    message = models.CharField(max_length=LONGEST_MESSAGE, blank=True)
    made_at = models.DateTimeField(default=now, editable=False)
    expires_at = models.DateTimeField(default=in_two_weeks)
    withdrawn_at = models.DateTimeField(null=True)
    declined_at = models.DateTimeField(null=True)
    granted_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-made_at", "-id"]
        indexes = [models.Index(fields=["expires_at"], name="access_requests_by_age")]

    def __str__(self) -> str:
        return f"{self.asker} asks {self.name}"

    @classmethod
    def sent_by(cls, asker: Person) -> models.QuerySet["AccessRequest"]:
        """Return the asker's open requests as the asker sees them, newest first.

        A declined request stays open until it expires.
        """
        return cls._of_members("asker").filter(asker=asker)

    @classmethod
    def received_by(cls, person: Person) -> models.QuerySet["AccessRequest"]:
        """Return the open requests that the person can answer, newest first: one of each asker."""
        newer = cls.objects.filter(
            OPEN,
            asker=OuterRef("asker"),
            person=OuterRef("person"),
            expires_at__gt=now(),
            pk__gt=OuterRef("pk"),
        )
        found = cls._of_members("asker", "person").filter(
            person=person, declined_at=None, asker__is_active=True
        )
        return found.exclude(Exists(newer)).select_related("asker", "institution")

    @classmethod
    def _of_members(cls, *sides: str) -> models.QuerySet["AccessRequest"]:
        """Return requests that have not ended and whose sides have been members ever since."""
        rows = cls.objects.filter(withdrawn_at=None, granted_at=None, expires_at__gt=now())
        for side in sides:
            rows = rows.filter(
                **{
                    f"{side}__membership__institution": F("institution"),
                    f"{side}__membership__since__lte": F("made_at"),
                }
            )
        return rows


# Neither withdrawn nor answered. It names no other table, so that an `update` checks it again when
# it has waited for another one.
OPEN = Q(withdrawn_at=None, declined_at=None, granted_at=None)
