"""A notice reaches a webhook: signed, tried again, and only where it may go."""

import hashlib
import hmac
import json
import socket
import threading
from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from server.alerts.delivery import outbox, outgoing
from server.alerts.delivery.outbox import SendError
from server.alerts.delivery.sending import deliver_all
from server.alerts.judge import judge
from server.alerts.models import Delivery
from tests.server.alerts.notices import tell


def test_a_webhook_gets_signed_json(silent, hook):
    receiver = tell(silent, webhook_url=hook.url)
    judge()
    assert deliver_all() == (1, 0)
    ((headers, body),) = hook.taken
    told = json.loads(body)
    assert (told["event"], told["alert"]["kind"]) == ("opened", "device_silent")
    assert told["alert"]["user"] == "anna"
    assert told["alert"]["measured"]["minutes"] == 30
    at, _, made = headers["Blinklog-Signature"].partition(",v1=")
    signed = at.removeprefix("t=").encode() + b"." + body
    expected = hmac.new(receiver.webhook_secret.encode(), signed, hashlib.sha256).hexdigest()
    assert made == expected


def test_a_webhook_that_fails_is_tried_again_more_and_more_rarely_and_not_for_ever(silent, hook):
    tell(silent, webhook_url=hook.url)
    hook.answers = 500
    judge()
    pauses = []
    for _ in range(outbox.MOST_TRIES):
        before = timezone.now()
        deliver_all()
        pauses.append(Delivery.objects.get().due_at - before)
        Delivery.objects.update(due_at=timezone.now())
    assert len(hook.taken) == outbox.MOST_TRIES
    assert pauses[3] > timedelta(minutes=7)
    assert max(pauses) < timedelta(minutes=61)
    assert deliver_all() == (0, 0)
    assert Delivery.objects.get().problem == "the webhook answered 500"


def test_redirects_are_not_followed(silent, hook):
    tell(silent, webhook_url=hook.url)
    hook.answers = 302
    judge()
    assert deliver_all() == (0, 1)
    assert len(hook.taken) == 1


def test_what_drips_in_for_ever_is_cut_off(monkeypatch, settings):
    settings.WEBHOOK_PRIVATE = True
    monkeypatch.setattr(outgoing, "WHOLE_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = f"http://127.0.0.1:{listening.getsockname()[1]}/"
        with pytest.raises(SendError, match="can't be reached"):
            outgoing.exchange(address, b"{}", {})


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0",
        "224.0.0.1", "::1", "fe80::1", "fc00::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
        "64:ff9b::7f00:1", "2002:7f00:1::", "::",
        "64:ff9b:1::a00:1", "::7f00:1", "::ffff:0:7f00:1", "100::1", "100:0:0:1::1",
        "2001::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:2::1", "2001:10::1", "2001:20::1",
        "2001:3::1", "2001:4:112::1", "2620:4f:8000::1", "2001:db8::1", "3fff::1", "3ffe::1",
        "5f00::1", "fec0::1", "feff::1", "4000::1", "8000::1", "e000::1", "ff02::1", "ff0e::1",
        "172.16.0.1", "172.31.255.255", "192.0.0.8", "192.0.2.1", "192.31.196.1", "192.52.193.1",
        "192.88.99.1", "192.175.48.1", "198.18.0.1", "198.19.255.255", "198.51.100.1",
        "203.0.113.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
    ],
)  # fmt: skip
def test_a_webhook_leads_nowhere_but_outside(address, monkeypatch):
    def no_connection(*_, **__):
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket, "create_connection", no_connection)
    host = f"[{address}]" if ":" in address else address
    with pytest.raises(ValidationError):
        outgoing.check_url(f"http://{host}/")
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    # A public name that stands for it, or for it and a good one.
    found = [(family, 1, 6, "", ("93.184.215.14", 80)), (family, 1, 6, "", (address, 80))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    with pytest.raises(SendError, match="does not call"):
        outgoing.exchange("http://innocent.example/", b"{}", {})


@pytest.mark.parametrize(
    "address",
    ["8.8.8.8", "100.63.255.255", "100.128.0.1", "172.15.0.1", "172.32.0.1", "198.17.255.255",
     "198.20.0.1", "223.255.255.255", "2001:200::1", "2003::1", "2606:4700::1", "3ffd::1"],
)  # fmt: skip
def test_a_public_address_is_allowed(address):
    host = f"[{address}]" if ":" in address else address
    outgoing.check_url(f"http://{host}/")


@pytest.mark.parametrize(
    "address",
    ["169.254.169.254", "fe80::1", "64:ff9b::a00:1", "64:ff9b:1::a00:1", "::ffff:10.0.0.1",
     "240.0.0.1", "fec0::1", "ff02::1", "0.0.0.0"],
)  # fmt: skip
def test_private_webhooks_reach_local_networks_and_no_other_special_ones(address, settings):
    settings.WEBHOOK_PRIVATE = True
    for local in ("127.0.0.1", "192.168.1.2", "[fd00::2]"):
        outgoing.check_url(f"http://{local}/")
    host = f"[{address}]" if ":" in address else address
    with pytest.raises(ValidationError):
        outgoing.check_url(f"http://{host}/")


def test_the_connection_goes_to_the_address_that_was_looked_at(hook, settings, monkeypatch):
    real, asked = socket.getaddrinfo, []

    def resolve(host, port, *args, **kwargs):
        asked.append(host)
        return real("127.0.0.1", port, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    status = outgoing.exchange(f"http://no.such.name.example:{hook.port}/", b"{}", {})
    assert status == 204
    assert hook.taken[0][0]["Host"].startswith("no.such.name.example")
    assert asked.count("no.such.name.example") == 1


def test_a_name_that_is_not_resolved_in_time_has_no_address(monkeypatch):
    monkeypatch.setattr(outgoing, "RESOLVE_S", 0.05)
    done = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: done.wait(30))
    try:
        with pytest.raises(SendError, match="no address"):
            outgoing.exchange("http://slow.example/", b"{}", {})
        assert not done.is_set()
    finally:
        done.set()


def test_an_address_that_no_connection_can_be_made_to_is_a_failure_to_send(monkeypatch):
    monkeypatch.setattr(outgoing, "check_url", lambda _: None)  # one that nobody thought of
    with pytest.raises(SendError, match="can't be reached: InvalidURL"):
        outgoing.exchange("https://exa\x7fmple.org/", b"{}", {})


@pytest.mark.parametrize(
    "address",
    ["ftp://example.org/", "file:///etc/passwd", "example.org", "http://", "http://u:p@e.org/",
     "http://e.org:99999/", "http://e.org/a b", "http://e.org/\r\nX: y", "http://[::1/",
     "https://exa\x7fmple.org/"],
)  # fmt: skip
def test_what_is_no_address_of_a_webhook_is_refused(address):
    with pytest.raises(ValidationError):
        outgoing.check_url(address)
