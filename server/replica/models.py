"""The position that the replica must have reached for queries about a person."""

from django.db import models

from server.care.models import Person


class LastWrite(models.Model):
    """A person's last request that may have written something.

    `lsn` is the primary's position in the write-ahead log after it, in bytes. A replica that
    has replayed the log up to there has what the request wrote. `at` is by the primary's clock.
    """

    person = models.OneToOneField(
        Person, models.CASCADE, primary_key=True, related_name="+", editable=False
    )
    lsn = models.BigIntegerField()
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.person_id}: {self.lsn}"
