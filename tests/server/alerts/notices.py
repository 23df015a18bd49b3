"""Who is to be told, and how."""

from datetime import timedelta

from django.utils import timezone

from server.alerts.models import Kind, Receiver, Rule
from server.care.models import CareLink
from server.devices.models import Device


def prepare(world):
    CareLink.objects.filter(caregiver=world.carl, ended_at=None).update(may_get_alerts=True)
    Rule.objects.create(receiver=world.carl, person=world.anna, kind=Kind.DEVICE_SILENT, minutes=30)
    Device.objects.filter(pk=world.device.pk).update(
        last_seen_at=timezone.now() - timedelta(hours=1)
    )
    return world


def tell(world, **ways) -> Receiver:
    return Receiver.objects.create(person=world.carl, **ways)


def by_mail(world, **more) -> Receiver:
    mail = {"by_email": True, "email": "carl@example.org", "confirmed_email": "carl@example.org"}
    return tell(world, **mail | more)


def heard_again(world) -> None:
    Device.objects.filter(pk=world.device.pk).update(last_seen_at=timezone.now())


def words(message) -> str:
    return message.get_content()
