"""HTTP delivery: only the server's acknowledgement of this session and revision counts."""

import json
import logging
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from agent.errors import ConfigError, DeliveryError
from agent.transport.base import Acknowledgement
from agent.transport.http import HttpSettings, HttpTransport
from agent.transport.request import UnreachedError, ask
from tests.agent.documents import document
from tests.agent.servers import (
    TOKEN,
    Api,
    Behaviour,
    Handler,
    History,
    certificate,
    opened,
    running_api,
)

ANY_TIME_S = 99.0  # not HTTP's own limit


@pytest.fixture
def transport(api: Api) -> Iterator[HttpTransport]:
    with opened(api) as transport:
        yield transport


def deliver(transport: HttpTransport, *documents: dict[str, Any]) -> list[Acknowledgement]:
    return list(transport.deliver(documents, ANY_TIME_S))


def acknowledged(document: dict[str, Any], outcome: Any, reason: str | None = None) -> object:
    return Acknowledgement(document["session_id"], document["revision"], outcome, reason)


# As it should be


def test_the_first_revision_starts_a_session_and_later_ones_are_put(
    api: Api, history: History, transport: HttpTransport
) -> None:
    session_id = document()["session_id"]
    documents = [document(1, session_id), document(2, session_id), document(7, session_id)]
    for each in documents:
        assert deliver(transport, each) == [acknowledged(each, "stored")]
    put = ("PUT", f"/api/session/{session_id}/")
    assert api.requests == [("POST", "/api/session/start/"), put, put]
    assert history.documents[session_id] == documents[2]


def test_the_outcome_is_passed_on(history: History, transport: HttpTransport) -> None:
    final = document(7)
    late = document(2, final["session_id"])
    refused = document(7)
    history.refuse.add(refused["session_id"])
    assert deliver(transport, final, final, late, refused) == [
        acknowledged(final, "stored"),
        acknowledged(final, "duplicate"),
        acknowledged(late, "stale"),
        acknowledged(refused, "rejected", "blinks: expected columns of one length"),
    ]


def test_one_connection_serves_many_documents(api: Api, transport: HttpTransport) -> None:
    for _ in range(5):
        deliver(transport, document(7))
    assert len(api.requests) == 5
    assert len(api.connections) == 1


def test_an_address_with_a_path_and_a_slash_works(history: History, api: Api) -> None:
    with opened(api, url=api.url + "/") as transport:
        assert len(deliver(transport, document(7))) == 1


def test_a_netrc_entry_does_not_replace_the_token(
    api: Api, transport: HttpTransport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    assert len(deliver(transport, document(7))) == 1


def test_a_stale_answer_may_name_the_higher_revision_it_has(
    api: Api, transport: HttpTransport
) -> None:
    late = document(2)
    api.next.append(lambda each: each.answer(200, said(late, revision=7, outcome="stale")))
    assert deliver(transport, late) == [acknowledged(late, "stale")]


def test_a_chunked_answer_is_read_completely(api: Api, transport: HttpTransport) -> None:
    """A proxy may chunk it anew, as it comes."""

    def in_parts(handler: Handler) -> None:
        answer = json.dumps(said(handler.document)).encode()
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for part in (answer[:20], answer[20:21], answer[21:], b""):
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))

    final = document(7)
    api.next.append(in_parts)
    for _ in range(2):
        assert deliver(transport, final) == [acknowledged(final, "stored")]
    assert len(api.connections) == 1


# As it should not be


def said(about: dict[str, Any], **changes: Any) -> dict[str, Any]:
    answer = {"session_id": about["session_id"], "revision": about["revision"]}
    return {**answer, "outcome": "stored", "reason": None, **changes}


def echo(**changes: Any) -> Behaviour:
    """A 200 that is nearly an acknowledgement."""
    return lambda handler: handler.answer(200, said(handler.document, **changes))


def status(number: int, body: object = b"<html>oops</html>", **headers: str) -> Behaviour:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda handler: handler.answer(number, body, named)


def cut_in_the_body(handler: Handler) -> None:
    handler.answer(200, said(handler.document), length=500)
    handler.close_connection = True


def cut_before_the_answer(handler: Handler) -> None:
    handler.close_connection = True


def nonsense(handler: Handler) -> None:
    handler.wfile.write(b"\x00\xffwhat?\r\n\r\n")
    handler.close_connection = True


def huge(handler: Handler) -> None:
    handler.answer(200, b" " * 300_000 + b'{"outcome": "stored"}')


LOGIN_PAGE = b"<html><form action=/login>Welcome to the hotel</form></html>"
MISBEHAVIOURS = {
    "a login page with 200": (status(200, LOGIN_PAGE), "login page"),
    "an empty 204": (status(204, b""), "login page"),
    "JSON that says nothing": (status(200, {}), "login page"),
    "a list": (status(200, []), "login page"),
    "deeply nested": (status(200, b"[" * 50_000), "login page"),
    "another session": (echo(session_id=document()["session_id"]), "login page"),
    "a lower revision": (echo(revision=6), "login page"),
    "a higher revision": (echo(revision=8), "login page"),
    "a revision as text": (echo(revision="7"), "login page"),
    "a revision that is true": (echo(revision=True), "login page"),
    "an unknown outcome": (echo(outcome="ok"), "login page"),
    "an outcome that is no text": (echo(outcome=["stored"]), "login page"),
    "an endless answer": (huge, "login page"),
    "an answer cut short": (cut_in_the_body, "the connection was lost"),
    "no answer": (cut_before_the_answer, "the connection was lost"),
    "no HTTP": (nonsense, "the connection was lost"),
    "an error": (status(500), "the server answered 500"),
    "a bad gateway": (status(502), "the server answered 502"),
    "a proxy's refusal": (status(400), "the server answered 400"),
    "another site": (status(404), "no Blinklog server at this address"),
    "a refused token": (status(401, {"detail": "Invalid token."}), "refuses this device's token"),
    "a forbidden device": (status(403, {"detail": "Revoked."}), "refuses this device's token"),
    "another's rejection": (
        status(400, {"outcome": "rejected", "session_id": "another"}),
        "the server answered 400",
    ),
}


@pytest.mark.parametrize("name", MISBEHAVIOURS)
def test_anything_else_is_no_acknowledgement(
    name: str, api: Api, history: History, transport: HttpTransport
) -> None:
    behaviour, expected = MISBEHAVIOURS[name]
    final = document(7)
    api.next.append(behaviour)
    with pytest.raises(DeliveryError, match=expected):
        deliver(transport, final)
    assert deliver(transport, final) == [acknowledged(final, "stored")], "the next try works"


@pytest.mark.parametrize("name", ["a login page with 200", "a refused token", "no answer"])
def test_after_a_failure_the_server_is_checked_without_a_document(
    name: str, api: Api, transport: HttpTransport
) -> None:
    behaviour, expected = MISBEHAVIOURS[name]
    assert deliver(transport) == []
    assert api.requests == [], "nothing was wrong"
    api.next.append(behaviour)
    with pytest.raises(DeliveryError, match=expected):
        deliver(transport, document(7))
    for _ in range(2):
        api.next.append(behaviour)
        with pytest.raises(DeliveryError, match=expected):
            deliver(transport)
    assert deliver(transport) == deliver(transport) == []
    assert api.requests[1:] == [("OPTIONS", "/api/session/start/")] * 3


def test_a_rejection_need_not_name_the_session(api: Api, transport: HttpTransport) -> None:
    final = document(7)
    errors = {"blinks": ["expected columns"]}
    api.next.append(
        status(400, {"outcome": "rejected", "reason": "blinks: no columns", "errors": errors})
    )
    assert deliver(transport, final) == [acknowledged(final, "rejected", "blinks: no columns")]


def test_another_device_s_session_is_a_rejection(api: Api, transport: HttpTransport) -> None:
    final = document(7)
    api.next.append(lambda each: each.answer(404, said(final, outcome="rejected", reason="no")))
    assert deliver(transport, final) == [acknowledged(final, "rejected", "no")]


def test_a_redirect_is_not_followed(api: Api, transport: HttpTransport) -> None:
    history = History()
    with running_api(history) as portal:
        api.next.append(status(307, b"", Location=portal.url + "/api/session/start/"))
        with pytest.raises(DeliveryError, match="redirects to another address"):
            deliver(transport, document(1))
        assert portal.requests == []


def test_a_body_too_large_for_a_proxy_does_not_hold_up_the_next(
    api: Api, transport: HttpTransport
) -> None:
    large, small = document(7), document(7)
    api.next.extend([status(413), status(413)])  # both together, and then the large one
    assert deliver(transport, large, small) == [acknowledged(small, "stored")]


def test_a_failure_keeps_what_was_acknowledged_before_it(
    api: Api, transport: HttpTransport
) -> None:
    first, second = document(7), document(7)
    api.batches = False
    api.next.extend([Handler.behave, Handler.behave, status(500)])
    words = transport.deliver([first, second], ANY_TIME_S)
    assert next(iter(words)) == acknowledged(first, "stored")
    with pytest.raises(DeliveryError):
        list(words)


@pytest.mark.parametrize("number", [429, 503])
def test_retry_after_is_passed_on(number: int, api: Api, transport: HttpTransport) -> None:
    api.next.append(status(number, Retry_After="120"))
    with pytest.raises(DeliveryError) as caught:
        deliver(transport, document(7))
    assert caught.value.retry_after_s == 120


@pytest.mark.parametrize(
    ("value", "low", "high"),
    [
        (format_datetime(datetime.now(UTC) + timedelta(hours=10)), 35_000, 36_000),
        (format_datetime(datetime(2000, 1, 1, tzinfo=UTC)), 0, 0),
        ("9" * 500, 999_999_999, 999_999_999),
    ],
    ids=["in ten hours", "long ago", "far away"],
)
def test_retry_after_may_be_a_date_or_far_away(
    value: str, low: float, high: float, api: Api, transport: HttpTransport
) -> None:
    api.next.append(status(429, Retry_After=value))
    with pytest.raises(DeliveryError) as caught:
        deliver(transport, document(7))
    assert caught.value.retry_after_s is not None
    assert low <= caught.value.retry_after_s <= high


@pytest.mark.parametrize(
    "value",
    [
        "soon",
        "-5",
        "²",
        "",
        "Wed, 21 Oct 2015 07:28:00 +99999999999999999",
        "Mon, 01 Jan 99999 00:00:00 GMT",
    ],
)
def test_an_invalid_retry_after_is_ignored(value: str, api: Api, transport: HttpTransport) -> None:
    api.next.append(status(429, Retry_After=value))
    with pytest.raises(DeliveryError) as caught:
        deliver(transport, document(7))
    assert caught.value.retry_after_s is None


# Trust


def test_a_private_authority_is_trusted_only_if_configured(
    history: History, tmp_path: Path
) -> None:
    files = certificate(tmp_path)
    with running_api(history, files) as api:
        with opened(api, ca_file=files[0]) as transport:
            assert len(deliver(transport, document(7))) == 1
        with opened(api) as transport, pytest.raises(DeliveryError, match="not trusted"):
            deliver(transport, document(7))
    assert len(history.documents) == 1


AUTHORITY = """
[ca]
default_ca = itself
[itself]
certificate = server.crt
database = index
new_certs_dir = .
rand_serial = yes
default_md = sha256
policy = named
x509_extensions = here
[named]
commonName = supplied
[here]
subjectAltName = IP:127.0.0.1
"""


def certificate_of(folder: Path, days: tuple[int, int]) -> tuple[Path, Path]:
    """One that is valid between two days from now: only `openssl ca` takes dates."""
    _, key = certificate(folder)
    (folder / "ca.conf").write_text(AUTHORITY)
    (folder / "index").touch()
    first, last = (f"{datetime.now(UTC) + timedelta(days=each):%Y%m%d%H%M%SZ}" for each in days)
    command = f"openssl ca -batch -config ca.conf -keyfile {key} -selfsign -ss_cert server.crt"
    dated = f"{command} -out dated.crt -notext -startdate {first} -enddate {last}"
    done = subprocess.run(dated.split(), cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder / "dated.crt", key


@pytest.mark.parametrize(
    ("first_day", "last_day", "says"), [(-9, -2, "has expired"), (2, 9, "is not yet valid")]
)
def test_a_certificate_of_another_time_asks_for_the_device_s_clock(
    history: History, tmp_path: Path, first_day: int, last_day: int, says: str
) -> None:
    files = certificate_of(tmp_path, (first_day, last_day))
    with (
        running_api(history, files) as api,
        pytest.raises(UnreachedError, match=says) as caught,
    ):
        ask("GET", f"{api.url}/api/", ca_file=files[0])
    assert "Is this device's clock correct?" in str(caught.value)


def test_unreadable_certificates_are_refused_at_the_start(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    with pytest.raises(ConfigError, match=r"ca\.pem: expected certificates"):
        HttpTransport(HttpSettings("https://localhost", TOKEN, file))
    file.write_text("nonsense")
    with pytest.raises(ConfigError, match=r"ca\.pem: expected certificates"):
        HttpTransport(HttpSettings("https://localhost", TOKEN, file))


def test_neither_token_nor_document_is_logged(
    api: Api, transport: HttpTransport, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    deliver(transport, document(7))
    api.next.append(status(500))
    with pytest.raises(DeliveryError) as caught:
        deliver(transport, document(7))
    for secret in (TOKEN, "blink_count"):
        assert secret not in caplog.text
        assert secret not in str(caught.value)
