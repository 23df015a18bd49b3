"""A shelf of its own for each test, with a key and one release that is newer than the device."""

import json
import platform

import pytest

from server.devices.models import Device
from server.releases import shelf, updates, views
from server.releases.signing import fingerprint
from tests.releases import archive, key_pair, signed

PYTHON = "3.11"


@pytest.fixture(autouse=True)
def place(settings, tmp_path, monkeypatch):
    settings.RELEASES_DIR = tmp_path / "shelf"
    monkeypatch.setattr(views.PartThrottle.share, "_paid_until_s", {})
    return tmp_path


@pytest.fixture
def keys(place):
    private, public = key_pair(place)
    shelf.trust(public)
    return private, public


def offer(place, private, version, *, changes=None, **told):
    """Puts a release on the shelf."""
    made = archive(place, version, **told)
    beside = place / f"{version}.json"
    beside.write_text(json.dumps(signed(made, private, **(changes or {}))))
    shelf.add(made, shelf.read_signed(beside))
    return next(each for each in shelf.everything() if each.manifest.version == version)


@pytest.fixture
def release(place, keys):
    return offer(place, keys[0], "0.2.0")


def report(version="0.1.0", key=None, update=None, **more):
    told = {"version": version, "machine": platform.machine(), "python": PYTHON}
    return {**told, "key": key, "update": update, **more}


def fresh(device):
    return Device.objects.select_related("person").get(pk=device.pk)


def reported(device, keys, version="0.1.0", update=None):
    """The device has told what it is. Returns what it is to install."""
    told = report(version, fingerprint(keys[1]), update)
    return updates.report(fresh(device), told)
