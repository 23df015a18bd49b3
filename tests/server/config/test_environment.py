"""What the environment variables may hold, and what is said of a bad value: never a secret."""

from ipaddress import ip_network

import pytest
from django.core.exceptions import ImproperlyConfigured

from server.common.mqtt import broker_settings
from server.config.environment import (
    broker_address,
    flag,
    networks,
    number,
    one_of,
    secret_file,
    text,
    words,
)
from tests.server.config.test_site import settings_of

NAME = "BLINKLOG_X"
SECRET = "hunter2"

KINDS = {
    "a text": lambda: text(NAME, "default"),
    "a flag": lambda: flag(NAME),
    "a number": lambda: number(NAME, 30),
    "a choice": lambda: one_of(NAME, "line", "json"),
    "words": lambda: words(NAME, "a,b"),
    "networks": lambda: networks(NAME),
    "a secret file": lambda: secret_file(NAME),
    "a broker": lambda: broker_address(NAME),
}


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("a text", "default"), ("a flag", False), ("a number", 30), ("a choice", "line"),
        ("words", ["a", "b"]), ("networks", []), ("a secret file", ""), ("a broker", ""),
    ],
)  # fmt: skip
def test_a_variable_that_is_not_set_has_its_default(monkeypatch, kind, value):
    monkeypatch.delenv(NAME, raising=False)
    assert KINDS[kind]() == value


@pytest.mark.parametrize(
    ("kind", "given", "value"),
    [
        ("a text", " As it is ", " As it is "), ("a text", "", ""),
        ("a flag", "1", True), ("a flag", "Yes", True), ("a flag", " on ", True),
        ("a flag", "0", False), ("a flag", "off", False), ("a flag", "", False),
        ("a number", "7", 7), ("a number", " 0 ", 0), ("a number", "", 30),
        ("a choice", "json", "json"), ("a choice", " JSON", "json"), ("a choice", " ", "line"),
        ("words", "c, d,,e ", ["c", "d", "e"]), ("words", "", []),
        ("networks", "127.0.0.1, ::1/128", [ip_network("127.0.0.1"), ip_network("::1")]),
        ("a broker", " mqtts://Host:8883 ", "mqtts://Host:8883"), ("a broker", " ", ""),
    ],
)  # fmt: skip
def test_a_good_value_is_understood(monkeypatch, kind, given, value):
    monkeypatch.setenv(NAME, given)
    assert KINDS[kind]() == value


NETWORKS = "expected addresses or networks"
NO_NETWORK = "does not appear to be an IPv4 or IPv6 network"
BROKER = "expected mqtts://host[:port], without name and password"


@pytest.mark.parametrize(
    ("kind", "given", "said"),
    [
        ("a flag", "perhaps", "expected 1 or 0, found 'perhaps'"),
        ("a number", "seven", "expected a whole number, found 'seven'"),
        ("a number", "7.5", "expected a whole number, found '7.5'"),
        ("a number", "-1", "expected a whole number, found -1"),
        ("a choice", "xml", "expected one of line, json, found 'xml'"),
        ("networks", "::1,here", f"{NETWORKS}; 'here' {NO_NETWORK}"),
        ("a broker", "http://host", BROKER),
        ("a broker", f"mqtts://me:{SECRET}@host", BROKER),
        ("a broker", f"mqtts://me:{SECRET}@[host", BROKER),
    ],
)  # fmt: skip
def test_a_bad_value_is_named_with_what_was_expected_and_found(monkeypatch, kind, given, said):
    monkeypatch.setenv(NAME, given)
    with pytest.raises(ImproperlyConfigured) as refused:
        KINDS[kind]()
    assert str(refused.value) == f"{NAME}: {said}"


@pytest.mark.parametrize("content", [b"hunter2", b"hunter2 hunter2 hunter2 \xff"])
def test_a_bad_secret_is_not_quoted(monkeypatch, tmp_path, content):
    (tmp_path / "secret").write_bytes(content)
    monkeypatch.setenv(NAME, str(tmp_path / "secret"))
    with pytest.raises(ImproperlyConfigured, match=f"{NAME}: expected") as refused:
        secret_file(NAME)
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", f"postgres://me:{SECRET}@host:port/name"),
        ("DATABASE_URL", f"me:{SECRET}@host"),
        ("BLINKLOG_DEVICE_MQTT_URL", f"mqtts://me:{SECRET}@host"),
        ("BLINKLOG_EMAIL_URL", f"imap://me:{SECRET}@host"),
        ("BLINKLOG_EMAIL_URL", f"smtps://me:{SECRET}/x@host"),
        ("BLINKLOG_EMAIL_URL", f"smtp://me:{SECRET}@host"),
        ("BLINKLOG_METRICS_TOKEN_FILE", "/dev/null"),
        ("BLINKLOG_SECRET_KEY_FILE", "/dev/null"),
    ],
)
def test_no_traceback_of_the_settings_has_a_secret(name, value):
    """As a process other than `blink-server` ends, which prints the error's causes too."""
    done = settings_of("import server.config.settings", **{name: value})
    assert done.returncode == 1
    assert f"ImproperlyConfigured: {name}: expected" in done.stderr
    assert SECRET not in done.stderr


@pytest.mark.parametrize("url", [f"mqtt://me:{SECRET}/x@host", f"mqtt://me:{SECRET}@[host"])
def test_neither_has_an_error_of_the_brokers_address(settings, url):
    settings.MQTT_URL = url
    with pytest.raises(ImproperlyConfigured, match="BLINKLOG_MQTT_URL: expected") as refused:
        broker_settings()
    assert SECRET not in str(refused.value)
    assert refused.value.__suppress_context__


def test_a_blank_key_file_is_none(tmp_path):
    code = "from django.conf import settings; print(len(settings.SECRET_KEY))"
    done = settings_of(code, BLINKLOG_SECRET_KEY_FILE="", BLINKLOG_DATA_DIR=str(tmp_path))
    assert int(done.stdout) > 50
