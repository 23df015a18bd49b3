"""A private authority is trusted by its fingerprint, and by nothing that the network says."""

import base64
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.enrol.authority import fingerprint
from tests.agent.enrol.box import CODE, PERSONS_OWN, Box, identity
from tests.agent.servers import Api, History, certificate, running_api

CLAIM = ("POST", "/api/device/claim/")


@pytest.fixture
def tls(tmp_path: Path) -> Iterator[Api]:
    """A server whose certificate no public authority signed."""
    with running_api(History(), certificate(tmp_path)) as running:
        running.codes[CODE] = identity(mqtt_url="mqtts://broker.example.org:8883")
        yield running


@pytest.fixture
def authority(tmp_path: Path, tls: Api) -> str:
    """The certificate, which the server has under its fingerprint."""
    pem = (tmp_path / "server.crt").read_text()
    tls.authorities[fingerprint(pem)] = pem
    return pem


def test_a_fingerprint_is_enough_to_trust_server_and_broker(
    tls: Api, box: Box, authority: str
) -> None:
    status, said = box.run("enrol", tls.url, CODE, "--ca-fingerprint", fingerprint(authority))
    assert status == 0, said
    assert (box.folder / "ca.crt").read_text() == authority
    values = box.values()
    assert values["server"]["ca_file"] == values["mqtt"]["ca_file"] == str(box.folder / "ca.crt")


def test_the_broker_s_authority_can_be_another(tls: Api, box: Box, authority: str) -> None:
    other = certificate(box.folder)[0]
    pem = other.read_text()
    tls.authorities[fingerprint(pem)] = pem
    options = ["--ca-fingerprint", fingerprint(authority)]
    options += ["--mqtt-ca-fingerprint", fingerprint(pem)]
    assert box.run("enrol", tls.url, CODE, *options)[0] == 0
    assert (box.folder / "mqtt-ca.crt").read_text() == pem
    assert box.values()["mqtt"]["ca_file"] == str(box.folder / "mqtt-ca.crt")


def test_who_answers_in_the_server_s_place_learns_no_code(
    tls: Api, box: Box, authority: str, tmp_path: Path
) -> None:
    """What it brings has another fingerprint: nothing is trusted, the code is never sent."""
    wanted = "Zm9vYmFyYmF6Zm9vYmFyYg"
    tls.authorities[wanted] = authority
    status, said = box.run("enrol", tls.url, CODE, "--ca-fingerprint", wanted)
    assert status == 1
    assert "somebody may be answering in the server's place" in said
    assert CLAIM not in tls.requests
    assert box.files() == {"agent.toml": PERSONS_OWN}


@pytest.mark.parametrize(
    ("certificates", "why"),
    [
        (None, "has no authority with this fingerprint"),
        ("no certificate", "found none"),
        ("x" * 20_000, "has no authority with this fingerprint"),
    ],
)
def test_what_is_no_authority_is_said_and_the_code_stays_valid(
    tls: Api, box: Box, certificates: str | None, why: str
) -> None:
    wanted = "Zm9vYmFyYmF6Zm9vYmFyYg"
    if certificates is not None:
        tls.authorities[wanted] = certificates
    status, said = box.run("enrol", tls.url, CODE, "--mqtt-ca-fingerprint", wanted)
    assert status == 1
    assert why in said
    assert CODE in tls.codes


@pytest.mark.parametrize("wanted", ["-EihP14DCB6EhFfml3qh-Q", "--ihP14DCB6EhFfml3qh-Q"])
def test_a_fingerprint_that_begins_with_a_dash_is_no_option(
    tls: Api, box: Box, authority: str, wanted: str
) -> None:
    tls.authorities[wanted] = authority
    for option in ("--ca-fingerprint", "--mqtt-ca-fingerprint"):
        status, said = box.run("enrol", tls.url, CODE, option, wanted)
        assert (status, f"found {fingerprint(authority)}" in said) == (1, True)


def test_a_fingerprint_that_was_mistyped_is_said(tls: Api, box: Box) -> None:
    status, said = box.run("enrol", tls.url, CODE, "--ca-fingerprint", "12:34")
    assert (status, tls.requests) == (1, [])
    assert "expected 22 characters, found '12:34'" in said


def test_a_server_that_is_away_is_said(box: Box) -> None:
    wanted = "Zm9vYmFyYmF6Zm9vYmFyYg"
    status, said = box.run("enrol", "https://127.0.0.1:9", CODE, "--ca-fingerprint", wanted)
    assert status == 1
    assert "https://127.0.0.1:9: Connection refused" in said


def test_certificates_that_hide_behind_the_right_ones_are_not_trusted(
    tls: Api, box: Box, authority: str, tmp_path: Path
) -> None:
    """Who answers knows the right certificates, and hides their own among them.

    OpenSSL begins where a line says BEGIN, and lenient base64 ends at its padding. So a text can
    have the fingerprint of one certificate and be another one to OpenSSL.
    """
    right = another_certificate(tmp_path)
    hidden = authority.replace("CERTIFICATE", "X509 CERTIFICATE")
    der = ssl.PEM_cert_to_DER_cert(right)
    parts = [base64.b64encode(each).decode() for each in (der[:100], der[100:])]
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    wanted = fingerprint(right)
    tls.authorities[wanted] = f"{begin}{parts[0]}\n{hidden}{end}\n{begin}{parts[1]}\n{end}\n"
    status, said = box.run("enrol", tls.url, CODE, "--ca-fingerprint", wanted)
    assert CLAIM not in tls.requests
    assert status == 1
    assert "somebody may be answering in the server's place" in said
    assert box.files() == {"agent.toml": PERSONS_OWN}


def test_only_the_certificates_that_were_hashed_are_kept(
    tls: Api, box: Box, authority: str, tmp_path: Path
) -> None:
    hidden = another_certificate(tmp_path).replace("CERTIFICATE", "TRUSTED CERTIFICATE")
    tls.authorities[fingerprint(authority)] = hidden + authority.replace("\n", "  \n")
    box.run("enrol", tls.url, CODE, "--ca-fingerprint", fingerprint(authority))
    assert (box.folder / "ca.crt").read_text() == authority


def another_certificate(folder: Path) -> str:
    (folder / "another").mkdir()
    return certificate(folder / "another")[0].read_text()
