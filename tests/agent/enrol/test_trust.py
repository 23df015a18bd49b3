"""`blink-agent release trust`: the key for releases is pinned by the fingerprint that is typed."""

from pathlib import Path

import pytest

from agent.release.signature import fingerprint
from tests.agent.enrol.box import CODE, Box
from tests.agent.servers import Api
from tests.releases import key_pair


@pytest.fixture
def key(box: Box, api: Api, tmp_path: Path) -> str:
    """The server's key, and a device that was enrolled before the server had one."""
    _, key = key_pair(tmp_path)
    assert box.run("enrol", api.url, CODE)[0] == 0
    for _ in range(2):
        api.next.append(lambda handler: handler.answer(200, {"key": key}))
    return key


def test_the_server_s_key_is_shown_and_then_trusted(box: Box, key: str) -> None:
    status, said = box.run("release", "trust")
    assert (status, f"release trust {fingerprint(key)}" in said) == (1, True)
    assert "release-key.pem" not in box.files()
    assert box.run("release", "trust", fingerprint(key))[0] == 0
    assert box.files()["release-key.pem"] == key


@pytest.mark.parametrize("wanted", ["-EihP14DCB6EhFfml3qh-Q", "--ihP14DCB6EhFfml3qh-Q"])
def test_a_fingerprint_that_begins_with_a_dash_is_read(box: Box, key: str, wanted: str) -> None:
    status, said = box.run("release", "trust", wanted)
    assert status == 1
    assert f"expected {wanted}, found {fingerprint(key)}" in said
    assert "release-key.pem" not in box.files()
