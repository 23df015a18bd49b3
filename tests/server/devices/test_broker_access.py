"""Identities at the broker as it is deployed: TLS, the dynamic-security plugin, everybody confined.

Real Mosquitto, its configuration from deploy/mosquitto, identities made by `blink-server`.
"""

import json
import os
import stat

import pytest

from server.care.models import Person
from server.common.mqtt import BrokerError, broker_settings, connected
from server.devices import manage
from server.devices.broker_access import _answers
from server.devices.claim import make_code
from server.devices.models import Device, DeviceToken
from server.operations import cli
from tests.broker import needs_mosquitto
from tests.server.devices.guest import PATIENCE_S, Guest
from tests.server.secured import ADMIN, SECRETS, SERVER, SecuredBroker

pytestmark = [
    pytest.mark.needs_broker,
    needs_mosquitto,
]
GRANTED, REFUSED, UNHEARD = "Granted QoS 1", "Not authorized", "No matching subscribers"


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    made = SecuredBroker(tmp_path_factory.mktemp("secured"))
    with pytest.MonkeyPatch.context() as patch:
        told(patch, made)
        assert blink_server("set-up-broker", made.directory / "dynamic-security.json") == 0
    made.start()
    yield made
    made.stop()


def told(patch, broker):
    """Django's settings as this broker's environment gives them."""
    from django.conf import settings

    for name, value in broker.environment().items():
        patch.setattr(settings, name.removeprefix("BLINKLOG_"), value)


def blink_server(*arguments):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BLINKLOG_SECRET_KEY", "x" * 60)
        before = os.umask(0o077)
        try:
            return cli.main([str(each) for each in arguments])
        finally:
            os.umask(before)


@pytest.fixture
def run(world, broker, monkeypatch, capsys):
    """Runs a command; what it printed, as JSON where it is."""
    told(monkeypatch, broker)

    def run_it(*arguments, status=0):
        assert blink_server(*arguments) == status
        said = capsys.readouterr()
        return json.loads(said.out) if "--json" in arguments else said.out + said.err

    return run_it


@pytest.fixture
def kitchen(run):
    return run("create-device", "--person", "anna", "--name", "Kitchen 2", "--json")


@pytest.fixture
def bathroom(run):
    return run("create-device", "--person", "otto", "--name", "Bathroom", "--json")


@pytest.fixture
def enter(broker):
    """Lets guests in, and out at the end."""
    guests = []

    def enter_it(name, password, **options):
        guests.append(Guest(broker, name, password, **options))
        return guests[-1]

    yield enter_it
    for guest in guests:
        guest.leave()


@pytest.fixture
def device(enter, kitchen):
    guest = enter(kitchen["device"], kitchen["mqtt_password"])
    assert guest.welcome == "Success"
    return guest


def topic(device, kind):
    return f"blinklog/1/devices/{device['device']}/{kind}"


def test_a_device_reads_and_writes_its_own_topics(device, kitchen, enter):
    for kind in ("acks", "commands", "settings"):
        assert device.subscribe(topic(kitchen, kind)) == GRANTED
    for kind in ("sessions", "status", "aim"):
        assert device.publish(topic(kitchen, kind)) == UNHEARD
    server = enter(SERVER, SECRETS[SERVER])
    for kind in ("acks", "commands", "settings"):
        assert server.publish(topic(kitchen, kind)) == "Success"
        assert device.messages.get(timeout=PATIENCE_S) == topic(kitchen, kind)


def test_a_device_writes_nothing_else(device, kitchen, bathroom):
    for kind in ("sessions", "status", "aim", "acks", "commands", "settings"):
        assert device.publish(topic(bathroom, kind)) == REFUSED
    for kind in ("acks", "commands", "settings", "else"):
        assert device.publish(topic(kitchen, kind)) == REFUSED
    for other in ("blinklog/1/devices", "else", "$CONTROL/dynamic-security/v1"):
        assert device.publish(other) == REFUSED


def test_a_device_reads_nothing_else(device, kitchen, bathroom):
    topics = [
        "#", "+/#", "$SYS/#", "blinklog/#", "blinklog/1/devices/+/acks",
        "blinklog/1/devices/+/sessions", "$CONTROL/#", "$share/blinklog/#",
        "$share/blinklog/blinklog/1/devices/+/sessions", topic(bathroom, "acks"),
        topic(bathroom, "commands"), topic(bathroom, "settings"), topic(bathroom, "sessions"),
        topic(kitchen, "sessions"),
        f"$share/mine/{topic(bathroom, 'acks')}",
    ]  # fmt: skip
    assert {each: device.subscribe(each) for each in topics} == dict.fromkeys(topics, REFUSED)


def test_the_server_reads_what_devices_say_and_makes_no_identities(enter, kitchen):
    server = enter(SERVER, SECRETS[SERVER])
    assert server.subscribe("$share/blinklog/blinklog/1/devices/+/sessions") == GRANTED
    assert server.subscribe("blinklog/1/devices/+/status") == GRANTED
    assert server.subscribe("$share/blinklog/blinklog/1/devices/+/aim") == GRANTED
    for other in ("#", "$CONTROL/#", "blinklog/1/devices/+/acks"):
        assert server.subscribe(other) == REFUSED
    for other in (topic(kitchen, "sessions"), "$CONTROL/dynamic-security/v1"):
        assert server.publish(other) == REFUSED


def test_home_assistant_reads_what_the_server_shows_it_and_nothing_of_a_device(run, enter, kitchen):
    old = run("admit-home-assistant", "--json")
    told = run("admit-home-assistant", "--json")
    assert enter(old["user"], old["password"]).welcome == REFUSED
    home = enter(told["user"], told["password"])
    shown = f"blinklog/1/home/{kitchen['device']}/state"
    config = f"homeassistant/device/blinklog-{kitchen['device']}/config"
    for each in ("homeassistant/#", "blinklog/1/home/+/+"):
        assert home.subscribe(each) == GRANTED
    for each in ("#", "blinklog/#", topic(kitchen, "sessions"), topic(kitchen, "acks")):
        assert home.subscribe(each) == REFUSED
    for each in (shown, config, topic(kitchen, "commands")):
        assert home.publish(each) == REFUSED
    server = enter(SERVER, SECRETS[SERVER])
    for each in (shown, config):
        assert server.publish(each) == "Success"
        assert home.messages.get(timeout=PATIENCE_S) == each


def test_who_administers_the_broker_reads_no_sessions(enter, kitchen):
    admin = enter(ADMIN, SECRETS[ADMIN])
    assert admin.subscribe("blinklog/#") == REFUSED
    assert admin.publish(topic(kitchen, "commands")) == REFUSED


@pytest.mark.parametrize(
    ("name", "password"), [("", ""), (None, None), (SERVER, "wrong"), ("nobody", "x"), (SERVER, "")]
)
def test_nobody_comes_in_without_their_password(enter, name, password):
    assert enter(name, password).welcome in (REFUSED, "Bad user name or password")


def test_nobody_comes_in_without_tls(enter):
    assert "Success" not in enter(SERVER, SECRETS[SERVER], tls=False).welcome


def test_a_revoked_device_is_cut_off_and_refused(run, device, kitchen, enter, broker):
    run("revoke-device", kitchen["device"])
    assert device.gone.get(timeout=PATIENCE_S) == "Administrative action"
    assert enter(kitchen["device"], kitchen["mqtt_password"]).welcome == REFUSED
    assert DeviceToken.find(kitchen["token"]).device.revoked_at is not None
    broker.kill()
    broker.start()
    assert enter(kitchen["device"], kitchen["mqtt_password"]).welcome == REFUSED
    run("revoke-device", kitchen["device"])  # again is no error
    assert "is revoked" in run("rotate-token", kitchen["device"], status=1)


@pytest.mark.parametrize("how", ["revoked", "deleted", "deleted with others"])
def test_who_is_shut_out_in_the_admin_site_is_shut_out_at_the_broker(
    client, run, device, kitchen, how
):
    client.force_login(Person.objects.create_superuser("root", timezone="UTC"))
    pk = kitchen["device"]
    page, form = {
        "revoked": ("", {"action": "revoke", "_selected_action": pk}),
        "deleted": (f"{pk}/delete/", {"post": "yes"}),
        "deleted with others": (
            "",
            {"action": "delete_selected", "_selected_action": pk, "post": "yes"},
        ),
    }[how]
    assert client.post(f"/admin/devices/device/{page}", form).status_code == 302
    assert device.gone.get(timeout=PATIENCE_S) == "Administrative action"


@pytest.mark.parametrize("how", ["a code", "the admin site"])
def test_who_gave_a_device_away_is_cut_off_and_overhears_nothing(
    client, run, device, kitchen, enter, broker, how
):
    anna, otto = (Person.objects.get(username=name) for name in ("anna", "otto"))
    pk = kitchen["device"]
    assert device.subscribe(topic(kitchen, "commands")) == GRANTED
    if how == "a code":
        client.force_login(anna)
        form = {"code": make_code(otto, "Otto's second", otto)[1]}
        assert client.post(f"/devices/{pk}/give/", form).status_code == 302
    else:
        client.force_login(Person.objects.create_superuser("root", timezone="UTC"))
        form = {"person": otto.pk, "label": "Kitchen 2"}
        assert client.post(f"/admin/devices/device/{pk}/change/", form).status_code == 302
    assert device.gone.get(timeout=PATIENCE_S) == "Administrative action"
    assert enter(pk, kitchen["mqtt_password"]).welcome == REFUSED
    kept = json.loads((broker.directory / "dynamic-security.json").read_text())
    assert pk not in {each["username"] for each in kept["clients"]}
    assert DeviceToken.find(kitchen["token"]) is None
    broker.kill()
    broker.start()
    assert enter(pk, kitchen["mqtt_password"]).welcome == REFUSED
    new = run("rotate-token", pk, "--json")
    assert enter(pk, kitchen["mqtt_password"]).welcome == REFUSED
    again = enter(pk, new["mqtt_password"])
    assert again.welcome == "Success"
    assert again.subscribe(topic(kitchen, "commands")) == GRANTED
    server = enter(SERVER, SECRETS[SERVER])
    server.publish(topic(kitchen, "commands"))
    assert again.messages.get(timeout=PATIENCE_S) == topic(kitchen, "commands")
    assert device.messages.empty()


@pytest.mark.parametrize("who", ["the next owner", "an admin", "the person"])
def test_what_was_set_for_a_person_is_not_retained_for_who_gets_credentials(
    run, kitchen, enter, who
):
    """The consumer is not running, so what it published last stays until it runs again."""
    device = Device.objects.select_related("person").get(pk=kitchen["device"])
    otto = Person.objects.get(username="otto")
    server = enter(SERVER, SECRETS[SERVER])
    server.client.publish(topic(kitchen, "settings"), b"{}", 1, retain=True)
    assert server.word() == UNHEARD
    if who == "the next owner":
        manage.give_away(device.person, device, make_code(otto, "Otto's second", otto)[1])
        device.refresh_from_db()
    viewer = device.person if who == "the person" else otto
    new = manage.rotate(viewer, device)
    guest = enter(kitchen["device"], new["mqtt_password"])
    for kind in ("settings", "commands"):
        assert guest.subscribe(topic(kitchen, kind)) == GRANTED
    server.publish(topic(kitchen, "commands"))
    first = guest.messages.get(timeout=PATIENCE_S)
    assert first == topic(kitchen, "settings" if who == "the person" else "commands")


def test_what_was_made_survives_the_brokers_death(broker, kitchen, bathroom, enter):
    broker.kill()
    broker.start()
    for each in (kitchen, bathroom):
        guest = enter(each["device"], each["mqtt_password"])
        assert guest.welcome == "Success"
        assert guest.publish(topic(each, "sessions")) == UNHEARD
    assert guest.publish(topic(kitchen, "sessions")) == REFUSED


def test_a_rotated_password_ends_the_one_before_and_the_token_before_goes_on(
    run, device, kitchen, enter
):
    new = run("rotate-token", kitchen["device"], "--json")
    assert device.gone.get(timeout=PATIENCE_S) == "Administrative action"
    assert enter(kitchen["device"], kitchen["mqtt_password"]).welcome == REFUSED
    again = enter(kitchen["device"], new["mqtt_password"])
    assert again.welcome == "Success"
    assert again.subscribe(topic(kitchen, "acks")) == GRANTED
    assert DeviceToken.find(kitchen["token"])
    assert DeviceToken.find(new["token"])


def test_while_the_broker_is_away_nothing_is_issued_and_a_device_is_revoked_even_so(
    run, kitchen, broker
):
    tokens, devices = DeviceToken.objects.count(), Device.objects.count()
    broker.stop()
    try:
        said = run("create-device", "--person", "anna", "--name", "Attic", status=1)
        assert "the broker can't be reached" in said
        said = run("rotate-token", kitchen["device"], status=1)
        assert "it may have deleted the device's identity: try again" in said
        assert "try again" in run("revoke-device", kitchen["device"], status=1)
    finally:
        broker.start()
    assert (DeviceToken.objects.count(), Device.objects.count()) == (tokens, devices)
    assert Device.objects.get(pk=kitchen["device"]).revoked_at is not None


def test_a_broker_without_the_plugins_rights_is_named_as_the_reason(run, monkeypatch, settings):
    settings.MQTT_ADMIN_URL = settings.MQTT_URL
    settings.MQTT_ADMIN_PASSWORD_FILE = settings.MQTT_PASSWORD_FILE
    said = run("create-device", "--person", "anna", "--name", "Attic", status=1)
    assert "the broker refused a subscription: Not authorized" in said


def test_what_the_broker_does_not_take_is_not_taken_for_sent(run, kitchen):
    with (
        connected(broker_settings()) as line,
        pytest.raises(BrokerError, match="refused a message: Not authorized"),
    ):
        line.publish(topic(kitchen, "sessions"), b"{}")


def test_what_the_plugin_says_to_others_is_not_taken_for_its_answer(run):
    answer = {"command": "createClient", "correlationData": "ours"}
    theirs = answer | {"correlationData": "theirs", "error": "Client already exists"}
    assert _answers(json.dumps({"responses": [answer]}).encode(), "ours") == [answer]
    assert _answers(json.dumps({"responses": [theirs]}).encode(), "ours") is None
    for nonsense in (b"", b"{", b"[]", b"{}", b'{"responses": []}', b'{"responses": [7]}'):
        assert _answers(nonsense, "ours") is None


def test_where_identities_are_made_by_hand_no_password_is_printed(run, settings):
    settings.MQTT_ADMIN_URL = ""
    made = run("create-device", "--person", "anna", "--name", "Attic", "--json")
    assert set(made) == {"device", "token"}


def test_the_first_state_is_for_its_owner_alone_and_replaces_nothing(run, broker, tmp_path):
    path = tmp_path / "new.json"
    run("set-up-broker", path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    before = path.read_text()
    assert not any(secret in before for secret in SECRETS.values())
    assert "File exists" in run("set-up-broker", path, status=1)
    assert path.read_text() == before
    kept = broker.directory / "dynamic-security.json"
    assert stat.S_IMODE(kept.stat().st_mode) & 0o077 == 0


@pytest.mark.parametrize("name", ["MQTT_ADMIN_URL", "MQTT_ADMIN_PASSWORD_FILE", "MQTT_URL"])
def test_the_first_state_needs_both_users(run, settings, tmp_path, name):
    setattr(settings, name, "mqtt://localhost" if name == "MQTT_URL" else "")
    assert "expected" in run("set-up-broker", tmp_path / "new.json", status=1)
    assert not (tmp_path / "new.json").exists()
