"""The two codes that a device reads: what phones show is understood, anything else refused."""

import re
from typing import get_args

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agent.enrol.codes import (
    LONGEST_TEXT,
    CodeError,
    Security,
    ServerCode,
    WifiCode,
    parse,
)

FINGERPRINT = "Zm9vYmFyYmF6Zm9vYmFyYg"
PRINTABLE = st.characters(min_codepoint=32, max_codepoint=0x2FFF, exclude_categories=["C", "Z"])
names = st.text(PRINTABLE, min_size=1, max_size=32).filter(lambda it: len(it.encode()) <= 32)
passwords = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=8, max_size=63)


def shown(name: str, password: str, kind: str, *, hidden: bool) -> str:
    """As a phone shows it."""
    name, password = (re.sub(r'([\\;,":])', r"\\\1", each) for each in (name, password))
    return f"WIFI:S:{name};T:{kind};P:{password};{'H:true;' if hidden else ''};"


@given(names, passwords, st.sampled_from(["WPA", "SAE"]), st.booleans())
@example('a;b\\c,d":e', 'p\\;:"",ass', "WPA", True)
def test_what_a_phone_shows_is_what_the_device_understands(
    name: str, password: str, kind: str, hidden: bool
) -> None:
    security: Security = "wpa" if kind == "WPA" else "sae"
    found = parse(shown(name, password, kind, hidden=hidden))
    assert found == WifiCode(name.encode(), security, password, hidden)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("WIFI:S:Café;T:nopass;;", WifiCode("Café".encode(), "open")),
        ("WIFI:S:Café;;", WifiCode("Café".encode(), "open")),
        ("wifi:T:wpa;S:home;P:12345678;;", WifiCode(b"home", "wpa", "12345678")),
        ("WIFI:T:WPA;R:1;S:home;P:12345678;;", WifiCode(b"home", "sae", "12345678")),
        ("WIFI:T:WPA;R:0;S:home;P:12345678;;", WifiCode(b"home", "wpa", "12345678")),
        ('WIFI:T:WPA;S:"abcdef";P:"12345678";;', WifiCode(b"abcdef", "wpa", "12345678")),
        (r"WIFI:T:WPA;S:\"home\";P:12345678;;", WifiCode(b'"home"', "wpa", "12345678")),
        ("WIFI:S:home;P:12345678;;", WifiCode(b"home", "wpa", "12345678")),
        ("WIFI:S:home;T:WPA;P:" + "a1" * 32 + ";;", WifiCode(b"home", "wpa", "a1" * 32)),
        ("WIFI:S:home;T:SAE;P:short;H:true;;", WifiCode(b"home", "sae", "short", hidden=True)),
        ("WIFI:S:home;T:WPA;P:12345678;X:new;;", WifiCode(b"home", "wpa", "12345678")),
    ],
)
def test_the_kinds_of_networks_in_homes(text: str, expected: WifiCode) -> None:
    assert parse(text) == expected


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("WIFI:T:WPA2-EAP;S:work;E:PEAP;I:anna;P:secret;;", "enterprise"),
        ("WIFI:S:work;T:WPA;E:TTLS;P:12345678;;", "enterprise"),
        ("WIFI:S:home;T:WEP;P:12345;;", "'WEP' is not supported"),
        ("WIFI:S:;T:WPA;P:12345678;;", "1 to 32 bytes, found 0"),
        ("WIFI:S:" + "x" * 33 + ";T:nopass;;", "1 to 32 bytes, found 33"),
        ("WIFI:S:home;T:WPA;P:1234567;;", "8 to 63 characters, found 7"),
        ("WIFI:S:home;T:WPA;;", "8 to 63 characters, found 0"),
        ("WIFI:S:home;T:WPA;P:1234\n5678;;", "characters that none has"),
        ("WIFI:S:home;T:WPA;P:123456", "its end is missing"),
        ("WIFI:S:home;T:WPA;P:12345678\\", "its end is missing"),
        ("WIFI:S;;", "a field has no value"),
        ("WIFI:S:home;H:maybe;;", "expected true or false"),
        ("blinklog:2;U:https://x;C:ABCD2345", "version '2'"),
        ("blinklog:", "version ''"),
        ("blinklog:1;C:ABCD2345", "expected an address"),
        ("blinklog:1;U:ftp://x;C:ABCD2345", "expected an address"),
        ("blinklog:1;U:https://x;C:ABCD234", "eight letters and digits"),
        ("blinklog:1;U:https://x;C:ABCD2340", "eight letters and digits"),
        ("blinklog:1;U:https://x;C:ABCD2345;S:short", "fingerprints of 22"),
    ],
)
def test_a_code_that_was_meant_for_us_says_what_is_wrong(text: str, why: str) -> None:
    with pytest.raises(CodeError, match=re.escape(why)) as refused:
        parse(text)
    assert refused.value.kind == ("wifi" if text.startswith("WIFI") else "server")
    assert "12345678" not in str(refused.value)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    "text", ["", "U12 Hauptbahnhof 2026-11-30", "https://example.org", "MECARD:N:x;;", "x" * 9999]
)
def test_anything_else_is_not_ours(text: str) -> None:
    with pytest.raises(CodeError) as refused:
        parse(text)
    assert refused.value.kind == "other"


@given(
    st.from_regex(r"https://[a-z0-9.-]{1,60}(:[0-9]{1,5})?", fullmatch=True),
    st.text("ABCDEFGHJKLMNPQRSTUVWXYZ23456789", min_size=8, max_size=8),
    st.none() | st.just(FINGERPRINT),
    st.none() | st.just(FINGERPRINT),
)
def test_what_the_server_shows_is_what_the_device_understands(
    url: str, code: str, ca: str | None, mqtt_ca: str | None
) -> None:
    told = ServerCode(url, code, ca, mqtt_ca)
    assert parse(told.text()) == told


def test_a_field_that_a_later_server_adds_does_no_harm() -> None:
    text = "blinklog:1;U:https://x;C:ABCD2345;N:new"
    assert parse(text) == ServerCode("https://x", "ABCD2345")


@given(st.sampled_from(["", "WIFI:", "WIFI:S:a;", "blinklog:1;", "blinklog:"]), st.text())
def test_no_text_breaks_the_parser(begin: str, rest: str) -> None:
    try:
        found = parse(begin + rest)
    except CodeError:
        return
    assert len(begin + rest) <= LONGEST_TEXT
    if isinstance(found, WifiCode):
        assert 1 <= len(found.ssid) <= 32
        assert found.security in get_args(Security)


def test_no_secret_is_shown_by_accident() -> None:
    for text in ("WIFI:S:home;T:WPA;P:12345678;;", "blinklog:1;U:https://x;C:ABCD2345"):
        assert not re.search("12345678|ABCD2345", repr(parse(text)))
