"""Models of MQTT document counts and of heartbeats."""

from django.db import models


class Tally(models.Model):
    """The total number of documents received by MQTT with one outcome."""

    outcome = models.CharField(max_length=16, primary_key=True)
    count = models.PositiveBigIntegerField(default=0)

    class Meta:
        app_label = "keeping"  # the tables are older than this room
        verbose_name_plural = "tallies"

    def __str__(self) -> str:
        return f"{self.outcome}: {self.count}"


class Sign(models.Model):
    """The last heartbeat of a part of the server: the consumer, or a command run by a timer."""

    name = models.CharField(max_length=64, primary_key=True)
    at = models.DateTimeField()

    class Meta:
        app_label = "keeping"  # the tables are older than this room

    def __str__(self) -> str:
        return f"{self.name}: {self.at:%Y-%m-%d %H:%M:%S}"
