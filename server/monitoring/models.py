"""Counts of MQTT documents, and signs of life of the server's processes."""

from django.db import models


class Tally(models.Model):
    """How many documents came in by MQTT, by what became of them, since the beginning."""

    outcome = models.CharField(max_length=16, primary_key=True)
    count = models.PositiveBigIntegerField(default=0)

    class Meta:
        app_label = "keeping"  # the tables are older than this room
        verbose_name_plural = "tallies"

    def __str__(self) -> str:
        return f"{self.outcome}: {self.count}"


class Sign(models.Model):
    """The last sign of life of a part of the server: a consumer, the timers' commands."""

    name = models.CharField(max_length=64, primary_key=True)
    at = models.DateTimeField()

    class Meta:
        app_label = "keeping"  # the tables are older than this room

    def __str__(self) -> str:
        return f"{self.name}: {self.at:%Y-%m-%d %H:%M:%S}"
