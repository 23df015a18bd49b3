"""HTTP: waiting for an answer has an end."""

import ssl
from pathlib import Path

import pytest

from agent.errors import DeliveryError
from agent.transport.http import HttpSettings, HttpTransport
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
    silent_port,
)
from tests.agent.transport.test_http import deliver


def drip_headers(handler: Handler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
    handler.drip(b"x")


def drip_body(handler: Handler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "100000")
    handler.end_headers()
    handler.drip(b" ")


@pytest.mark.parametrize("behaviour", [drip_headers, drip_body])
def test_a_trickling_server_times_out(behaviour: Behaviour, api: Api) -> None:
    with opened(api, timeout_s=0.4) as transport:
        api.next.append(behaviour)
        with pytest.raises(DeliveryError):
            deliver(transport, document(7))
        assert len(deliver(transport, document(7))) == 1


def test_a_cut_connection_still_decrypts_its_input(history: History, tmp_path: Path) -> None:
    """Or what is encrypted would be read as the answer."""
    files = certificate(tmp_path)
    with running_api(history, files) as api, opened(api, ca_file=files[0]) as transport:
        deliver(transport, document(7))
        transport._adapter._cut()
        cut = transport._adapter._socket
        assert isinstance(cut, ssl.SSLSocket)
        assert cut.version() is not None
        with pytest.raises(OSError, match=r"EOF|[Bb]roken|reset"):
            cut.send(b"more")


def test_a_trickling_server_over_tls_is_reported_as_late_not_untrusted(
    history: History, tmp_path: Path
) -> None:
    files = certificate(tmp_path)
    with (
        running_api(history, files) as api,
        opened(api, ca_file=files[0], timeout_s=0.4) as transport,
    ):
        api.next.append(drip_body)
        with pytest.raises(DeliveryError, match=r"no answer within 0\.4 s"):
            deliver(transport, document(7))


def test_a_silent_server_times_out() -> None:
    with silent_port() as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        transport = HttpTransport(HttpSettings(url, TOKEN, timeout_s=0.3))
        with pytest.raises(DeliveryError, match=r"no answer within 0\.3 s"):
            deliver(transport, document(7))
        transport.close()


def test_a_lost_server_is_reported_and_used_again_when_it_returns(api: Api) -> None:
    with opened(api) as transport:
        deliver(transport, document(7))
        api.stop()
        with pytest.raises(DeliveryError, match="can't be reached, or the connection was lost"):
            deliver(transport, document(7))
        api.start()
        assert len(deliver(transport, document(7))) == 1
