"""A code makes a box a device, once, for a while, and not for who guesses."""

import json
import logging
from datetime import timedelta

import pytest
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from server.care import wrong_codes
from server.care.models import AuditEntry, LoginFailure
from server.common import codes
from server.common.mqtt import BrokerError
from server.devices import credentials
from server.devices.claim import make_code
from server.devices.models import ClaimCode, Device, DeviceToken
from server.operations import cli
from tests.server.conftest import Api, golden
from tests.server.session_data.test_accept_races import in_threads

CLAIM = "/api/device/claim/"
# Fine, as Anna may have it, and never one that is live.
UNKNOWN = "AAAA2222"


def claim(code, **more):
    return Api()("POST", CLAIM, {"code": code, **more})


@pytest.fixture
def code(world):
    return make_code(world.anna, "Bedroom", world.anna)[1]


def test_a_code_buys_all_that_a_device_needs(code, world, settings):
    settings.DEVICE_MQTT_URL = "mqtts://broker.example.org:8883"
    answer = claim(code, agent_version="0.1.0")
    assert answer.status_code == 201
    told = answer.json()
    device = Device.objects.get(pk=told["device"])
    assert (device.person, device.label, device.agent_version) == (world.anna, "Bedroom", "0.1.0")
    assert told["label"] == "Bedroom"
    assert told["mqtt_url"] == "mqtts://broker.example.org:8883"
    assert told["mqtt_password"] is None  # identities are made by hand here
    assert abs(parse_datetime(told["server_time"]) - timezone.now()) < timedelta(minutes=1)
    assert Api(told["token"])("POST", "/api/session/start/", golden("started")).status_code == 201


def test_without_a_broker_for_devices_its_address_is_null(code):
    assert claim(code).json()["mqtt_url"] is None


def test_a_code_is_of_characters_that_can_be_told_apart(world):
    texts = [make_code(world.anna, "x", None)[1] for _ in range(50)]
    assert len(set(texts)) == 50
    assert all(len(text) == 8 and set(text) <= set(codes.ALPHABET) for text in texts)
    assert not set("0O1I") & set(codes.ALPHABET)


def test_a_code_is_taken_as_people_type_it(code):
    typed = f" {code[:4].lower()} - {code[4:]} "
    assert claim(typed).status_code == 201


def test_unknown_used_and_expired_codes_get_one_and_the_same_answer(code, world):
    assert claim(code).status_code == 201
    late = make_code(world.anna, "Late", None)[1]
    ClaimCode.objects.filter(label="Late").update(expires_at=timezone.now())
    answers = [claim(each) for each in (code, late, UNKNOWN, "x", "Ü" * 64)]
    assert {answer.status_code for answer in answers} == {400}
    assert len({answer.content for answer in answers}) == 1
    assert Device.objects.filter(label__in=["Bedroom", "Late"]).count() == 1


@pytest.mark.parametrize(
    "body", [{}, {"code": ""}, {"code": None}, {"code": ["A"]}, {"code": "A" * 65}, [], "x"]
)
def test_what_is_no_code_is_refused(world, body):
    assert Api()("POST", CLAIM, body).status_code == 400


def test_who_guesses_has_to_wait_and_others_have_not(code):
    for _ in range(3):
        for number in range(wrong_codes.MOST_BY_NETWORK):  # each of them counts once
            assert claim(f"{UNKNOWN}{number}").status_code == 400
    answer = claim(code)
    assert answer.status_code == 429
    assert int(answer["Retry-After"]) > 0
    elsewhere = Api()
    elsewhere.client.defaults["REMOTE_ADDR"] = "192.0.2.7"
    assert elsewhere("POST", CLAIM, {"code": code}).status_code == 201


def test_strangers_lock_nobody_else_out(code, monkeypatch):
    """However many networks guess, those who have not guessed still have attempts."""
    monkeypatch.setattr(wrong_codes, "MANY", 3)
    for number in range(10):
        guesser = Api()
        guesser.client.defaults["REMOTE_ADDR"] = f"192.0.2.{number}"
        answers = [guesser("POST", CLAIM, {"code": f"{UNKNOWN}{n}"}) for n in range(4)]
    # From now on they have fewer each.
    assert [each.status_code for each in answers] == [400, 400, 400, 429]
    assert claim(f"{UNKNOWN}x").status_code == 400
    assert claim(code).status_code == 201


def test_one_network_of_ipv6_has_one_share(code):
    def guess(address, text):
        guesser = Api()
        guesser.client.defaults["REMOTE_ADDR"] = address
        return guesser("POST", CLAIM, {"code": text}).status_code

    for number in range(wrong_codes.MOST_BY_NETWORK):
        assert guess(f"2003:a:b:c::{number:x}", f"{UNKNOWN}{number}") == 400
    assert guess("2003:a:b:c:ffff::1", code) == 429
    for number in range(wrong_codes.MOST_BY_NETWORK * 4):  # the rest of the site's share
        assert guess(f"2003:a:b:{number:x}1::1", f"{UNKNOWN}{number}") == 400
    assert guess("2003:a:b:fff::1", code) == 429
    assert guess("2003:a:c::1", code) == 201


def test_no_code_is_kept_in_the_clear_and_no_plain_hash_of_it(code, settings):
    kept = ClaimCode.objects.get()
    assert code not in " ".join(str(getattr(kept, field.name)) for field in kept._meta.fields)
    settings.SECRET_KEY = "another"
    assert ClaimCode.find(code) is None
    assert LoginFailure.objects.count() == 0


def test_while_the_broker_is_away_the_code_stays_good(code, monkeypatch, caplog):
    def away(device):
        raise BrokerError("is away")

    monkeypatch.setattr(credentials, "create_broker_account", away)
    with caplog.at_level(logging.ERROR):
        answer = claim(code)
    assert (answer.status_code, "Retry-After" in answer) == (503, True)
    assert not Device.objects.filter(label="Bedroom").exists()
    monkeypatch.setattr(credentials, "create_broker_account", lambda device: "secret")
    answer = claim(code)
    assert (answer.status_code, answer.json()["mqtt_password"]) == (201, "secret")


def test_a_code_of_who_may_no_longer_log_in_opens_nothing(code, world):
    world.anna.is_active = False
    world.anna.save()
    assert claim(code).status_code == 400


def test_of_too_many_codes_the_oldest_ends(world):
    texts = [make_code(world.anna, "x", None)[1] for _ in range(ClaimCode.MOST_LIVE + 1)]
    assert claim(texts[0]).status_code == 400
    assert claim(texts[1]).status_code == 201


def test_both_ends_of_it_are_in_the_audit_log(code, world):
    claim(code)
    told = list(AuditEntry.objects.values_list("event", "actor_name", "subject_name", "detail"))
    assert ("code_made", "anna", "anna", "Bedroom") in told
    assert ("device_claimed", "anna", "anna", "Bedroom") in told
    assert code not in str(told)


def test_the_operator_makes_codes_too(world, capsys, monkeypatch):
    monkeypatch.setenv("BLINKLOG_SECRET_KEY", "x" * 60)
    line = ["claim-code", "--person", "anna", "--label", "Attic", "--minutes", "5", "--json"]
    assert cli.main(line) == 0
    told = json.loads(capsys.readouterr().out)
    left = parse_datetime(told["expires_at"]) - timezone.now()
    assert timedelta(minutes=4) < left < timedelta(minutes=6)
    assert claim(told["code"]).json()["label"] == "Attic"


@pytest.mark.parametrize("label", ["", "x" * 65, "a\x00b", "a\nb"])
def test_a_code_for_what_is_no_name_is_refused(world, capsys, monkeypatch, label):
    monkeypatch.setenv("BLINKLOG_SECRET_KEY", "x" * 60)
    assert cli.main(["claim-code", "--person", "anna", "--label", label]) == 1
    assert not ClaimCode.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_of_six_who_use_a_code_at_once_one_gets_a_device(transactional_db, monkeypatch, world):
    for _ in range(3):
        text = make_code(world.anna, "Raced", None)[1]
        answers = in_threads([lambda t=text: claim(t).status_code] * 6)
        assert sorted(answers) == [201] + [400] * 5
    assert Device.objects.filter(label="Raced").count() == 3
    assert DeviceToken.objects.filter(device__label="Raced").count() == 3


def test_while_a_code_is_being_used_it_is_nobody_elses(code):
    kept = ClaimCode.objects.get()
    statuses = []

    def fail_meanwhile():
        with kept.held():
            statuses.append(claim(code).status_code)
            raise BrokerError("is away")

    with pytest.raises(BrokerError):
        fail_meanwhile()
    assert statuses == [400]
    with kept.held():  # and its holder dies
        pass
    assert claim(code).status_code == 400
    ClaimCode.objects.update(held_until=timezone.now() - codes.HOLD)
    assert claim(code).status_code == 201


def test_what_was_used_can_not_be_used_whatever_was_read_before(code):
    first, second = ClaimCode.objects.get(), ClaimCode.objects.get()
    first.use()
    with pytest.raises(codes.NotACodeError):
        second.use()
