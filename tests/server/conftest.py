"""Four people and two devices that every test of the server knows.

Anna is measured. Carl cares for her; Ella did, once. Otto has nothing to do with her, and a device
of his own.
"""

import json
import logging
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import translation

from server.care.models import CareLink, Institution, Membership, Person, PersonToken, Role
from server.devices import fair_share
from server.devices.models import Device, DeviceToken
from server.session_data import quotas

GOLDEN = Path(__file__).resolve().parent.parent / "golden"
PASSWORD = "a long enough pass phrase"

Document = dict[str, Any]


@pytest.fixture(autouse=True)
def quick_passwords(settings):
    """A slow hash is a promise to people, not to tests."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture(autouse=True)
def static_files_when_asked_for(settings):
    """Each client loads the middleware, and would list all static files when it does."""
    settings.WHITENOISE_AUTOREFRESH = True


@pytest.fixture(autouse=True)
def fresh_limits(monkeypatch):
    """Limits are counted in memory, by keys that the next test's people and devices have again."""
    for share in (
        fair_share.REQUESTS,
        fair_share.CHANGES,
        fair_share.BATCHED,
        fair_share.DeviceThrottle.share,
    ):
        monkeypatch.setattr(share, "_paid_until_s", {})
    monkeypatch.setattr(quotas, "_sums", {})


@pytest.fixture(autouse=True)
def in_english():
    """A request's language stays its thread's until the next request."""
    with translation.override("en"):
        yield


@pytest.fixture(autouse=True)
def same_log() -> Iterator[None]:
    """A command sets the log up anew, and would leave it writing into its own test's output."""
    before = logging.root.handlers[:]
    yield
    logging.root.handlers[:] = before


@dataclass
class World:
    """Who is who, and their tokens."""

    anna: Person
    carl: Person
    ella: Person
    otto: Person
    device: Device
    other_device: Device
    tokens: dict[str, str]


def make_world() -> World:
    people = {
        name: Person.objects.create_user(name, password=PASSWORD, timezone="Europe/Berlin")
        for name in ("anna", "carl", "ella", "otto")
    }
    CareLink.objects.create(caregiver=people["carl"], person=people["anna"], may_control=True)
    CareLink.objects.create(caregiver=people["ella"], person=people["anna"]).end()
    device = Device.objects.create(person=people["anna"], label="Kitchen")
    other = Device.objects.create(person=people["otto"], label="Otto's")
    tokens = {name: PersonToken.issue(person) for name, person in people.items()}
    tokens["revoked"] = PersonToken.issue(people["anna"])
    PersonToken.find(tokens["revoked"]).revoke()
    tokens["device"], tokens["other device"] = DeviceToken.issue(device), DeviceToken.issue(other)
    tokens["revoked device token"] = DeviceToken.issue(device)
    DeviceToken.find(tokens["revoked device token"]).revoke()
    return World(**people, device=device, other_device=other, tokens=tokens)


@pytest.fixture
def world(db) -> World:
    return make_world()


# Caregivers of Anna with one permission each, and the admin of an institution that she belongs to.
ONE_EACH = {"hana": "history", "liv": "live", "conny": "control", "alma": "alerts"}


@pytest.fixture
def everybody(world) -> World:
    """The world with more people in it, who have tokens too: `ONE_EACH`, and the admin Irma.

    Irma administers a home whose members are herself, Anna and Carl. Mia's account there was made
    by her and is not opened yet.
    """
    home = Institution.objects.create(name="Home")
    for name in (*ONE_EACH, "irma", "mia"):
        person = Person.objects.create_user(name, timezone="Europe/Berlin")
        if name != "mia":
            person.set_password(PASSWORD)
            person.save()
            world.tokens[name] = PersonToken.issue(person)
        if name in ONE_EACH:
            link = CareLink(caregiver=person, person=world.anna)
            link.permit({ONE_EACH[name]})
            link.save()
    for name in ("irma", "anna", "carl", "mia"):
        person = Person.objects.get(username=name)
        role = Role.ADMIN if name == "irma" else Role.MEMBER
        Membership.objects.create(institution=home, person=person, role=role)
    return world


class Api:
    """JSON requests as one of them."""

    def __init__(self, token: str | None = None) -> None:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.client = Client(headers=headers, raise_request_exception=False)

    def __call__(self, method: str, path: str, body: Any = None, **query: str) -> Any:
        data = b"" if body is None else json.dumps(body)
        return self.client.generic(
            method, path, data, content_type="application/json", query_params=query
        )

    def get(self, path: str, **query: str) -> Any:
        return self("GET", path, **query)


@pytest.fixture
def api(world) -> Callable[[str], Api]:
    """`api("carl").get(...)`; `api("nobody")` has no token."""
    return lambda name: Api(world.tokens.get(name))


def golden(name: str, **changes: Any) -> Document:
    """A golden document, with an id of its own unless one is given."""
    document: Document = json.loads((GOLDEN / f"{name}.json").read_text())
    return document | {"session_id": str(uuid.uuid4())} | changes
