"""Pushes by ntfy and by Apprise, and the link in a message that acknowledges it once."""

import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.exceptions import ValidationError
from django.test import Client
from django.utils import timezone

from server.alerts.delivery import apprise, ntfy
from server.alerts.delivery.sending import deliver_all
from server.alerts.judge import judge
from server.alerts.models import Acknowledgement, Alert, Delivery, Kind, Receiver, Rule
from server.care.models import CareLink
from server.devices.models import Device
from tests import receivers

PUBLIC = "https://blinklog.example.org"


@pytest.fixture
def hook(settings):
    settings.WEBHOOK_PRIVATE = True
    settings.PUBLIC_URL = PUBLIC
    with receivers.webhook() as hook:
        yield hook


@pytest.fixture
def silent(world):
    CareLink.objects.filter(caregiver=world.carl, ended_at=None).update(may_get_alerts=True)
    Rule.objects.create(receiver=world.carl, person=world.anna, kind=Kind.DEVICE_SILENT, minutes=30)
    Device.objects.filter(pk=world.device.pk).update(
        last_seen_at=timezone.now() - timedelta(hours=1)
    )
    return world


def topic(hook) -> str:
    return f"http://127.0.0.1:{hook.port}/carls-topic"


def pushed(hook) -> dict:
    return json.loads(hook.taken[-1][1])


def test_a_push_has_the_heading_no_measurement_and_a_button(silent, hook):
    Receiver.objects.create(person=silent.carl, ntfy_url=topic(hook), ntfy_token="tk_1")
    judge()
    assert deliver_all() == (1, 0)
    headers, _body = hook.taken[0]
    told = pushed(hook)
    assert headers["Authorization"] == "Bearer tk_1"
    assert (told["topic"], told["title"]) == ("carls-topic", "Blinklog: alert for anna")
    assert told["message"].startswith("Kitchen has not been connected since ")
    assert told["click"] == f"{PUBLIC}/alerts/"
    (button,) = told["actions"]
    assert (button["action"], button["clear"]) == ("http", True)
    assert button["url"].startswith(f"{PUBLIC}/alerts/link/")


def press(hook, client=None):
    """Press the button of the last push, as the app does: a POST without cookies."""
    path = pushed(hook)["actions"][0]["url"].removeprefix(PUBLIC)
    return (client or Client(enforce_csrf_checks=True)).post(path)


def test_its_button_acknowledges_without_a_log_in_and_works_once(silent, hook):
    Receiver.objects.create(person=silent.carl, ntfy_url=topic(hook))
    judge()
    deliver_all()
    path = pushed(hook)["actions"][0]["url"].removeprefix(PUBLIC)
    shown = Client().get(path)
    assert shown.status_code == 200
    assert not Acknowledgement.objects.exists()  # a mail server that opens it changes nothing
    assert press(hook).status_code == 200
    assert Acknowledgement.objects.get().by == silent.carl
    Acknowledgement.objects.all().delete()
    assert press(hook).status_code == 410
    assert not Acknowledgement.objects.exists()


def test_the_link_ends_with_the_permission_and_with_the_alert(silent, hook):
    Receiver.objects.create(person=silent.carl, ntfy_url=topic(hook))
    judge()
    deliver_all()
    CareLink.objects.filter(caregiver=silent.carl).update(may_get_alerts=False)
    assert press(hook).status_code == 410
    Delivery.objects.update(acted_at=None)
    Alert.objects.update(resolved_at=timezone.now())
    assert "resolved already" in press(hook).content.decode()
    assert not Acknowledgement.objects.exists()


@pytest.mark.parametrize("change", ["x", "", "reversed", "old"])
def test_a_link_that_was_not_made_here_or_is_old_leads_nowhere(silent, hook, change, monkeypatch):
    Receiver.objects.create(person=silent.carl, ntfy_url=topic(hook))
    judge()
    deliver_all()
    token = pushed(hook)["actions"][0]["url"].rpartition("link/")[2].rstrip("/")
    if change == "old":
        monkeypatch.setattr("server.alerts.handling.links.VALID_S", -1)
    token = {"reversed": token[::-1], "old": token}.get(change) or token[:-1] + (change or "é")
    assert Client().post(f"/alerts/link/{token}/").status_code == 404


@pytest.mark.parametrize("status", [401, 403])
def test_a_topic_that_refuses_us_is_not_tried_again(silent, hook, status):
    Receiver.objects.create(person=silent.carl, ntfy_url=topic(hook))
    hook.answers = status
    judge()
    assert deliver_all() == (0, 1)
    assert Delivery.objects.get().dropped_at


@pytest.mark.parametrize(
    "address",
    ["https://ntfy.sh", "https://ntfy.sh/", "https://ntfy.sh/a?b=c", "ftp://ntfy.sh/a",
     "https://u:p@ntfy.sh/a", "http://10.0.0.1/topic"],
)  # fmt: skip
def test_what_is_no_topic_is_refused(address):
    with pytest.raises(ValidationError):
        ntfy.check_topic(address)


def test_a_topic_may_be_below_a_path():
    ntfy.check_topic("https://example.org/push/topic")
    assert ntfy._split("https://example.org/push/topic") == ("https://example.org/push/", "topic")


# Apprise


def test_apprise_sends_by_the_service_of_its_address(silent, hook):
    Receiver.objects.create(person=silent.carl, apprise_url=f"json://127.0.0.1:{hook.port}/a")
    judge()
    assert deliver_all() == (1, 0)
    told = json.loads(hook.taken[0][1])
    assert told["title"] == "Blinklog: alert for anna"
    assert "Kitchen has not been connected since" in told["message"]
    assert f"{PUBLIC}/alerts/link/" in told["message"]


def test_apprise_reaches_nothing_that_a_webhook_may_not(silent, hook, settings):
    settings.WEBHOOK_PRIVATE = False
    Receiver.objects.create(person=silent.carl, apprise_url=f"json://127.0.0.1:{hook.port}/a")
    judge()
    assert deliver_all() == (0, 1)
    assert hook.taken == []
    assert Delivery.objects.get().problem == "the service did not take the message"


@pytest.mark.parametrize("address", ["", "no://such", "syslog://", "dbus://", "plain", "json://"])
def test_what_apprise_does_not_know_or_may_not_do_is_refused(address):
    with pytest.raises(ValidationError):
        apprise.check_address(address)


def test_what_apprise_knows_is_accepted_without_sending():
    apprise.check_address("ntfys://topic")
    apprise.check_address("tgram://123456789:abcdefghijklmnopqrstuvwxyz123456789/12315544/")


GUARDED = """
import sys
sys.path.insert(0, {root!r})
from server.alerts.delivery import apprise_child
import socket, subprocess, os
apprise_child.guard(private={private})
try:
    {act}
except apprise_child.RefusedError as error:
    print("refused:", error)
else:
    print("allowed")
"""


@pytest.mark.parametrize(
    ("act", "private", "refused"),
    [
        ("open('/etc/hosts').close()", False, False),
        ("open('/etc/passwd')", False, True),
        ("open('/proc/self/environ')", False, False),
        ("open('/etc/hosts/../passwd')", False, True),
        ("open('/tmp/blinklog-guard', 'w')", True, True),
        ("os.open('/tmp/blinklog-guard', os.O_CREAT | os.O_WRONLY)", True, True),
        ("open(os.devnull, 'w').close()", False, False),
        ("subprocess.run(['true'])", True, True),
        ("os.system('true')", True, True),
        ("os.fork()", True, True),
        ("socket.socket().bind(('127.0.0.1', 0))", True, True),
        ("socket.socket().connect_ex(('127.0.0.1', 1))", True, False),
        ("socket.socket().connect_ex(('127.0.0.1', 1))", False, True),
        ("socket.socket().connect_ex(('169.254.169.254', 1))", True, True),
        ("socket.socket().connect(('localhost', 1))", True, True),
        ("socket.socket(socket.AF_UNIX).connect('/run/x')", True, True),
        ("socket.socket(type=socket.SOCK_DGRAM).sendto(b'', ('10.0.0.1', 53))", False, True),
    ],
)  # fmt: skip
def test_the_process_of_apprise_can_do_no_more_than_a_service_needs(act, private, refused):
    root = str(Path(__file__).parents[3])
    code = GUARDED.format(root=root, private=private, act=act)
    done = subprocess.run(
        [sys.executable, "-I", "-c", code], check=False, capture_output=True, text=True
    )
    assert done.stdout.startswith("refused" if refused else "allowed"), done.stderr[-400:]
