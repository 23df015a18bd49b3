"""What `blink-agent enrol` makes of a failing server, and of certificates."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.enrol import claim
from agent.transport import request as reach
from tests.agent.enrol.box import CODE, DEVICE, Box, identity, mode
from tests.agent.servers import Api, Handler, History, certificate, running_api

# What the server says


def answers(status: int, body: Any, **headers: str) -> Callable[[Handler], None]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda handler: handler.answer(status, body, named)


def leaves(handler: Handler) -> None:
    handler.close_connection = True


def breaks_off(handler: Handler) -> None:
    handler.answer(201, identity(), length=100_000)
    handler.close_connection = True


@pytest.mark.parametrize(
    ("answer", "says", "spent"),
    [
        (answers(400, {"detail": "no such code"}), "refuses the code: no such code", False),
        (answers(429, {"detail": "later"}, Retry_After="600"), "again in 10 minutes", False),
        (
            answers(503, {"detail": "no broker"}, Retry_After="30"),
            "stays valid: try again in",
            False,
        ),
        (
            answers(301, {}, Location="https://new.test/"),
            "it redirects to: https://new.test/",
            False,
        ),
        (answers(404, b"<h1>Not here</h1>"), "there is no Blinklog server at", False),
        (answers(200, b"<h1>Log in</h1>"), "there is no Blinklog server at", False),
        (answers(500, b"oh"), "the server answered 500", True),
        (answers(400, {"detail": "\x1b[2J gone"}), "refuses the code: [2J gone", False),
        (answers(201, b"<h1>Log in</h1>"), "is not an identity", True),
        (answers(201, identity(device="../../etc")), "is not an identity", True),
        (answers(201, identity(token="two\nlines")), "is not an identity", True),
        (answers(201, {"device": DEVICE}), "is not an identity", True),
        (leaves, "the connection was lost", True),
        (breaks_off, "before the answer was complete", True),
    ],
)
def test_a_failure_changes_nothing_and_says_whether_the_code_may_be_used_up(
    box: Box, api: Api, answer: Callable[[Handler], None], says: str, spent: bool
) -> None:
    api.next.append(answer)
    before = box.files()
    status, said = box.run("enrol", api.url, CODE)
    assert status == 1
    assert says in said
    assert ("The code may be used up anyway" in said) is spent
    assert box.files() == before


def test_a_trickling_answer_times_out(box: Box, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claim, "ANSWER_S", 0.5)
    monkeypatch.setattr(reach, "CONNECT_S", 0.2)
    api.next.append(lambda handler: handler.drip(b"H"))
    status, said = box.run("enrol", api.url, CODE)
    assert status == 1
    assert "was not complete in time. The code may be used up" in said


def test_an_interruption_says_that_the_code_may_be_used_up(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks_off(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(claim, "ask", breaks_off)
    before = box.files()
    status, said = box.run("enrol", "http://127.0.0.1:9", CODE)
    assert (status, box.files()) == (1, before)
    assert "interrupted. The code may be used up anyway" in said


def test_a_used_code_keeps_the_current_identity(box: Box, api: Api) -> None:
    assert box.run("enrol", api.url, CODE)[0] == 0
    before = box.files()
    status, said = box.run("enrol", api.url, CODE, "--again")
    assert status == 1
    assert "no such code" in said
    assert box.files() == before


def test_no_server_at_the_address(box: Box) -> None:
    status, said = box.run("enrol", "http://127.0.0.1:9", CODE)  # discard(9): nobody listens
    assert status == 1
    assert "Connection refused" in said
    assert "used up" not in said


def test_no_network(box: Box) -> None:
    status, said = box.run("enrol", "https://blinklog.invalid", CODE)  # RFC 2606: never a name
    assert status == 1
    assert "is there a network?" in said
    assert "used up" not in said


# Certificates


def test_a_private_authority_is_trusted_once_it_is_given(box: Box, tmp_path: Path) -> None:
    made = certificate(tmp_path)
    with running_api(History(), made) as api:
        api.codes[CODE] = identity()
        status, said = box.run("enrol", api.url, CODE)
        assert status == 1
        assert "certificate is not trusted" in said
        assert "--ca FILE" in said
        assert "used up" not in said

        status, said = box.run("enrol", api.url, CODE, "--ca", str(made[0]))
        assert status == 0, said
        assert "accepts this device's token" in said
    copied = box.folder / "ca.crt"
    assert copied.read_text() == made[0].read_text()
    assert mode(copied) == 0o644
    assert box.values()["server"]["ca_file"] == str(copied)
    assert box.values()["mqtt"]["ca_file"] == str(copied)


def test_a_certificate_for_another_name_is_refused(box: Box, tmp_path: Path) -> None:
    made = certificate(tmp_path)
    with running_api(History(), made) as api:
        elsewhere = api.url.replace("127.0.0.1", "localhost")
        said = box.run("enrol", elsewhere, CODE, "--ca", str(made[0]))[1]
    assert "for another name" in said


def test_a_file_that_holds_no_certificate_is_refused(box: Box, api: Api) -> None:
    status, said = box.run("enrol", api.url, CODE, "--ca", str(box.file))
    assert status == 1
    assert "expected certificates in PEM" in said
    assert api.requests == []
