"""The page "Add a device": a code that a device can read, and the device's arrival."""

import re
import shlex
import subprocess
from base64 import urlsafe_b64decode
from datetime import timedelta
from html import unescape

import cv2
import numpy as np
import pytest
import segno
from django.test import Client
from django.utils import timezone

from agent.cli.main import _parser
from agent.enrol.authority import fingerprint as fingerprint_by_the_device
from agent.enrol.codes import ServerCode, parse
from server.care.models import Person
from server.devices import adding
from server.devices.authorities import fingerprint, server_authority
from server.devices.models import ClaimCode, Device
from tests.server.conftest import PASSWORD, Api

HTTPS = {"secure": True, "headers": {"host": "testserver"}}


def browser_of(name):
    browser = Client()
    browser.force_login(Person.objects.get(username=name))
    return browser


@pytest.fixture
def anna(world):
    return browser_of("anna")


@pytest.fixture
def page(anna):
    """The address of a new code's page, in Anna's browser."""
    return anna.post("/devices/", {"label": "Bedroom"})["Location"]


@pytest.fixture(scope="module")
def authorities(tmp_path_factory):
    folder = tmp_path_factory.mktemp("authorities")
    for name in ("server", "broker"):
        new = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
        options = ["-subj", f"/CN={name}", "-keyout", folder / "key", "-out", folder / name]
        subprocess.run([*new.split(), *options], check=True, capture_output=True)
    return folder


@pytest.fixture
def private(settings, authorities):
    """A server and a broker with an authority each."""
    settings.DEVICE_CA_FILE, settings.MQTT_CA_FILE = (
        str(authorities / name) for name in ("server", "broker")
    )
    settings.DEVICE_MQTT_URL = "mqtts://broker.example.org:8883"


def shown(browser, page):
    return browser.get(page, **HTTPS).content.decode()


def command_of(text):
    return unescape(re.search(r"sudo blink-agent (enrol [^<]+)", text)[1])


def code_of(text):
    return command_of(text).split()[2].replace("-", "")


def test_a_reload_shows_the_same_code_and_makes_no_second_one(anna, page):
    first, second = shown(anna, page), shown(anna, page)
    assert code_of(first) == code_of(second)
    assert ClaimCode.live().count() == 1
    assert code_of(first) not in str(ClaimCode.objects.values().get())


def test_the_picture_is_the_text_that_a_device_reads(anna, page, private, monkeypatch):
    drawn = []
    monkeypatch.setattr(adding, "_picture", lambda text: drawn.append(text) or "PICTURE")
    text = shown(anna, page)
    assert "PICTURE" in text
    found = parse(drawn[0])
    assert isinstance(found, ServerCode)
    assert (found.url, found.code) == ("https://testserver", code_of(text))
    options = _parser().parse_args(shlex.split(command_of(text)))
    assert (options.ca_fingerprint, options.mqtt_ca_fingerprint) == (found.ca, found.mqtt_ca)
    assert found.ca != found.mqtt_ca


def test_the_drawn_code_can_be_read_by_opencv(tmp_path):
    text = "blinklog:1;U:https://testserver;C:ABCD2345;S:Zm9vYmFyYmF6Zm9vYmFyYg"
    svg = adding._picture(text)
    assert svg.startswith("<svg")
    segno.make(text, error="m", micro=False).save(tmp_path / "code.png", scale=5, border=4)
    drawn = cv2.imread(str(tmp_path / "code.png"), cv2.IMREAD_GRAYSCALE)
    assert cv2.QRCodeDetectorAruco().detectAndDecode(np.asarray(drawn))[0] == text


def test_a_public_authority_needs_no_fingerprint(anna, page):
    assert "fingerprint" not in shown(anna, page)


def test_the_fingerprint_is_the_one_that_the_device_computes_and_openssl_shows(authorities):
    file = authorities / "server"
    told = fingerprint(file.read_text())
    assert told == fingerprint_by_the_device(file.read_text())
    command = ["openssl", "x509", "-fingerprint", "-sha256", "-noout", "-in", str(file)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert urlsafe_b64decode(told + "==").hex().upper() in said.replace(":", "")


def test_a_device_fetches_an_authority_by_its_fingerprint_and_nothing_else(private, authorities):
    for name in ("server", "broker"):
        pem = (authorities / name).read_text()
        answer = Api()("GET", f"/api/device/authorities/{fingerprint(pem)}/")
        assert answer.status_code == 200
        assert fingerprint(answer.json()["certificates"]) == fingerprint(pem)
    assert Api()("GET", f"/api/device/authorities/{'x' * 22}/").status_code == 404


def test_a_key_beside_the_certificates_is_never_told(settings, authorities, tmp_path, db):
    both = tmp_path / "both.pem"
    both.write_text((authorities / "key").read_text() + (authorities / "server").read_text())
    settings.DEVICE_CA_FILE = str(both)
    told = fingerprint((authorities / "server").read_text())
    answer = Api()("GET", f"/api/device/authorities/{told}/")
    assert "PRIVATE" not in answer.json()["certificates"]


def test_nor_is_one_inside_a_certificate_that_was_cut_off(settings, authorities, tmp_path, db):
    key, certificate = ((authorities / name).read_text() for name in ("key", "server"))
    both = tmp_path / "both.pem"
    both.write_text(f"{certificate[:200]}\n{key}{certificate}")
    settings.DEVICE_CA_FILE = str(both)
    assert "PRIVATE" not in server_authority().certificates


@pytest.mark.parametrize("content", [None, "", "no certificates", "x" * 300_000])
def test_a_file_that_is_no_private_authority_is_none(anna, page, settings, tmp_path, content):
    file = tmp_path / "ca.crt"
    if content is not None:
        file.write_text(content)
    settings.DEVICE_CA_FILE = str(file)
    assert "fingerprint" not in shown(anna, page)


def test_one_authority_for_both_is_told_once(anna, page, private, settings):
    settings.MQTT_CA_FILE = settings.DEVICE_CA_FILE
    options = command_of(shown(anna, page))
    assert "--ca-fingerprint" in options
    assert "--mqtt-ca-fingerprint" not in options


def test_the_page_sees_the_device_arrive_and_then_starts_a_session(anna, page):
    live = f"{page}live/"
    assert "Waiting for the device." in shown(anna, live)
    code = code_of(shown(anna, page))
    told = Api()("POST", "/api/device/claim/", {"code": code, "agent_version": "1"}).json()
    arrived = shown(anna, live)
    assert "Bedroom was added" in arrived
    assert code not in arrived
    assert "Start first session" not in arrived
    device = Device.objects.filter(pk=told["device"])
    device.update(online=True, last_seen_at=timezone.now(), status_at=timezone.now())
    connected = shown(anna, live)
    assert f"/people/anna/devices/{told['device']}/start/" in connected
    versions = [re.search(r'data-version="([^"]+)"', each)[1] for each in (arrived, connected)]
    assert versions[0] != versions[1]


def test_an_expired_code_says_so_and_asks_no_more(anna, page):
    ClaimCode.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    text = shown(anna, page)
    assert "has expired or was withdrawn" in text
    assert "data-every" not in text
    assert "<svg" not in text.partition("data-live")[2]


def test_a_device_that_was_blocked_since_can_t_be_started(anna, page):
    code = code_of(shown(anna, page))
    told = Api()("POST", "/api/device/claim/", {"code": code}).json()
    Device.objects.filter(pk=told["device"]).update(revoked_at=timezone.now())
    text = shown(anna, page)
    assert "has been removed, blocked or reassigned since" in text
    assert "/start/" not in text


def test_another_browser_sees_the_state_but_not_the_code(anna, page):
    code = code_of(shown(anna, page))
    elsewhere = browser_of("anna")
    text = shown(elsewhere, page)
    assert "Only the browser that created it can show it." in text
    assert code[:4] not in text
    elsewhere.cookies = anna.cookies  # someone else logs in, in Anna's browser
    elsewhere.force_login(Person.objects.get(username="otto"))
    assert elsewhere.get(page).status_code == 404


@pytest.mark.parametrize("name", ["carl", "ella", "otto", "irma", "alma"])
def test_somebody_else_s_code_is_not_found(everybody, name):
    page = browser_of("anna").post("/devices/", {"label": "Bedroom"})["Location"]
    for address in (page, f"{page}live/"):
        assert browser_of(name).get(address).status_code == 404
        assert Client().get(address).status_code == 302


def test_an_admin_adds_a_member_s_device_and_starts_nothing(everybody):
    irma = browser_of("irma")
    page = irma.post("/devices/codes/for/anna/", {"label": "Hall"})["Location"]
    text = shown(irma, page)
    assert "The device will measure" in text
    told = Api()("POST", "/api/device/claim/", {"code": code_of(text)}).json()
    device = Device.objects.filter(pk=told["device"])
    assert device.get().person.username == "anna"
    device.update(online=True, last_seen_at=timezone.now(), status_at=timezone.now())
    assert "/start/" not in shown(irma, page)
    assert browser_of("anna").get(page).status_code == 404


def test_the_cookie_with_the_code_goes_to_this_page_alone(settings, world):
    settings.SESSION_COOKIE_SECURE = True
    browser = Client()
    browser.login(username="anna", password=PASSWORD)
    answer = browser.post("/devices/", {"label": "Bedroom"}, **HTTPS)
    (cookie,) = (each for name, each in answer.cookies.items() if name.startswith("device_code"))
    assert cookie["path"] == answer["Location"]
    assert cookie["samesite"] == "Strict"
    assert cookie["httponly"]
    assert cookie["secure"]
    assert answer.status_code == 302


def test_without_https_the_page_says_why_no_device_will_come(anna, page):
    assert "opened without https" in anna.get(page).content.decode()
    assert "opened without https" not in shown(anna, page)
