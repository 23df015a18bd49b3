"""A proxy from the environment that fails is named, instead of the server, wherever it matters."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from agent.enrol.claim import ClaimError, claim
from agent.errors import DeliveryError
from agent.health import check_network
from agent.transport.http import HttpSettings, HttpTransport
from tests.agent.documents import document
from tests.agent.health.checks import enrolled
from tests.agent.servers import TOKEN, History, running_api
from tests.broker import free_port

SERVER = "https://blinklog.test"
ASKS = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"
VARIABLES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY")


def sync_says(url: str, _folder: Path) -> str:
    with closing(HttpTransport(HttpSettings(url, TOKEN, timeout_s=2))) as transport:
        with pytest.raises(DeliveryError) as error:
            list(transport.deliver([document(7)], 1))
        return str(error.value)


def doctor_says(url: str, folder: Path) -> str:
    finding = check_network.server(enrolled(folder, url, SERVER_TIMEOUT_S="1"))
    assert finding.state == "bad"
    assert "NO_PROXY" in str(finding.hint)
    return finding.found


def enrol_says(url: str, _folder: Path) -> str:
    with pytest.raises(ClaimError) as error:
        claim(url, "ABCD2345", "1.0")
    assert not error.value.spent, "the code was not sent"
    return str(error.value)


everywhere = pytest.mark.parametrize("says", [sync_says, doctor_says, enrol_says])


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@contextmanager
def proxy_that_answers(answer: bytes) -> Iterator[int]:
    """A proxy that answers every request with `answer`, and closes."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def run() -> None:
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                with client:
                    client.recv(4096)
                    client.sendall(answer)

        threading.Thread(target=run, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


@everywhere
@pytest.mark.parametrize(
    ("url", "variable"),
    [
        (SERVER, "HTTPS_PROXY"),
        (SERVER, "https_proxy"),
        (SERVER, "ALL_PROXY"),
        ("http://blinklog.test", "HTTP_PROXY"),
    ],
)
def test_a_proxy_that_is_not_there_is_named_without_its_password(
    says: Callable[[str, Path], str],
    url: str,
    variable: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    port = free_port()
    monkeypatch.setenv(variable, f"http://anna:secret@127.0.0.1:{port}/")
    said = says(url, tmp_path)
    assert f"the proxy 127.0.0.1:{port} ({variable}) does not answer" in said
    assert "secret" not in said


@everywhere
@pytest.mark.parametrize("url", [SERVER, "http://blinklog.test"])
def test_a_proxy_that_asks_for_a_password_is_named(
    says: Callable[[str, Path], str], url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with proxy_that_answers(ASKS) as port:
        for name in ("HTTPS_PROXY", "HTTP_PROXY"):
            monkeypatch.setenv(name, f"127.0.0.1:{port}")
        said = says(url, tmp_path)
    assert f"the proxy 127.0.0.1:{port}" in said
    assert "refuses the request (407): it asks for a user name and a password" in said


@everywhere
@pytest.mark.parametrize("address", ["http://:::", "socks5://127.0.0.1:9"])
def test_a_proxy_s_address_that_can_t_be_used_is_named(
    says: Callable[[str, Path], str], address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", address)
    assert "(HTTPS_PROXY) can't be used" in says(SERVER, tmp_path)


@pytest.mark.parametrize("says", [sync_says, doctor_says])
def test_a_proxy_that_says_nothing_is_named(
    says: Callable[[str, Path], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
        monkeypatch.setattr("agent.transport.request.CONNECT_S", 1.0)
        assert f", through the proxy 127.0.0.1:{port} (HTTPS_PROXY)" in says(SERVER, tmp_path)


def test_a_code_that_a_proxy_may_have_passed_on_may_be_used_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with proxy_that_answers(b"") as port:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{port}")
        with pytest.raises(ClaimError) as error:
            claim("http://blinklog.test", "ABCD2345", "1.0")
    assert f"the proxy 127.0.0.1:{port}" in str(error.value)
    assert error.value.spent


def test_a_server_in_no_proxy_is_asked_directly(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with running_api(History()) as api:
        assert check_network.server(enrolled(tmp_path, api.url)).state == "ok"
        transport = HttpTransport(HttpSettings(api.url, TOKEN))
        with closing(transport):
            assert len(list(transport.deliver([document(7)], 1))) == 1
        url = api.url
    assert "proxy" not in sync_says(url, tmp_path)
