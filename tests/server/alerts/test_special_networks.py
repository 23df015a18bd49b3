"""A webhook reaches no address of a special network, from its first to its last."""

import socket
from ipaddress import ip_address

import pytest

from server.alerts.delivery.outbox import SendError
from server.alerts.delivery.outgoing import exchange, may_reach

LOCAL = [
    ("10.0.0.0", "10.255.255.255"),
    ("172.16.0.0", "172.31.255.255"),
    ("192.168.0.0", "192.168.255.255"),
    ("100.64.0.0", "100.127.255.255"),
    ("127.0.0.0", "127.255.255.255"),
    ("::1", "::1"),
    ("fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
]
OTHERS = [
    ("0.0.0.0", "0.255.255.255"),
    ("169.254.0.0", "169.254.255.255"),
    ("192.0.0.0", "192.0.0.255"),
    ("192.0.2.0", "192.0.2.255"),
    ("192.31.196.0", "192.31.196.255"),
    ("192.52.193.0", "192.52.193.255"),
    ("192.88.99.0", "192.88.99.255"),
    ("192.175.48.0", "192.175.48.255"),
    ("198.18.0.0", "198.19.255.255"),
    ("198.51.100.0", "198.51.100.255"),
    ("203.0.113.0", "203.0.113.255"),
    ("224.0.0.0", "239.255.255.255"),
    ("240.0.0.0", "255.255.255.255"),
    ("::2", "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("4000::", "7fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("8000::", "fbff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("fe00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("2001::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("2002::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("2620:4f:8000::", "2620:4f:8000:ffff:ffff:ffff:ffff:ffff"),
    ("3ffe::", "3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff"),
]


def reached(span):
    return [text for text in span if may_reach(ip_address(text))]


@pytest.mark.parametrize("span", LOCAL)
def test_a_local_network_is_reached_with_the_setting_alone(span, settings):
    settings.WEBHOOK_PRIVATE = False
    assert reached(span) == []
    settings.WEBHOOK_PRIVATE = True
    assert reached(span) == list(span)


@pytest.mark.parametrize("is_private_allowed", [False, True])
@pytest.mark.parametrize("span", OTHERS)
def test_another_special_network_is_never_reached(span, settings, is_private_allowed):
    settings.WEBHOOK_PRIVATE = is_private_allowed
    assert reached(span) == []


@pytest.mark.parametrize(
    "address",
    [
        "1.0.0.0", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255",
        "128.0.0.0", "169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0",
        "191.255.255.255", "192.0.1.0", "192.0.3.0", "192.31.195.255", "192.31.197.0",
        "192.52.192.255", "192.52.194.0", "192.88.98.255", "192.88.100.0", "192.167.255.255",
        "192.169.0.0", "192.175.47.255", "192.175.49.0", "198.17.255.255", "198.20.0.0",
        "198.51.99.255", "198.51.101.0", "203.0.112.255", "203.0.114.0", "223.255.255.255",
        "2000::", "2001:200::", "2001:db7:ffff::", "2001:db9::", "2001:ffff::", "2003::",
        "2620:4f:7fff::", "2620:4f:8001::", "3ffd:ffff::", "3fff:1000::",
    ],
)  # fmt: skip
def test_their_neighbours_are_reached(address, settings):
    settings.WEBHOOK_PRIVATE = False
    assert may_reach(ip_address(address))


def test_what_is_no_address_is_not_reached():
    assert not may_reach(None)


@pytest.mark.parametrize(("scheme", "port"), [("http", 80), ("https", 443)])
def test_a_connection_goes_to_the_address_that_was_checked(scheme, port, monkeypatch):
    called = []

    def refuse(address, *_):
        called.append(address)
        raise ConnectionRefusedError

    found = [(socket.AF_INET, 1, 6, "", ("93.184.215.14", port))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    monkeypatch.setattr(socket, "create_connection", refuse)
    with pytest.raises(SendError, match="can't be reached"):
        exchange(f"{scheme}://innocent.example/", b"{}", {})
    assert called == [("93.184.215.14", port)]


def test_an_address_that_was_stored_earlier_is_checked_before_each_call(monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: pytest.fail("it was resolved"))
    with pytest.raises(SendError, match="can't be called"):
        exchange("http://user:secret@innocent.example/", b"{}", {})
