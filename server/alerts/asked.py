"""Tell people by e-mail that somebody asks for access to their data.

It is in this app because the address is the one for alerts. The request is read beside the web
request, for a name that nobody has too, so that time does not say who is a member.
"""

import logging
from datetime import timedelta
from typing import Any

from django.db import Error

from server.alerts.delivery import mail
from server.alerts.delivery.outbox import SendError
from server.alerts.models import Receiver, Way
from server.alerts.recovery import beside
from server.care.models import AccessRequest

log = logging.getLogger(__name__)

# One asker's further requests within this time are only on the page.
ONE_MAIL = timedelta(days=1)


def on_asked(request: AccessRequest, **_: Any) -> None:
    """Tell the person of the request, if this server sends e-mail."""
    if mail.configured():
        beside(lambda: tell(request.pk))


def tell(pk: int) -> None:
    """Send the e-mail, if the request reaches somebody who gets e-mail. Errors are logged."""
    try:
        request = AccessRequest.objects.select_related("asker", "institution", "person").get(pk=pk)
        receiver = Receiver.objects.filter(person=request.person_id or 0).first()
        if receiver and Way.EMAIL in receiver.ways() and not _told_lately(request):
            mail.send(mail.access_asked(request, receiver))
    except (SendError, Error, AccessRequest.DoesNotExist) as error:
        log.warning("a request for access could not be told by e-mail: %s", error)


def _told_lately(request: AccessRequest) -> bool:
    earlier = AccessRequest.objects.filter(
        asker=request.asker, person=request.person, pk__lt=request.pk
    )
    return earlier.filter(made_at__gt=request.made_at - ONE_MAIL).exists()
